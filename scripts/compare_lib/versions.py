"""Which programs were compared."""

from __future__ import annotations

import argparse
import re
import subprocess

from harness import tools

from . import haproxy


def all_of(chosen: argparse.Namespace) -> dict[str, str]:
    found = {"ours": ours()}
    if not chosen.no_java:
        found |= {"java": java_service(), "jvm": jvm()}
    if not chosen.no_haproxy and "W2" in chosen.parts:
        found["haproxy"] = haproxy.version()
    return found


def ours() -> str:
    told = subprocess.run([tools.our_binary(), "--version"], capture_output=True, text=True, check=False).stdout.split()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False,
                            cwd=tools.ROOT)
    return " ".join([*told[-1:], *([f"({commit.stdout.strip()})"] if commit.returncode == 0 else [])])


def java_service() -> str:
    found = re.search(r"<pulsar\.version>(.*?)</pulsar\.version>", (tools.JAVA_SOURCES / "pom.xml").read_text())
    return found.group(1) if found else "unknown"


def jvm() -> str:
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    words = (told.stderr + told.stdout).split('"')
    return words[1] if len(words) > 1 else "unknown"
