"""Listings that a pull did not bring: gone, or, where they are far too many, held until somebody says so."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.ledger import entry_id
from channelsync.store import findings, keys, listings, plans
from channelsync.store.plans import StoredPlan
from channelsync.sync.setup import Setup


class Missing(NamedTuple):
    """Listings that are known of a channel, and those of them that a pull did not bring."""

    known: int
    missing: int


def hold_catalogue(
    connection: Connection, run: str, channel: str, began: datetime, found: Missing, now: datetime
) -> str:
    """Lets a plan wait for somebody to say whether listings are gone; returns its id.

    There is one of a channel at most: another pull that brings as little only renews it, also where it was rejected,
    so that nobody is asked twice.
    """
    counts: dict[str, object] = {"known": found.known, "missing": found.missing, "began": began.isoformat()}
    waiting = plans.list_plans(connection, states=("open", "rejected"), channel=channel, kind="catalogue", limit=1)
    if waiting:
        plans.change_counts(connection, waiting[0].id, counts)
        return waiting[0].id
    plan = StoredPlan(
        id=f"p-{entry_id('catalogue', channel, began)[:8]}",
        run=run,
        channel=channel,
        kind="catalogue",
        state="open",
        reasons=(f"a pull brought {found.known - found.missing} of {found.known} known listings",),
        counts=counts,
        made_at=now,
        decided_at=None,
        decided_by="",
        decided_run="",
        note="",
    )
    plans.save_plan(connection, plan)
    shrank = Finding(
        kind=FindingKind.CATALOGUE_SHRANK,
        subject=(channel,),
        channel=channel,
        summary=f"{channel} brought {found.known - found.missing} listings, and {found.known} are known: the others "
        "are not taken as gone, and their numbers are written as before. Look at the account; should they really "
        f"have ended, run `channelsync approvals approve {plan.id}`.",
        evidence={"known": found.known, "missing": found.missing, "plan": plan.id},
    )
    findings.open_findings(connection, [shrank], now)
    return plan.id


def settle_catalogue(connection: Connection, channel: str, now: datetime) -> None:
    """A pull brought the listings, so there is nothing to decide any more."""
    for plan in plans.list_plans(connection, states=("open", "rejected"), channel=channel, kind="catalogue"):
        plans.claim_plan(connection, plan.id, "settled", {"open", "rejected"}, decided_at=now)
    closed = [fingerprint(FindingKind.CATALOGUE_SHRANK, channel)]
    findings.close_findings(connection, closed, "a pull brought the listings", now)


def listings_are_gone(connection: Connection, setup: Setup, channel: str, began: datetime, now: datetime) -> int:
    """What was not seen since `began` is gone: a finding for each that is mapped, and what they shared units with is
    looked at anew. Returns how many."""
    gone = listings.mark_gone(connection, channel, began, now)
    mapped = [one for one in gone if one.item is not None]
    of_keys = (FindingKind.WRITES_SPENT, FindingKind.UNREADABLE_NUMBER)
    over = [fingerprint(kind, str(key)) for one in gone for key in one.keys for kind in of_keys]
    findings.close_findings(connection, over, "the channel no longer lists it", now)
    findings.open_findings(
        connection,
        [
            Finding(
                kind=FindingKind.LISTING_GONE,
                subject=(channel, one.listing),
                channel=channel,
                item=one.item or "",
                summary=f"{channel} no longer has listing {one.listing} (SKU {one.sku}); nothing is written to it. "
                "List it again at the channel, or take its mapping back with `channelsync listings unmap`.",
                evidence={"listing": one.listing, "sku": one.sku},
            )
            for one in mapped
        ],
        now,
    )
    keys.mark_due(connection, {name for one in mapped for name in setup.shown_by(one.item or "")}, now)
    return len(gone)
