"""Finds the tools the tests need and installs, once, what they need under `target/`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
E2E = ROOT / "tests" / "e2e"
JAVA_SOURCES = ROOT / "scripts" / "java"
TARGET = ROOT / "target"
VENV = TARGET / "venv"
NODE = TARGET / "node"
PEER = ROOT / "tests" / "peer"
PULSAR = TARGET / "pulsar"
PULSAR_LIB = PULSAR / "lib"
SCRATCH = TARGET / "e2e"

# What a Debian machine calls the package that brings the tool.
NEEDED = {
    "cargo": "cargo is missing: install Rust (rustup), 1.89 or newer.",
    "cc": "cc is missing: install a C compiler (Debian: apt install gcc).",
    "python3": "python3 is missing: install Python 3 (Debian: apt install python3 python3-venv).",
    "node": "node is missing: install Node 18 or newer (Debian: apt install nodejs npm).",
    "npm": "npm is missing: install it beside Node (Debian: apt install npm).",
    "java": "java is missing: install a Java 17 runtime (Debian: apt install openjdk-17-jdk-headless).",
    "javac": "javac is missing: install a Java 17 compiler (Debian: apt install openjdk-17-jdk-headless).",
    "mvn": "mvn is missing: install Maven (Debian: apt install maven).",
    "valgrind": "valgrind is missing: install it (Debian: apt install valgrind).",
}


class Missing(SystemExit):
    """A tool is not there. Ends the program with a sentence that names it."""


def need(*names: str) -> None:
    """Ends the program unless all these tools are there and new enough."""
    problems = [NEEDED[name] for name in names if shutil.which(name) is None]
    if not problems:
        problems = [problem for name in names if (problem := _too_old(name))]
    if problems:
        raise Missing("\n".join(problems))


def _too_old(name: str) -> str | None:
    if name == "python3":
        try:
            import ensurepip  # noqa: F401
            import venv  # noqa: F401
        except ImportError:
            return "python3 has no venv: install it (Debian: apt install python3-venv)."
        if sys.version_info < (3, 9):
            return "python3 is too old: 3.9 or newer is needed."
    if name == "node" and _major("node", "--version") < 18:
        return "node is too old: 18 or newer is needed."
    if name == "java" and _major("java", "-version") < 17:
        return "java is too old: 17 or newer is needed."
    return None


def _major(*command: str) -> int:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)\.", ran.stdout + ran.stderr)
    return int(found.group(1)) if found else 0


def venv_python() -> Path:
    """The Python of the virtual environment, made and filled when its list of packages changed."""
    wanted = E2E / "requirements.txt"
    python = VENV / "bin" / "python"
    if not _stamped(VENV, wanted):
        need("python3")
        say("installing Python clients into target/venv")
        shutil.rmtree(VENV, ignore_errors=True)
        run(sys.executable, "-m", "venv", VENV)
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted)
        _stamp(VENV, wanted)
    return python


def node_modules() -> Path:
    """The folder for `NODE_PATH`."""
    wanted = E2E / "package.json"
    if not _stamped(NODE, wanted):
        need("node", "npm")
        say("installing the Node client into target/node")
        shutil.rmtree(NODE, ignore_errors=True)
        NODE.mkdir(parents=True)
        shutil.copy(wanted, NODE / "package.json")
        quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
        run("npm", "install", *quiet, cwd=NODE)
        _stamp(NODE, wanted)
    return NODE / "node_modules"


def pulsar_jars() -> Path:
    """The folder with Pulsar's jars, resolved by our own pom."""
    wanted = JAVA_SOURCES / "pom.xml"
    if not _stamped(PULSAR, wanted):
        need("java", "mvn")
        say("resolving Pulsar into target/pulsar/lib (about 320 jars, 235 MB)")
        shutil.rmtree(PULSAR, ignore_errors=True)
        run(
            "mvn", "--quiet", "--batch-mode", "--file", wanted, "dependency:copy-dependencies",
            "-DincludeScope=runtime", f"-DoutputDirectory={PULSAR_LIB}",
        )
        _stamp(PULSAR, wanted)
    return PULSAR_LIB


def java_classes() -> Path:
    """The folder with our own Java programs, compiled against Pulsar's jars."""
    jars = pulsar_jars()
    classes = PULSAR / "classes"
    sources = sorted([*JAVA_SOURCES.glob("*.java"), *(E2E / "java").glob("*.java")])
    if not _stamped(classes, *sources):
        need("javac")
        shutil.rmtree(classes, ignore_errors=True)
        classes.mkdir()
        run("javac", "-nowarn", "-XDsuppressNotes", "-d", classes, "-cp", f"{jars}/*", *sources)
        _stamp(classes, *sources)
    return classes


def build_release() -> Path:
    """Builds our program as it is shipped."""
    need("cargo", "cc")
    run("cargo", "build", "--release", "--locked", "--quiet", cwd=ROOT)
    return our_binary()


def our_binary() -> Path:
    """Our program; another build of it may be named by the environment."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", TARGET))
    return Path(os.environ.get("PULSAR_WS_FAST", target / "release" / "pulsar-ws-fast"))


def peer_sources() -> None:
    """Downloads what `tests/peer` is built from. Its protobuf compiler lies in the virtual environment."""
    run("cargo", "fetch", "--locked", "--quiet", "--target", "x86_64-unknown-linux-gnu", cwd=PEER)


def peer_binary() -> Path:
    """The client made of the crate `pulsar`, built when its sources changed."""
    need("cargo", "cc")
    venv_python()
    run("cargo", "build", "--locked", "--quiet", cwd=PEER)
    return Path(os.environ.get("CARGO_TARGET_DIR", TARGET / "peer")) / "debug" / "pulsar-peer"


def run(*command: object, cwd: Path | None = None) -> None:
    """Runs a command to its end; ends the program when it fails."""
    words = [str(word) for word in command]
    code = subprocess.run(words, cwd=cwd, check=False).returncode
    if code != 0:
        raise SystemExit(f"failed with code {code}: {' '.join(words)}")


def say(sentence: str) -> None:
    """Tells whoever watches what is going on."""
    print(f"== {sentence}", file=sys.stderr, flush=True)


def _digest(sources: tuple[Path, ...]) -> str:
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()


def _stamped(folder: Path, *sources: Path) -> bool:
    stamp = folder / ".installed"
    return stamp.exists() and stamp.read_text() == _digest(sources)


def _stamp(folder: Path, *sources: Path) -> None:
    (folder / ".installed").write_text(_digest(sources))
