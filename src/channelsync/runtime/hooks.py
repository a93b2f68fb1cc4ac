"""The hooks of a process: each is served by a part of its own, and follows the configuration as it is reloaded."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_hooks import HookConfig
from channelsync.runtime.vault_owners import with_secrets
from channelsync.runtime.wiring import worker_name
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.tasks import ended
from channelsync.store import findings
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.agent import Agent
from channelsync.sync.outgoing import Courier
from channelsync.sync.outgoing_events import HookSetup

log = structlog.get_logger(__name__)

_LOOK_EVERY = 3.0
_AGAIN_AFTER = 5.0
_AGAIN_AFTER_ERROR = 60.0


async def keep_hooks(agent: Agent, loaded: Callable[[], Loaded]) -> None:
    """Serves every configured hook until it is cancelled. One that was changed is served anew, as it is then.

    So is one whose secret in the vault was changed; one whose secret is not there waits for it, with a finding.
    """
    served: dict[HookSetup, asyncio.Task[None]] = {}
    secrets_of = _Secrets(agent)
    try:
        while True:
            wanted = set[HookSetup]()
            for one in loaded().config.hooks:
                try:
                    wanted |= await secrets_of.setup(loaded(), one)
                except DatabaseError:  # whoever serves it waits by itself
                    wanted |= {known for known in served if known.name == one.name}
            await ended([served.pop(known) for known in list(served) if known not in wanted])
            for setup in wanted - served.keys():
                served[setup] = asyncio.create_task(_serve(agent, setup), name=f"hook {setup.name}")
            for task in served.values():
                if task.done():
                    task.result()  # only an error in telling of one ends it: the part that keeps all of them tells it
            await agent.clock.sleep(_LOOK_EVERY)
    finally:
        await ended(list(served.values()))


@dataclass(slots=True)
class _Secrets:
    """The secrets of hooks, and findings about those that are not in the vault. lacking: why, by hook; "": none is."""

    agent: Agent
    lacking: dict[str, str] = field(default_factory=dict)

    async def setup(self, loaded: Loaded, hook: HookConfig) -> set[HookSetup]:
        """The hook with its secrets; nothing where one is not there. Raises DatabaseError."""
        try:
            found, why = {(await with_secrets(loaded, hook, self.agent.database, self.agent.clock)).setup}, ""
        except NeedsSeller as error:
            found, why = set[HookSetup](), error.what_to_do
        if self.lacking.get(hook.name) != why:
            await self._tell(hook.name, why)
            self.lacking[hook.name] = why
        return found

    async def _tell(self, name: str, why: str) -> None:
        now = self.agent.clock.now()
        finding = Finding(
            kind=FindingKind.HOOK_FAILING, subject=(name, "secret"), summary=f"Hook {name} cannot be served. {why}"
        )
        if why:
            log.warning("hook.waits", hook=name, reason=why)
            await self.agent.database.transact(lambda c: findings.open_findings(c, [finding], now))
        else:
            closed = [fingerprint(FindingKind.HOOK_FAILING, name, "secret")]
            await self.agent.database.transact(
                lambda c: findings.close_findings(c, closed, "its secrets are there", now)
            )


async def _serve(agent: Agent, hook: HookSetup) -> None:
    """Serves one hook; without a database it waits for one. Errors that nobody foresaw stop this hook alone: they are
    findings, and it is begun again after a pause."""
    rng = random.Random(secrets.randbits(64))  # noqa: S311 - spreads retries, guards nothing
    while True:
        try:
            await Courier(agent=agent, hook=hook, owner=worker_name(agent.run), rng=rng).keep()
        except DatabaseError as error:
            log.warning("hook.waits", hook=hook.name, reason=str(error))
            await agent.clock.sleep(_AGAIN_AFTER)
        except Exception as error:
            log.exception("part.failed", part=f"hook {hook.name}", again_in=_AGAIN_AFTER_ERROR)
            with suppress(DatabaseError):  # the log has it
                await _tell_stopped(agent, hook.name, error)
            await agent.clock.sleep(_AGAIN_AFTER_ERROR)


async def _tell_stopped(agent: Agent, name: str, error: Exception) -> None:
    """Opens the finding that ends when a message is accepted. Of the error only its kind: its text may hold secrets."""
    finding = Finding(
        kind=FindingKind.HOOK_FAILING,
        subject=(name,),
        summary=f"Hook {name} stopped by an error that channelsync does not know ({type(error).__name__}). It is begun "
        "again after a pause; look into the log, and report it if it comes back.",
    )
    await agent.database.transact(lambda c: findings.open_findings(c, [finding], agent.clock.now()))
