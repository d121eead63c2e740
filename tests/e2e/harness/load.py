"""The load generator and the broker without a memory, both of this repository."""

from __future__ import annotations

import datetime
import ipaddress
import json
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import tools
from .process import Process, free_port


def tool(name: str) -> Path:
    return tools.our_binary().with_name(name)


def load(*words: object, check: bool = True, seconds: float = 120) -> subprocess.CompletedProcess:
    """Runs `pulsar-ws-load`."""
    command = [str(word) for word in (tool("pulsar-ws-load"), *words)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if check and ran.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\n{ran.stdout}\n{ran.stderr}")
    return ran


def measured(kind: str, address: str, *words: object) -> dict:
    """A short run's result."""
    ran = load(kind, "--address", address, "--format", "json", "--quiet", "--warm-seconds", 0.1, "--seconds", 0.5, *words)
    return json.loads(ran.stdout)


class NullBroker:
    """Confirms everything, delivers endlessly, and goes wrong as it is told."""

    def __init__(self, *flags: object) -> None:
        command = [tool("pulsar-null-broker"), "--listen", "127.0.0.1:0", *flags]
        self.process = Process("pulsar-null-broker", command, tools.SCRATCH / f"null-broker-{free_port()}.log")
        self.process.wait_until(lambda: self._lines(), 10)
        self.url = f"pulsar://{self._lines()[0]}"

    def counts(self) -> dict:
        before = len(self._lines())
        self.process.popen.send_signal(signal.SIGUSR1)
        self.process.wait_until(lambda: len(self._lines()) > before, 10)
        return json.loads(self._lines()[-1])

    def _lines(self) -> list[str]:
        text = self.process.log.read_text()
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [line for line in whole if line.startswith(("{", "127."))]


class TlsFront:
    """Ends TLS in front of a service, and remembers the heads of requests."""

    def __init__(self, port: int, folder: Path) -> None:
        self.to, self.heads = port, []
        self.ca = folder / "front.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(self.ca))
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"wss://localhost:{listener.getsockname()[1]}"
        self.listener = context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "TlsFront":
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: ssl.SSLSocket) -> None:
        try:
            client.do_handshake()
            service = socket.create_connection(("127.0.0.1", self.to))
            head = client.recv(65536)
            self.heads.append(head.decode())
            service.sendall(head)
            threading.Thread(target=_move, args=[service, client], daemon=True).start()
            _move(client, service)
        except OSError:
            client.close()


def _move(source: socket.socket, to: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def _certificate(path: Path) -> Path:
    """A key with a certificate for localhost that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1)).add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
