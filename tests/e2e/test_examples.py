"""The clients of the API's documentation: `websocket-client` for Python and `ws` for Node, as they come.

The programs in `examples/` do what the documentation's programs do, in the same calls; they only take
the service's address as an argument. With DOCUMENTED_EXAMPLES naming a folder with copies of that
documentation, its own programs run too, with nothing but the address replaced.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from harness import programs
from harness.client import decode
from harness.programs import LANGUAGES, Program


@pytest.fixture
def example(service):
    return lambda language, name: programs.example(language, name, service.base)


@pytest.mark.parametrize("to", LANGUAGES)
@pytest.mark.parametrize("by", LANGUAGES)
def test_examples_talk_to_each_other(service, broker, example, by, to):
    with example(to, "consumer") as consumer, example(to, "reader") as reader:
        consumer.line("open")
        reader.line("open")
        with example(by, "producer") as producer:
            line = producer.line("published " if by == "python" else "received ack: ")
            reply = json.loads(line[line.index("{"):])
            assert reply["result"] == "ok"
            assert reply["context"] == ("5" if by == "python" else "1")
        for program in (consumer, reader):
            line = program.line("received ")
            text, payload = re.fullmatch(r"received (\{.*\}) payload (.*)", line).groups()
            assert payload.strip("b'") == "Hello World"
            message = json.loads(text)
            assert message["messageId"] == reply["messageId"]
            assert message["properties"] == {"key1": "value1", "key2": "value2"}
            assert decode(message) == b"Hello World"
        assert broker.until_backlog("my-topic", "my-sub", 0) == 0


def documented(folder: Path, language: str, kind: str) -> str:
    """A program out of the documentation: the code block in that language that names that endpoint."""
    fence = {"python": "python", "node": "javascript"}[language]
    for page in sorted(folder.glob("*")):
        text = page.read_text(errors="replace")
        for block in re.findall(rf"```{fence}\n(.*?)```", text, re.DOTALL):
            if f"/ws/v2/{kind}/" in block:
                return block
    raise AssertionError(f"no {language} example of a {kind} in {folder}")


@pytest.mark.skipif(not os.environ.get("DOCUMENTED_EXAMPLES"), reason="DOCUMENTED_EXAMPLES names no folder")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_documentation_itself(service, tmp_path, language):
    def run(kind: str) -> Program:
        ending, command = LANGUAGES[language]
        source = documented(Path(os.environ["DOCUMENTED_EXAMPLES"]), language, kind)
        program = tmp_path / f"{kind}.{ending}"
        program.write_text(source.replace("localhost:8080", f"127.0.0.1:{service.port}"))
        return Program([*command, str(program)])

    service.consumer("my-topic", "my-sub").close()
    with run("producer") as producer:
        line = producer.lines.get(timeout=20)
        assert "Message published successfully" in line or '"result":"ok"' in line
    with run("consumer") as consumer:
        line = consumer.lines.get(timeout=20)
        assert line.startswith("Received: ") and "Hello World" in line
