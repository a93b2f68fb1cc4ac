"""What every command is given: the global options, and with them the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import typer

from channelsync.runtime import config, logging
from channelsync.runtime.secrets import HiddenTexts
from channelsync.sdk.discovery import Catalogue, installed

T = TypeVar("T")


@dataclass(slots=True)
class Invocation:
    """One start of the command line.

    environ: the process's environment. config_path, overrides, debug: the global options.
    secrets: texts that must not be printed; known once the configuration is loaded.
    """

    environ: Mapping[str, str]
    config_path: Path = config.DEFAULT_PATH
    overrides: dict[str, str] = field(default_factory=dict)
    debug: bool = False
    secrets: HiddenTexts = field(default_factory=HiddenTexts)

    def reread(self, path: Path | None = None, catalogue: Catalogue | None = None) -> config.Loaded:
        """The configuration as `load` reads it; logging stays as it is."""
        return config.load(
            path or self.config_path,
            self.environ,
            overrides=self.overrides,
            catalogue=catalogue if catalogue is not None else installed(),
        )

    def load(self, path: Path | None = None, catalogue: Catalogue | None = None) -> config.Loaded:
        """The configuration; logging then follows it. Raises ConfigInvalid.

        path: another file than the one of the global option. catalogue: None means the installed connectors.
        """
        loaded = self.reread(path, catalogue)
        self.secrets = loaded.secrets
        level = "debug" if self.debug else loaded.config.log.level
        logging.configure(level, loaded.config.log.format, loaded.secrets)
        return loaded


def invocation(context: typer.Context) -> Invocation:
    """The invocation that a command belongs to."""
    found = context.find_object(Invocation)
    if found is None:
        raise TypeError("a command runs under main(), which makes the invocation")
    return found


def awaited(work: Coroutine[Any, Any, T]) -> T:
    """The result of what a command does asynchronously, in a loop of its own that is closed afterwards."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)
