"""Findings about what the configuration names no more: whoever took it out has answered them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.findings import FindingKind
from channelsync.runtime.config_models import Config
from channelsync.store import findings
from channelsync.store.findings import StoredFinding

_OF_CHANNELS = (FindingKind.NEEDS_SELLER, FindingKind.CHANNEL_DOWN, FindingKind.WEBHOOKS)
_OF_FEEDS = (FindingKind.FEED_REFUSED, FindingKind.FEED_LATE)
_MANY = 10_000


def close_forgotten(connection: Connection, config: Config, now: datetime) -> None:
    """Closes findings about hooks, feeds and access to channels that are not configured any more.

    What was sold and counted stays open: removing a channel puts no unit right.
    """
    kinds = (FindingKind.HOOK_FAILING, FindingKind.TASK_FAILED, *_OF_FEEDS, *_OF_CHANNELS)
    found = findings.list_findings(connection, kinds=kinds, limit=_MANY)
    gone = [one.fingerprint for one in found if _forgotten(one, config)]
    findings.close_findings(connection, gone, "it is not configured any more", now)


def _forgotten(one: StoredFinding, config: Config) -> bool:
    subject = one.fingerprint.split("|")[1:]
    if one.kind == FindingKind.HOOK_FAILING:
        return subject[0] not in {hook.name for hook in config.hooks}
    feeds = {feed.name for feed in config.feeds}
    if one.kind in _OF_FEEDS:
        return subject[0] not in feeds
    if one.kind == FindingKind.TASK_FAILED and (feed := subject[-1].removeprefix("feed:")) != subject[-1]:
        return feed not in feeds
    return one.channel != "" and one.channel not in {channel.name for channel in config.channels}
