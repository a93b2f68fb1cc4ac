"""Who wants a process to read its configuration anew, and what they are told: the same for daemons and receivers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from channelsync.runtime.config import Loaded
from channelsync.runtime.config_errors import BadWebhookSecret, ConfigInvalid
from channelsync.runtime.receiver import refuse_bad_secrets
from channelsync.runtime.reload_plan import Reload
from channelsync.sdk.clock import Clock
from channelsync.sdk.discovery import Catalogue
from channelsync.store import daemons
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseError

log = structlog.get_logger(__name__)

Reread = Callable[[], Loaded]
"""Reads the configuration anew. Raises ConfigInvalid."""

Answer = Mapping[str, object]
"""What became of a reload: "outcome" is reloaded, unchanged or refused; the rest tells more."""


class ReloadRefused(Exception):
    """The configuration is wrong, or cannot be taken now. problems: all, with their lines where they have one."""

    def __init__(self, problems: Sequence[tuple[str, int | None]]) -> None:
        super().__init__("; ".join(problem for problem, _ in problems))
        self.problems = problems


@dataclass(slots=True, kw_only=True)
class Wishes:
    """Wishes for a reload, carried out one at a time: those that come meanwhile are one more.

    run: of the process that is asked.
    """

    database: Database
    run: str
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: list[str] = field(default_factory=list)

    def ask(self, wish: str = "") -> None:
        """Somebody wants a reload. wish: the run that waits for the answer; empty: nobody does."""
        if wish:
            self._waiting.append(wish)
        self._wanted.set()

    async def keep(self, reload: Callable[[], Awaitable[Answer]]) -> None:
        """Reloads whenever somebody wants it, and answers, until it is cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            wishes, self._waiting = self._waiting, []
            said = await reload()
            for wish in wishes:
                await self._answer(wish, said)

    async def _answer(self, wish: str, said: Answer) -> None:
        try:
            await self.database.transact(lambda c: daemons.answer_reload(c, self.run, wish, said))
        except DatabaseError as error:
            log.warning("config.not_answered", reason=str(error))


def read_anew(reread: Reread, catalogue: Catalogue, clock: Clock) -> Loaded:
    """The configuration, as strictly checked as at a start. Raises ReloadRefused."""
    try:
        new = reread()
        refuse_bad_secrets(new, catalogue, clock)
    except ConfigInvalid as error:
        raise ReloadRefused([(str(one), one.line) for one in error.problems]) from error
    except BadWebhookSecret as error:
        raise ReloadRefused([(str(error), None)]) from error
    return new


def refused(path: Path, error: ReloadRefused) -> Answer:
    """Says in the log that the configuration in use holds on, and why; returns what to tell whoever asked."""
    for problem, line in error.problems:
        log.error("config.refused", file=str(path), line=line, reason=problem)
    log.warning("config.kept", file=str(path), reason="the configuration in use holds on")
    return {"outcome": "refused", "problems": [problem for problem, _ in error.problems]}


def told(outcome: str, plan: Reload) -> dict[str, object]:
    """What to tell whoever asked for a reload that was not refused."""
    return {
        "outcome": outcome,
        "changed": list(plan.changed),
        "waiting": list(plan.waiting),
        "added": list(plan.added),
        "removed": list(plan.removed),
        "reopened": list(plan.reopened),
    }


def say_reloaded(plan: Reload) -> None:
    """Says in the log that a configuration is in use, and what is different."""
    log.info(
        "config.reloaded",
        file=str(plan.loaded.path),
        changed=", ".join(plan.changed),
        channels_added=", ".join(plan.added),
        channels_removed=", ".join(plan.removed),
        channels_reopened=", ".join(plan.reopened),
    )
