"""Hooks: other systems are told what changed, each message until it was accepted, or until there is no hope.

One worker at a time serves a hook. It looks what is new, keeps that as messages, and sends them one after the other,
in their order. An address that cannot be reached holds up its messages, and only its; a message that is refused for
what it says holds up no other. A message is sent again under the same id: whoever receives it must be able to take it
twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib.metadata import version

import structlog
from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.sdk.outbound import Outbound, Posted
from channelsync.sdk.webhooks import StandardWebhooks
from channelsync.store import findings, leases, outgoing
from channelsync.store.outgoing import Message, StoredHook
from channelsync.sync.agent import Agent
from channelsync.sync.outgoing_changes import LOOK_BACK, Fresh, begin_of, fresh_messages, keep_messages
from channelsync.sync.outgoing_events import TEST, HookSetup, payload_of
from channelsync.sync.outgoing_plan import verdict_of, wait_after

log = structlog.get_logger(__name__)

LOOK_EVERY = 2.0
"""Seconds between two looks; what changes within becomes one message."""

LOOK_SHARE = 0.1
"""Of its time a hook looks for so much at most: after a large import there is much to look through, again and again."""

SEEN_FOR = timedelta(hours=1)
"""After so long it is looked through in any case: old findings are taken away."""

LEASE_LASTS = timedelta(minutes=1)
SENT_AT_ONCE = 20
SENT_WITHIN = LEASE_LASTS / 3
"""Messages, and time, between two looks at the right to send, and at what is newer: an address that answers slowly
must not let the right run out."""

KEPT_FOR = timedelta(days=3)
"""How long accepted messages are kept."""

TOLD_FROM = 3
"""From so many failures in a row on there is a finding."""

_FORGET_EVERY = timedelta(hours=1)

Opened = Callable[[HookSetup], Outbound]


def opened_to(hook: HookSetup) -> Outbound:
    """What posts to a hook's address."""
    return Outbound(hook.url, allow_private=hook.allow_private)


