"""What goes wrong goes wrong as planned, is logged, and the same seed gives the same trouble."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from channelsync.lab.faults import ORDER_ENDPOINTS, Deed, Fault, FaultKind, FaultPlan, orders_down, outage
from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.lab.virtual_time import LabClock, run_virtual

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MUG = NumberKey("K-mug")
Client = Any  # see conftest
Opened = Callable[..., tuple[Site, Client]]


def always(kind: FaultKind, **how: Any) -> FaultPlan:
    return FaultPlan([Fault(kind=kind, starts=NOON, ends=NOON + HOUR, **how)])


def mugs(opened: Opened, faults: FaultPlan, preset: str = "plain") -> tuple[Site, Client]:
    """A marketplace with 3 kinds of mugs, 10 each. The faults begin after the client has its token."""
    site, client = opened(PRESETS[preset])
    for name in ("mug", "blue", "red"):
        site.marketplace.open_listing(Offer(listing=name, sku=name.upper()), 10)
    site.api.faults = faults
    return site, client


PUSH = {"updates": [{"key": f"K-{name}", "number": 4} for name in ("mug", "blue", "red")]}


def numbers(site: Site) -> list[int]:
    return [site.marketplace.number(key) for key in site.marketplace.quantity_keys()]


# Single faults


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, None),
        ({"retry_after": 30.0}, "30"),
        ({"retry_after": 30.0, "retry_as": "date"}, "Sat, 23 Dec 2017 12:00:30 GMT"),
    ],
)
def test_a_429_of_the_plan_is_no_violation_of_ours(opened: Opened, how: dict[str, Any], said: str | None) -> None:
    site, client = mugs(opened, always(FaultKind.TOO_MANY, **how))
    reply = client.call("POST", "/v1/numbers", PUSH)
    assert (reply.status, reply.headers.get("retry-after")) == (429, said)
    assert (site.api.meter.violations, site.api.meter.spent, numbers(site)) == ([], 0, [10, 10, 10])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_5xx_comes_before_or_after_the_change(opened: Opened, status: int) -> None:
    for kind, after in ((FaultKind.SERVER_ERROR, 10), (FaultKind.SERVER_ERROR_AFTER, 4)):
        site, client = mugs(opened, always(kind, status=status))
        assert client.call("POST", "/v1/numbers", PUSH).status == status
        assert numbers(site) == [after] * 3


def test_in_a_partial_failure_some_rows_are_refused_and_their_neighbours_go_through(opened: Opened) -> None:
    site, client = mugs(opened, always(FaultKind.PARTIAL))
    results = client.push(*PUSH["updates"])
    assert [(row["status"], row["code"]) for row in results] == [
        ("refused", "busy"),
        ("accepted", None),
        ("refused", "busy"),
    ]
    assert numbers(site) == [10, 4, 10]


def test_rows_that_are_missing_from_the_answer_were_applied_all_the_same(opened: Opened) -> None:
    site, client = mugs(opened, always(FaultKind.ROWS_MISSING))
    assert [row["key"] for row in client.push(*PUSH["updates"])] == ["K-blue"]
    assert numbers(site) == [4, 4, 4]


def test_pages_may_hold_rows_twice(opened: Opened) -> None:
    site, client = mugs(opened, always(FaultKind.ROWS_TWICE))
    for _ in range(3):
        site.marketplace.buy("mug", 1)
    assert [row["id"] for row in client.orders()] == [f"agora-{n}" for n in (1001, 1002, 1003, 1001, 1002)]
    assert [row["id"] for row in client.json("GET", "/v1/listings")["listings"]] == [
        "mug",
        "blue",
        "red",
        "mug",
        "blue",
    ]


def test_a_stuck_cursor_leads_to_the_same_page_for_ever(opened: Opened) -> None:
    _, client = mugs(opened, always(FaultKind.SAME_CURSOR))
    cursor = client.json("GET", "/v1/listings", limit="1")["next"]
    for _ in range(3):
        page = client.json("GET", "/v1/listings", limit="1", cursor=cursor)
        assert ([row["id"] for row in page["listings"]], page["next"]) == (["blue"], cursor)


def test_faults_of_rows_and_pages_leave_other_calls_alone(opened: Opened) -> None:
    for kind in (FaultKind.PARTIAL, FaultKind.ROWS_MISSING, FaultKind.ROWS_TWICE, FaultKind.SAME_CURSOR):
        site, client = mugs(opened, always(kind))
        assert client.numbers("K-mug") == [10]
        assert site.api.faults.log == []


def test_with_the_orders_interface_down_numbers_can_be_read_and_written(opened: Opened, clock: Any) -> None:
    site, client = mugs(opened, FaultPlan([orders_down(NOON, NOON + HOUR)]))
    assert client.call("GET", "/v1/orders").status == 503
    assert client.call("POST", "/v1/orders/read", {"ids": []}).status == 503
    assert client.call("GET", "/v1/orders/ids", placed_on="2017-12-23").status == 503
    assert client.push(*PUSH["updates"])[0]["status"] == "accepted"
    assert {injected.where for injected in site.api.faults.log} == ORDER_ENDPOINTS
    clock.go(3_600)
    assert client.call("GET", "/v1/orders").status == 200


def test_an_outage_reaches_every_call_from_its_start_to_just_before_its_end(opened: Opened, clock: Any) -> None:
    site, client = mugs(opened, FaultPlan([outage(NOON + HOUR, NOON + 2 * HOUR)]))
    fates = []
    for _ in range(3):
        fates.append(client.call("GET", "/v1/account").fate)
        clock.go(3_600)
    assert fates == ["arrives", "is refused", "arrives"]
    assert [(injected.at, injected.what, injected.where) for injected in site.api.faults.log] == [
        (NOON + HOUR, "outage", "account")
    ]


def test_the_first_fault_that_hits_counts(opened: Opened) -> None:
    first = Fault(kind=FaultKind.TOO_MANY, starts=NOON, ends=NOON + HOUR, endpoints=frozenset({"push"}))
    second = Fault(kind=FaultKind.SERVER_ERROR, starts=NOON, ends=NOON + HOUR)
    _, client = mugs(opened, FaultPlan([first, second]))
    assert client.call("POST", "/v1/numbers", PUSH).status == 429
    assert client.call("GET", "/v1/account").status == 503


def test_a_fault_hits_about_its_share_of_the_calls(opened: Opened) -> None:
    site, client = mugs(opened, always(FaultKind.SERVER_ERROR, chance=0.2))
    hits = sum(client.call("GET", "/v1/account").status == 503 for _ in range(500))
    assert 70 < hits < 130
    assert len(site.api.faults.log) == hits


# Deeds


def history(deeds: list[Deed], preset: str = "plain", seed: int = 0) -> tuple[Site, FaultPlan]:
    """Two hours of these deeds at a marketplace with 40 mugs that sells one every ten minutes."""
    plan = FaultPlan(deeds=deeds, seed=seed)

    async def main() -> Site:
        clock = LabClock()
        site = open_site("agora", PRESETS[preset], clock, faults=plan)
        site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 40)
        site.api.tokens.give(site.account.refresh_token, clock.now())
        doing = asyncio.create_task(plan.do_deeds(site.marketplace, site.api.tokens, clock))
        for _ in range(12):
            await clock.sleep(600)
            site.marketplace.buy("mug", 1)
        await doing
        return site

    return run_virtual(main(), start=NOON), plan


def test_a_human_edit_sets_a_number_at_its_time() -> None:
    site, plan = history([Deed(what="human edit", at=NOON + timedelta(minutes=25), number=7)])
    edits = [change for change in site.marketplace.changes if change.why == "human edit"]
    assert [(change.at, change.before, change.after) for change in edits] == [(NOON + timedelta(minutes=25), 38, 7)]
    assert [(injected.what, injected.where) for injected in plan.log] == [("human edit", "K-mug")]


def test_a_typo_is_put_right_and_what_sold_meanwhile_stays_sold() -> None:
    at = NOON + timedelta(minutes=25)
    site, plan = history([Deed(what="typo", at=at, number=4, corrected_after=timedelta(minutes=20))])
    edits = [change for change in site.marketplace.changes if change.why == "human edit"]
    assert [(change.before, change.after) for change in edits] == [(38, 4), (2, 36)]
    assert site.marketplace.number(MUG) == 40 - 12
    assert [injected.what for injected in plan.log] == ["typo", "typo corrected"]


def test_deeds_without_a_number_draw_one_by_their_seed() -> None:
    deeds = [Deed(what="typo", at=NOON + timedelta(minutes=n)) for n in range(1, 60, 7)]
    deeds += [Deed(what="human edit", at=NOON + timedelta(minutes=n)) for n in range(2, 60, 9)]
    runs = [[c.after for c in history(deeds, seed=seed)[0].marketplace.changes] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_dropped_tokens_are_worth_nothing_from_then_on() -> None:
    site, _ = history([Deed(what="tokens dropped", at=NOON + timedelta(minutes=1))])
    token = site.api.tokens.give(site.account.refresh_token, NOON)
    assert token is not None
    assert site.api.tokens.whose(token, NOON) == site.account
    site.api.tokens.drop()
    assert site.api.tokens.whose(token, NOON) == "stale"


def test_deeds_at_a_marketplace_without_numbers_do_nothing(opened: Opened, clock: Any) -> None:
    plan = FaultPlan(deeds=[Deed(what="typo", at=NOON, corrected_after=timedelta(minutes=1))])
    site, _ = opened(PRESETS["plain"])
    asyncio.run(plan.do_deeds(site.marketplace, site.api.tokens, clock))
    assert plan.log == []


# Plans drawn by lot


def test_a_drawn_plan_is_the_same_for_the_same_seed_and_over_in_time() -> None:
    plans = [FaultPlan.random(seed, starts=NOON, lasts=4 * HOUR) for seed in (7, 7, 8)]
    assert (plans[0].faults, plans[0].deeds) == (plans[1].faults, plans[1].deeds)
    assert plans[0].faults != plans[2].faults
    for seed in range(200):
        plan = FaultPlan.random(seed, starts=NOON, lasts=4 * HOUR)
        assert plan.ends is not None
        assert plan.ends <= NOON + 4 * HOUR
        assert all(NOON <= fault.starts < fault.ends for fault in plan.faults)
        assert all(deed.at >= NOON for deed in plan.deeds)


def test_over_many_seeds_every_kind_of_fault_and_deed_turns_up() -> None:
    plans = [FaultPlan.random(seed, starts=NOON, lasts=4 * HOUR) for seed in range(40)]
    assert {fault.kind for plan in plans for fault in plan.faults} == set(FaultKind)
    assert {deed.what for plan in plans for deed in plan.deeds} == {"human edit", "typo", "tokens dropped"}
    downs = [fault for plan in plans for fault in plan.faults if fault.endpoints == ORDER_ENDPOINTS]
    assert 5 < len(downs) < 35
    without = [FaultPlan.random(seed, starts=NOON, lasts=4 * HOUR, humans=False) for seed in range(40)]
    assert {deed.what for plan in without for deed in plan.deeds} == {"tokens dropped"}


def test_an_empty_plan_ends_never_and_does_nothing(opened: Opened) -> None:
    plan = FaultPlan()
    assert plan.ends is None
    _, client = mugs(opened, plan)
    assert client.call("GET", "/v1/account").status == 200


def test_one_seed_gives_one_history_of_a_troubled_day() -> None:
    async def day(seed: int) -> list[tuple[int, bytes]]:
        clock = LabClock()
        plan = FaultPlan.random(seed, starts=NOON, lasts=2 * HOUR, rate=0.3)
        rules = replace(PRESETS["far away"], visibility=(0.0, 120.0), read_lag=(0.0, 60.0))
        site = open_site("agora", rules, clock, seed=seed, faults=plan)
        site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 40)
        doing = asyncio.create_task(plan.do_deeds(site.marketplace, site.api.tokens, clock))
        token = site.api.tokens.give(site.account.refresh_token, clock.now())
        headers = {"authorization": f"Bearer {token}"}
        seen = []
        async with httpx.AsyncClient(
            transport=site.transport, base_url="http://agora.example", headers=headers
        ) as client:
            while clock.now() < NOON + 2 * HOUR:
                site.marketplace.buy("mug", 1)
                for call in (
                    client.get("/v1/orders"),
                    client.post("/v1/numbers/read", json={"keys": [{"key": "K-mug"}]}),
                ):
                    try:
                        answer = await call
                    except httpx.TransportError as error:
                        seen.append((0, repr(error).encode()))
                    else:
                        seen.append((answer.status_code, answer.content))
                await clock.sleep(60)
        await doing
        return [*seen, (0, repr(plan.log).encode())]

    first, again, other = (run_virtual(day(seed), start=NOON) for seed in (3, 3, 4))
    assert first == again != other
    assert len({status for status, _ in first}) > 3
