"""What the configuration names no more: whoever took it out has answered its findings, unless units are there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.runtime.config_models import Config
from channelsync.store import findings
from channelsync.store.findings import StoredFinding
from channelsync.store.stranded import stranded_units

_OF_CHANNELS = (FindingKind.NEEDS_SELLER, FindingKind.CHANNEL_DOWN, FindingKind.WEBHOOKS)
_OF_FEEDS = (FindingKind.FEED_REFUSED, FindingKind.FEED_LATE)
_STRANDED = FindingKind.STRANDED_UNITS
_MANY = 10_000


def look_at_taken_out(connection: Connection, config: Config, now: datetime) -> None:
    """Closes findings about hooks, feeds and access to channels that are not configured any more.

    What was sold and counted stays open: removing a channel puts no unit right. A location that was taken out while
    units are there is a finding, until it is named again or they are gone.
    """
    _close_forgotten(connection, config, now)
    _report_stranded(connection, config, now)


def _close_forgotten(connection: Connection, config: Config, now: datetime) -> None:
    kinds = (FindingKind.HOOK_FAILING, FindingKind.TASK_FAILED, *_OF_FEEDS, *_OF_CHANNELS)
    found = findings.list_findings(connection, kinds=kinds, limit=_MANY)
    gone = [one.fingerprint for one in found if _forgotten(one, config)]
    findings.close_findings(connection, gone, "it is not configured any more", now)


def _report_stranded(connection: Connection, config: Config, now: datetime) -> None:
    stranded = stranded_units(connection, {location.name for location in config.locations})
    told = [Finding(kind=_STRANDED, subject=(one.location,), summary=f"{one.found}. {one.advice}") for one in stranded]
    findings.open_findings(connection, told, now)
    still = {fingerprint(_STRANDED, one.location) for one in stranded}
    known = findings.list_findings(connection, kinds=(_STRANDED,), limit=_MANY)
    over = [one.fingerprint for one in known if one.fingerprint not in still]
    findings.close_findings(connection, over, "no units are there, or the place is configured", now)


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