@dataclass(slots=True, kw_only=True)
class Courier:
    """Serves one hook in one worker. owner: the worker's name. rng: spreads retries. opened: see `opened_to`."""

    agent: Agent
    hook: HookSetup
    owner: str
    rng: random.Random
    opened: Opened = opened_to
    _lease: leases.Lease | None = field(default=None, init=False)
    _forgot_at: datetime | None = field(default=None, init=False)
    _look_at: float | None = field(default=None, init=False)
    _told_to: datetime | None = field(default=None, init=False)
    _seen: tuple[datetime, outgoing.Count] | None = field(default=None, init=False)

    async def keep(self) -> None:
        """Serves the hook until it is cancelled."""
        async with AsyncExitStack() as stack:
            outbound = await stack.enter_async_context(self.opened(self.hook))
            stack.push_async_callback(self._give_up)
            while True:
                if not await self.round(outbound):
                    await self.agent.clock.sleep(LOOK_EVERY)

    async def round(self, outbound: Outbound) -> bool:
        """One look, and some messages. Returns whether there is more to do at once."""
        if self.agent.stopping or not await self._held():
            return False
        now = self.agent.clock.now()
        stored = await self._stored(now)
        if stored.stopped:
            return False
        await self._look(stored, now)
        await self._forget(now)
        if stored.not_before is not None and now < stored.not_before:
            return False
        return await self._send(stored, outbound)

    async def _look(self, stored: StoredHook, now: datetime) -> None:
        """Keeps what is new as messages; not more often than every `LOOK_EVERY`, unless there was no room for all."""
        clock = self.agent.clock
        tick = clock.monotonic()
        if self._look_at is not None and tick < self._look_at:
            return
        since = begin_of(stored, now)
        if await self._nothing_new(stored, since):
            fresh = Fresh((), now, all_of_it=True)
        else:
            count = await self.agent.database.query(lambda c: outgoing.count_changes(c, since))
            fresh = await self.agent.database.query(lambda c: fresh_messages(c, self.hook, stored, now))
            self._seen = (since, count) if fresh.all_of_it and not fresh.messages else None
        if fresh.messages or abs(fresh.told_to - stored.told_to) >= LOOK_BACK / 10:
            await self.agent.database.transact(lambda c: keep_messages(c, self.hook.name, fresh))
            stored = replace(stored, told_to=fresh.told_to)
        self._told_to = stored.told_to
        took = clock.monotonic() - tick
        self._look_at = tick + max(took / LOOK_SHARE, LOOK_EVERY if fresh.all_of_it else 0.0)

    async def _nothing_new(self, stored: StoredHook, since: datetime) -> bool:
        """Whether nothing has come since the last look, which found nothing: that is asked more cheaply than what came.

        Not where somebody has the hook told anew, or the clock went back: then more is to be looked through.
        """
        if self._seen is None or stored.told_to != self._told_to:
            return False
        begin, count = self._seen
        if not begin <= since < begin + SEEN_FOR:
            return False
        return await self.agent.database.query(lambda c: outgoing.count_changes(c, begin)) == count

    async def _held(self) -> bool:
        """Whether this worker serves the hook, which it says by renewing its right."""
        local = self.agent.clock.now()
        name = leases.hook_lease(self.hook.name)
        self._lease = await self.agent.database.transact(
            lambda c: leases.take_lease(c, name, self.owner, local, LEASE_LASTS, ends_sessions=False)
        )
        return self._lease is not None

    async def _give_up(self) -> None:
        lease, local = self._lease, self.agent.clock.now()
        if lease is not None:
            await self.agent.database.transact(lambda c: leases.give_up_lease(c, lease, local))

    async def _stored(self, now: datetime) -> StoredHook:
        found = await self.agent.database.query(lambda c: outgoing.find_hook(c, self.hook.name))
        if found is not None:
            return found
        return await self.agent.database.transact(lambda c: outgoing.begin_hook(c, self.hook.name, now))

    async def _forget(self, now: datetime) -> None:
        if self._forgot_at is None or now - self._forgot_at >= _FORGET_EVERY:
            self._forgot_at = now
            before = now - KEPT_FOR
            await self.agent.database.transact(lambda c: outgoing.forget_delivered(c, self.hook.name, before=before))

    async def _send(self, stored: StoredHook, outbound: Outbound) -> bool:
        """Sends what is due until one is not accepted. Returns whether there may be more that would be."""
        now, ends = self.agent.clock.now(), self.agent.clock.monotonic() + SENT_WITHIN.total_seconds()
        due = await self.agent.database.query(lambda c: outgoing.due_messages(c, self.hook.name, now, SENT_AT_ONCE))
        accepted: list[Message] = []
        failed: tuple[Message, Posted] | None = None
        try:
            for message in due:
                posted = await post(outbound, self.hook, message.message, message.payload, self.agent.clock.now())
                if verdict_of(posted.status) != "delivered":
                    failed = (message, posted)
                    break
                accepted.append(message)
                if self.agent.clock.monotonic() >= ends:
                    break
        finally:  # also when the agent stops: what was accepted need not be sent again
            await self._record(stored, accepted, failed)
        if failed is not None:
            return verdict_of(failed[1].status) == "message refused"
        return bool(due)

    async def _record(self, stored: StoredHook, accepted: list[Message], failed: tuple[Message, Posted] | None) -> None:
        if not accepted and failed is None:
            return
        now, spread = self.agent.clock.now(), self.rng.random()

        def unit(connection: Connection) -> None:
            if accepted:
                outgoing.mark_delivered(connection, accepted, now)
                self._well(connection, now)
            if failed is not None:
                failures = 0 if accepted else stored.failures
                self._failed(connection, failed, failures, now, spread)

        await self.agent.database.transact(unit)

    def _well(self, connection: Connection, now: datetime) -> None:
        """Its address accepts messages."""
        name = self.hook.name
        outgoing.change_hook(
            connection, name, failures=0, failing_since=None, not_before=None, problem="", delivered_at=now
        )
        if not outgoing.count_waiting(connection, name, attempts=TOLD_FROM):
            findings.close_findings(
                connection, [fingerprint(FindingKind.HOOK_FAILING, name)], "its messages are accepted again", now
            )

    def _failed(
        self, connection: Connection, failed: tuple[Message, Posted], failures: int, now: datetime, spread: float
    ) -> None:
        message, posted = failed
        verdict, said = verdict_of(posted.status), posted.problem or f"HTTP {posted.status}"
        log.warning("hook.failed", hook=self.hook.name, message=message.message, reason=said)
        if verdict == "gone":
            self._stop(connection, "its address answers that it is gone (HTTP 410)", now)
        elif verdict == "message refused":
            wait = wait_after(message.attempts + 1, spread)
            outgoing.put_off(connection, message, None if wait is None else now + wait)
            if message.attempts + 1 >= TOLD_FROM:
                self._find(connection, f"refuses a message ({message.type}): {said}", now)
        else:
            wait = wait_after(failures + 1, spread)
            if wait is None:
                self._stop(connection, f"nothing was accepted in three days: {said}", now)
                return
            since = {"failing_since": now} if failures == 0 else {}
            outgoing.change_hook(
                connection, self.hook.name, failures=failures + 1, not_before=now + wait, problem=said, **since
            )
            if failures + 1 >= TOLD_FROM:
                self._find(connection, f"does not accept messages: {said}", now)

    def _find(self, connection: Connection, what: str, now: datetime) -> None:
        name = self.hook.name
        finding = Finding(
            kind=FindingKind.HOOK_FAILING,
            subject=(name,),
            summary=f"Hook {name} {what}. Messages wait and are sent again; `channelsync hooks test {name}` tries it.",
        )
        findings.open_findings(connection, [finding], now)

    def _stop(self, connection: Connection, why: str, now: datetime) -> None:
        """Nothing is made or kept for it any more, so that nothing grows."""
        name = self.hook.name
        missed_from = outgoing.oldest_waiting(connection, name)
        outgoing.change_hook(connection, name, stopped=why, problem=why, failing_since=missed_from or now)
        dropped = outgoing.drop_waiting(connection, name)
        finding = Finding(
            kind=FindingKind.HOOK_FAILING,
            subject=(name, "stopped"),
            summary=f"Hook {name} was stopped: {why}. Mend its address, or take it out of the configuration; "
            f"`channelsync hooks replay {name}` begins again and tells what it missed.",
            evidence={"dropped": dropped},
        )
        findings.open_findings(connection, [finding], now)
        findings.close_findings(connection, [fingerprint(FindingKind.HOOK_FAILING, name)], "it was stopped", now)


