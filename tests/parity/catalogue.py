"""All scenarios, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from harness.servers import Broker, JavaPublisher

from .stage import Stage
from .transcript import Line


class Scenario(NamedTuple):
    """What is asked, and which rows of the API that covers."""

    name: str
    play: Callable[[Stage], None]
    rows: tuple[str, ...]
    # What `websocket.conf` says besides; services with the same settings are shared.
    settings: tuple[tuple[str, str], ...]

    @property
    def group(self) -> str:
        """The golden file it is kept in."""
        return self.name.split("/")[0]


ALL: dict[str, Scenario] = {}


def scenario(name: str, *rows: str, **settings: str) -> Callable:
    """Registers a function as the scenario `group/name`."""
    def register(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
        if name in ALL:
            raise ValueError(f"two scenarios are called {name}")
        ALL[name] = Scenario(name, play, rows, tuple(sorted(settings.items())))
        return play

    return register


def scenarios() -> dict[str, Scenario]:
    """All of them."""
    from . import scenarios as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return ALL


class Around(NamedTuple):
    """What stands behind and beside the services."""

    broker: Broker
    publisher: JavaPublisher


def play(chosen: list[Scenario], ports: dict[tuple, int], around: Around, at_once: int = 12) -> dict[str, list[Line]]:
    """The transcripts of scenarios with the services of these settings. Most of a scenario is waiting, so several play at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        return dict(zip([one.name for one in chosen], pool.map(lambda one: play_one(one, ports[one.settings], around), chosen)))


def play_one(one: Scenario, port: int, around: Around) -> list[Line]:
    stage = Stage(port, around.broker, around.publisher)
    try:
        one.play(stage)
    except Exception as error:
        stage.note("broke off", repr(error))
    finally:
        stage.close()
    return stage.transcript.lines
