"""HAProxy as a second relay, and as it stands before a service: in TCP mode, one thread, its defaults otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import tools
from harness.process import Process, answers, free_port

from .bench import Bench
from .services import Java, Passing

UNPACKED = tools.TARGET / "haproxy"

CONFIGURATION = """\
global
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen relay
    bind 127.0.0.1:{port}
    server far {far}
"""


class HAProxy(Passing):
    """Passes on what the relay passes on."""

    name = "haproxy"

    def between(self, bench: Bench, far: str) -> tuple[Process, str]:
        return start(bench, far)


class HAProxyBefore:
    """Passes on what clients and the Java service say to each other, at that service's pace."""

    name = "haproxy-java"

    def __init__(self, bench: Bench, service: Java) -> None:
        self.bench, self.service = bench, service
        self.process, self.address = start(bench, service.address)
        self.pid = self.process.pid

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Has the CPU of whatever is measured to itself: the service behind it goes to the others meanwhile."""
        self.service.move(self.bench.other_cpus)
        try:
            yield
        finally:
            self.service.move(self.bench.service_cpu)

    def stop(self) -> None:
        self.process.kill()


def start(bench: Bench, far: str) -> tuple[Process, str]:
    """One that passes on to `far`, and its address."""
    binary, env = program()
    port = free_port()
    configuration = bench.log("haproxy").with_suffix(".cfg")
    configuration.write_text(CONFIGURATION.format(port=port, far=far))
    process = bench.start("haproxy", bench.service_cpu, binary, "-db", "-f", configuration, env=env)
    process.wait_until(lambda: answers(port), 10)
    return process, f"127.0.0.1:{port}"


def program() -> tuple[Path, dict]:
    """The machine's HAProxy, or Debian's unpacked under `target/`; with what its environment needs."""
    installed = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if installed:
        return Path(installed), {}
    binary = UNPACKED / "usr" / "sbin" / "haproxy"
    if not binary.exists():
        unpack()
    libraries = ":".join(str(folder) for folder in (UNPACKED / "usr" / "lib").glob("*-linux-gnu*"))
    return binary, {"LD_LIBRARY_PATH": libraries}


def unpack() -> None:
    """Has apt fetch the package and what it needs beyond what is installed; installs nothing."""
    if not shutil.which("apt-get"):
        raise SystemExit("haproxy is missing: install it, or leave it out with --no-haproxy.")
    tools.say("unpacking HAProxy under target/haproxy")
    packages = UNPACKED / "packages"
    (packages / "partial").mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(
        ["apt-get", "install", "--download-only", "--no-install-recommends", "--yes", "--option",
         "Debug::NoLocking=1", "--option", f"Dir::Cache::archives={packages}", "haproxy"],
        capture_output=True, text=True, check=False)
    found = sorted(packages.glob("*.deb"))
    if not any(package.name.startswith("haproxy_") for package in found):
        raise SystemExit(f"HAProxy could not be fetched; leave it out with --no-haproxy.\n{fetched.stderr}")
    for package in found:
        tools.run("dpkg-deb", "--extract", package, UNPACKED)


def version() -> str:
    binary, env = program()
    told = subprocess.run([binary, "-v"], capture_output=True, text=True, check=False, env={**os.environ, **env})
    words = told.stdout.split()
    return words[2] if len(words) > 2 else "unknown"
