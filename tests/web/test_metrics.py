"""/metrics: names and units as Prometheus wants them, bounded labels, every metric written down."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.observing import EndedCall, observing_calls, tell_observer
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseUnavailable
from channelsync.store.tables import metadata
from channelsync.sync.agent import Agent
from channelsync.sync.measures import measure
from channelsync.sync.open_channels import open_channel
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.web.app import build_app
from channelsync.web.metrics import Meter, metrics_routes, outcome_label
from channelsync.web.metrics_table import METRICS
from channelsync.web.receiver import ReceiverCounters
from channelsync_memory import CONNECTOR
from channelsync_memory.shop import SHOPS, Shop

ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()
TITLED = re.compile(r"\b((?:channelsync|process)_[a-z0-9_]+)\b")
SUFFIXES = ("_total", "_bucket", "_count", "_sum")


@pytest.fixture
async def agent(sqlite_database: Database) -> AsyncIterator[Agent]:
    """An agent with one memory shop open."""
    SHOPS["measured"] = Shop(CLOCK)
    settings = CONNECTOR.settings(shop="measured")
    channel = ChannelSetup(name="shop", capabilities=Capabilities(), locations=("main",))
    setup = Setup(channels={"shop": channel}, locations=("main",))
    measures = await sqlite_database.query(lambda c: measure(c, setup, CLOCK.now()))
    made = Agent(database=sqlite_database, clock=CLOCK, setup=setup, run="r", measures=measures)
    async with open_channel(
        channel, CONNECTOR, settings, database=sqlite_database, clock=CLOCK, rng=random.Random(1)
    ) as opened:
        made.add_channel(opened)
        yield made
    del SHOPS["measured"]


def families(text: bytes) -> dict[str, Any]:
    return {one.name: one for one in text_string_to_metric_families(text.decode())}


def meter_of(agent: Agent) -> Meter:
    return Meter(agent, lambda: 3, ReceiverCounters())


async def test_what_is_served_is_what_prometheus_reads(agent: Agent) -> None:
    meter = meter_of(agent)
    app = build_app(metrics_routes(meter))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = families(answer.content)
    assert found["channelsync_log_lines_lost"].samples[0].value == 3
    assert found["channelsync_database_up"].samples[0].value == 1
    assert {sample.labels["channel"] for sample in found["channelsync_keys"].samples} == {"shop"}


async def test_names_units_and_helps_follow_the_rules(agent: Agent) -> None:
    text, _ = await meter_of(agent).page()
    for one in families(text).values():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", one.name), one.name
        assert one.documentation, one.name
        assert not one.name.endswith(("_milliseconds", "_ms", "_percent", "_minutes", "_gauge", "_counter")), one.name
        if "timestamp" in one.name:
            assert one.name.endswith("_timestamp_seconds"), one.name
        if one.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in one.samples), one.name
        else:
            assert not one.name.endswith("_total"), one.name
        for sample in one.samples:
            assert set(sample.labels) <= {*LABELS, "le"}, one.name
    assert len({one.name for one in METRICS}) == len(METRICS)


LABELS = {
    *("channel", "topic", "bucket", "kind", "outcome", "state", "task", "hook", "mode", "stopped", "what"),
    *("version", "python", "database"),
}
"""Nothing else may be a label: SKUs, orders and listings would make as many series as there are of them."""


async def test_a_channel_that_sends_topics_without_end_makes_no_series_without_end(agent: Agent) -> None:
    inbox, now = metadata.tables["inbox"], CLOCK.now()
    rows = [
        {
            "channel": "shop",
            "topic": f"t{number}",
            "event": "e",
            "digest": "d",
            "sent_at": now,
            "received_at": now + timedelta(seconds=number),
        }
        for number in range(200)
    ]
    await agent.database.transact(lambda c: c.execute(insert(inbox), rows))
    text, _ = await meter_of(agent).page()
    told = families(text)["channelsync_webhook_timestamp_seconds"].samples
    assert len(told) == 20
    assert {sample.labels["topic"] for sample in told} == {f"t{number}" for number in range(180, 200)}


async def test_calls_are_counted_by_how_they_ended(agent: Agent) -> None:
    meter = meter_of(agent)
    tell_observer(EndedCall("shop", "read", "HTTP 200", 1, 0.0, 0.1))
    with observing_calls(meter):
        tell_observer(EndedCall("shop", "read", "HTTP 200", 1, 0.0, 0.1))
        tell_observer(EndedCall("shop", "write", "OutcomeUnknown", 3, 2.0, 9.0))
    found = families((await meter.page())[0])
    calls = {
        tuple(sorted(s.labels.items())): s.value
        for s in found["channelsync_calls"].samples
        if s.name.endswith("_total")
    }
    assert calls == {
        (("channel", "shop"), ("kind", "read"), ("outcome", "http_2xx")): 1,
        (("channel", "shop"), ("kind", "write"), ("outcome", "outcome_unknown")): 1,
    }
    retries = [s.value for s in found["channelsync_call_retries"].samples if s.name.endswith("_total")]
    assert retries == [2]


@pytest.mark.parametrize(
    ("outcome", "label"), [("HTTP 404", "http_4xx"), ("NeedsSeller", "needs_seller"), ("unfinished", "unfinished")]
)
def test_an_outcome_is_one_of_few_words(outcome: str, label: str) -> None:
    assert outcome_label(outcome) == label


async def test_scrapes_in_quick_succession_look_at_the_database_once(agent: Agent, monkeypatch: Any) -> None:
    looked = 0
    query = type(agent.database).query

    async def counting(self: Database, work: Any, **options: Any) -> Any:
        nonlocal looked
        looked += 1
        return await query(self, work, **options)

    meter = meter_of(agent)
    monkeypatch.setattr(type(agent.database), "query", counting)
    for _ in range(5):
        await meter.page()
    assert looked == 1


async def test_without_a_database_the_rest_is_told_still(agent: Agent, monkeypatch: Any) -> None:
    async def gone(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable("it is gone")

    monkeypatch.setattr(type(agent.database), "query", gone)
    found = families((await meter_of(agent).page())[0])
    monkeypatch.undo()
    assert found["channelsync_database_up"].samples[0].value == 0
    assert found["channelsync_keys"].samples == []
    assert found["channelsync_budget_left"].samples


async def known_names(agent: Agent) -> set[str]:
    text, _ = await meter_of(agent).page()
    return set(families(text))


def plain(name: str) -> str:
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


async def test_every_metric_that_the_dashboard_and_the_alerts_name_exists(agent: Agent) -> None:
    known = await known_names(agent)
    dashboard = json.loads((ROOT / "deploy/grafana/channelsync.json").read_text())
    told = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = [rule for group in alerts()["groups"] for rule in group["rules"]]
    told += [rule["expr"] for rule in rules]
    assert len(told) > 40
    named = {plain(name) for expression in told for name in TITLED.findall(expression)}
    assert named - known == set()


def alerts() -> Any:
    return yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())


def test_every_alert_says_what_happened_and_what_to_do_and_is_written_down() -> None:
    page = (ROOT / "docs/observability.md").read_text()
    for rule in (rule for group in alerts()["groups"] for rule in group["rules"]):
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["action"], rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert f"`{rule['alert']}`" in page, rule["alert"]


async def test_every_metric_is_written_down_and_nothing_else_is(agent: Agent) -> None:
    page = (ROOT / "docs/observability.md").read_text()
    table = page.partition("<!-- metrics -->")[2].partition("<!-- /metrics -->")[0]
    written = {plain(name) for name in re.findall(r"^\| `([a-z0-9_]+)`", table, re.M)}
    known = {name for name in await known_names(agent) if name.startswith("channelsync_")}
    assert written == known
    for one in METRICS:
        assert one.help in table, f"{one.name}: the page says something else than {one.help!r}"