async def post(outbound: Outbound, hook: HookSetup, message: str, payload: bytes, now: datetime) -> Posted:
    """Sends one message, signed."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"channelsync/{version('channelsync')}",
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": StandardWebhooks(hook.secrets).signature(message, now, payload),
    }
    return await outbound.post(payload, headers)


async def send_test(hook: HookSetup, message: str, now: datetime, opened: Opened = opened_to) -> Posted:
    """Sends a message that says nothing, whatever else waits, and returns what was answered."""
    async with opened(hook) as outbound:
        return await post(outbound, hook, message, payload_of(TEST, {"hook": hook.name}, now), now)


def replay(connection: Connection, hook: str, since: datetime | None, now: datetime) -> datetime:
    """Tells a hook again what changed since a moment, and begins to serve it where it was stopped.

    since None: of what it may have missed, or where nothing failed since its last message. Returns the moment.
    """
    stored = outgoing.begin_hook(connection, hook, now)
    begin = since or (stored.failing_since or stored.delivered_at or stored.told_to) - LOOK_BACK
    outgoing.forget_delivered(connection, hook)
    outgoing.change_hook(
        connection,
        hook,
        told_to=begin + LOOK_BACK,
        failures=0,
        failing_since=None,
        not_before=None,
        stopped="",
        problem="",
    )
    names = [fingerprint(FindingKind.HOOK_FAILING, hook, *more) for more in ((), ("stopped",))]
    findings.close_findings(connection, names, "it was begun again", now)
    return begin
