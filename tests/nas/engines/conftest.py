from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nas.commands import options
from nas.engines.base import Engine
from nas.engines.make import make_engine
from tests.nas.engines.victims import Victim, VictimConfig

Start = Callable[..., Engine]


@pytest.fixture(scope="session")
def start_engine() -> Callable[..., object]:
    """A context manager: an engine from flags, over `Victim`, closed at the end."""

    @contextmanager
    def start(folder: Path, *flags: str, **config: object) -> Iterator[Engine]:
        parser = argparse.ArgumentParser()
        options.add_engine(parser)
        settings = VictimConfig(folder=str(folder), **config)  # type: ignore[arg-type]
        asked = options.engine_options(parser.parse_args(flags))
        engine = make_engine(asked, Victim, settings)
        try:
            yield engine
        finally:
            engine.close()

    return start
