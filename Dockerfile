# syntax=docker/dockerfile:1
#
# docker build -t pulsar-ws-fast .
#
# io_uring must be let through by the seccomp filter of the container, and default filters don't:
# docs/operations.md says how. Without it, add --driver epoll, which is slower.
#
#   docker run --rm -p 8080:8080 --stop-timeout 20 \
#     --security-opt seccomp=seccomp-io_uring.json \
#     --ulimit memlock=67108864 --ulimit nofile=1048576 \
#     -e brokerServiceUrl=pulsar://broker:6650 pulsar-ws-fast
#
# Every key of websocket.conf can be set so, or after PULSAR_PREFIX_. A file is given as argument.

FROM rust:1-slim-trixie AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin pulsar-ws-fast

# The C library and its like, certificates, time zones, and nothing to log in with.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /build/target/release/pulsar-ws-fast /usr/local/bin/pulsar-ws-fast
COPY conf/websocket.conf /etc/pulsar-ws-fast/websocket.conf.example
# nonroot of the base image, in numbers so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/pulsar-ws-fast"]
