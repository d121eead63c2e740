"""The programs in `examples/`, which do what the documentation's programs do; they run until told to stop."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading

from .tools import E2E, node_modules

EXAMPLES = E2E / "examples"
LANGUAGES = {"python": ("py", [sys.executable, "-u"]), "node": ("js", ["node", "--no-deprecation"])}


class Program:
    """A command and the lines it prints."""

    def __init__(self, command: list[str]) -> None:
        self.popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "NODE_PATH": str(node_modules())})
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        for line in self.popen.stdout:
            self.lines.put(line.rstrip("\n"))

    def line(self, start: str) -> str:
        """The next line, which has to begin so."""
        line = self.lines.get(timeout=20)
        assert line.startswith(start), line
        return line

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.wait()


def example(language: str, name: str, base: str, *where: str) -> Program:
    """An example with that service; `where`: another path than the documentation's."""
    ending, command = LANGUAGES[language]
    return Program([*command, str(EXAMPLES / f"{name}.{ending}"), base, *where])
