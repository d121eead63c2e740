"""Processes that cannot outlive the tests.

Each one leads its own process group, gets a kill signal from the kernel should its parent die, and
is killed by group when the tests end, fail or are interrupted.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

PR_SET_PDEATHSIG = 1
_running: list["Process"] = []
_handed_out: set[int] = set()


class Process:
    """A program in the background, with its output in a file."""

    def __init__(self, name: str, command: list[object], log: Path, env: dict | None = None,
                 cwd: Path | None = None) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, cwd=cwd,
                start_new_session=True, preexec_fn=_die_with_parent,
            )
        _running.append(self)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Returns when `ready` says yes; raises with the end of the log when that takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive():
                raise RuntimeError(f"{self.name} ended with code {self.popen.returncode}\n{self.tail()}")
            if ready():
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} was not ready after {seconds:.0f} s\n{self.tail()}")

    def tail(self, lines: int = 40) -> str:
        """The end of the log."""
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- end of {self.log}", *text[-lines:]])

    def terminate(self, seconds: float = 10) -> int:
        """Asks politely; returns the exit code, and kills what does not end in time."""
        if self.alive():
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        return self.kill()

    def kill(self) -> int:
        """Ends the process and whatever it started."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        code = self.popen.wait()
        if self in _running:
            _running.remove(self)
        return code


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@atexit.register
def kill_all() -> None:
    """Ends every process that is still there."""
    for process in list(_running):
        process.kill()


def end_on_signals() -> None:
    """Makes SIGTERM and SIGHUP end the program as Ctrl-C does: cleanly."""
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def to_its_end(main: Callable[[], int | None]) -> int:
    """Runs a program's `main`, and returns its exit status. Where it is interrupted, or a file or a process fails it, it says so
    and shows no trace."""
    end_on_signals()
    try:
        return main() or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1


def end_with_parent() -> None:
    """Has the kernel send this process SIGTERM should its parent die, also after an exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port(preferred: int | None = None) -> int:
    """A loopback port nobody listens on now, never the same one twice."""
    for port in [preferred] if preferred else []:
        if port not in _handed_out and _bindable(port):
            _handed_out.add(port)
            return port
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _handed_out:
            _handed_out.add(port)
            return port


def _bindable(port: int) -> bool:
    # An earlier server's connections in TIME_WAIT do not count.
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET6 and not socket.has_ipv6:
                continue
            if family == socket.AF_INET6 and error.errno in (97, 99):
                continue
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
