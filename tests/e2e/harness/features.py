"""Skips tests of what this build does not do yet, by its own word, so that they run once it does."""

from __future__ import annotations

import re

import pytest
from websockets.exceptions import InvalidStatus

from harness import tools
from harness.client import Endpoints


def need_parameter(service: Endpoints, endpoint: str, topic: str, **parameters: object) -> None:
    """Skips when a handshake with these parameters is refused as not supported yet; any other refusal is a failure."""
    try:
        getattr(service, endpoint)(topic, **parameters).close()
    except InvalidStatus as refused:
        text = (refused.response.body or b"").decode(errors="replace")
        if refused.response.status_code == 400 and "not supported yet" in text:
            pytest.skip(re.search(r"<title>Error 400 (.*?)</title>", text).group(1))
        raise


def need_built(service: Endpoints, word: str) -> None:
    """Skips while the page on differences lists the word under what is not built yet: for what no handshake tells."""
    page = (tools.ROOT / "docs" / "differences.md").read_text()
    missing = re.search(r"^## Not built yet\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    if not service.is_java and missing and word.lower() in missing.group(1).lower():
        pytest.skip(f"not built yet: {word}")
