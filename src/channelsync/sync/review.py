"""Comparisons of whole channels that end in a plan: mass drift, and targets that another configuration moved.

A difference counts here when nothing under way explains it: the key is not on the agenda, or its number rose by itself
and no order explains that. Whatever is on the agenda was judged with the run that put it there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.guard import Hold
from channelsync.sdk.paging import in_batches
from channelsync.store import agenda, channels, guarded_keys, keys
from channelsync.store.guarded_keys import GuardedKey
from channelsync.store.keys import KeyRecord
from channelsync.sync.agent import Agent
from channelsync.sync.compare_all import Step, compare_all
from channelsync.sync.guard import HeldPlan, Judging, Move, guarded_channels
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup

KEYS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Who compares. run, now: what plans will say. only: channels; None: all that have limits."""

    run: str
    now: datetime
    only: Collection[str] | None = None


def review(connection: Connection, setup: Setup, measures: Measures, asked: Review) -> list[HeldPlan]:
    """Compares channels with what they should show, and holds a channel of which more differs than its limits allow.

    To be called in a transaction of its own, right after the listings were pulled: what a pull has shown goes out with
    the publisher's next look. Returns the plans that are held. What differs within the limits is left to the publisher.
    """
    limits = {
        name: one
        for name, one in guarded_channels(connection, setup).items()
        if asked.only is None or name in asked.only
    }
    if not limits:
        return []
    work = Judging(connection=connection, setup=setup, run=asked.run, now=asked.now, limits=limits)
    for page in compare_all(connection, setup, measures, asked.now):
        _take(work, page.steps)
    return work.judge()


async def hold_drift(agent: Agent, name: str, wrong: Sequence[Step]) -> Sequence[Step]:
    """What a comparison of a channel found wrong, less what is held because it is too much; for `compare_channel`."""
    now = agent.clock.now()

    def unit(connection: Connection) -> set[int]:
        limits = {one: found for one, found in guarded_channels(connection, agent.setup).items() if one == name}
        if not limits:
            return set()
        work = Judging(connection=connection, setup=agent.setup, run=agent.run, now=now, limits=limits)
        _take(work, wrong)
        return {move.key.id for move in work.moves.get(name, ())} if work.judge() else set()

    held = await agent.database.transact(unit)
    return [step for step in wrong if step.key not in held]


def _take(work: Judging, wrong: Iterable[Step]) -> None:
    """Adds what is wrong and what nothing explains to the work."""
    steps = {step.key: step for step in wrong if step.decision.action in {"lower", "raise", "wait"}}
    for some in in_batches(sorted(steps), KEYS_AT_ONCE):
        records = keys.load_keys(work.connection, some)
        found = guarded_keys.keys_by_id(work.connection, some)
        held = work.held(found.values())
        for name, key in found.items():
            if key.channel in work.limits and name not in held and _unexplained(records[name]):
                _add(work, key, steps[name])


def review_configuration(connection: Connection, setup: Setup, measures: Measures, asked: Review) -> list[HeldPlan]:
    """`review`, where the configuration is another one than when this was last called; else nothing.

    What is not held is put on the publisher's agenda: nobody else tells it what was changed while no daemon ran. The
    first time there is nothing to compare with, and the configuration is only taken down.
    """
    states = channels.channel_states(connection)
    now = {name: digest_of(setup, name) for name in setup.channels}
    changed = {name for name, digest in now.items() if name in states and states[name].reviewed not in {"", digest}}
    for name, digest in now.items():
        if name not in states or states[name].reviewed != digest:
            channels.save_channel(connection, name, reviewed=digest)
    if not changed:
        return []
    held = review(connection, setup, measures, Review(run=asked.run, now=asked.now, only=changed))
    agenda.mark_all_due(connection, asked.now)  # of other channels too: rules may divide items among them
    return held


def digest_of(setup: Setup, channel: str) -> str:
    """What targets of a channel follow from in the configuration, as one short text."""
    one = setup.channels[channel]
    recipes = sorted((item, str(recipe)) for item, recipe in setup.recipes.items())
    said = (
        json.dumps(asdict(one.capabilities), default=_plain),
        *(one.locations, sorted(one.remotes.items()), one.paused, one.drift),
        *(setup.rules, recipes, sorted(setup.classes.items()), sorted(setup.channels)),
    )
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    """Of what JSON does not have: the same text in every process, which that of a set is not."""
    return sorted(value) if isinstance(value, frozenset) else str(value)


def _unexplained(record: KeyRecord) -> bool:
    return record.state.watermark is not None and (record.rise > 0 or record.due_at is None)


def _add(work: Judging, key: GuardedKey, step: Step) -> None:
    if key.shown is not None and key.shown != step.offer.units:
        hold = Hold(before=key.shown, planned=step.offer.units, room=key.shown)
        work.moves.setdefault(key.channel, []).append(Move(key, hold))
