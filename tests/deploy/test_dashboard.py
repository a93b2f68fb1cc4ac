"""The dashboard and the alerts ask for labels that their metrics have, and every panel shows something.

That the metrics themselves are there is told by tests/web/test_metrics.py, from what a process really answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from channelsync.web.metrics_table import METRICS

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/channelsync.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())

COUNTED = {
    "channelsync_calls_total": {"channel", "kind", "outcome"},
    "channelsync_call_retries_total": {"channel", "kind"},
    "channelsync_call_duration_seconds_bucket": {"channel", "kind", "le"},
    "channelsync_call_budget_wait_seconds_bucket": {"channel", "le"},
    "channelsync_build_info": {"version", "python", "database"},
}
"""The metrics that are no part of the table."""

SCRAPED = {"job", "instance"}
"""What Prometheus itself puts on everything."""

LABELS = COUNTED | {f"{one.name}_total" if one.kind == "counter" else one.name: set(one.labels) for one in METRICS}
NAMED = re.compile(r"(channelsync_\w+)(?:\{([^}]*)\})?")


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression, and where it stands."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def test_expressions_filter_and_group_by_labels_that_are_there() -> None:
    seen = 0
    for where, expression in expressions():
        grouped = {
            label.strip()
            for names in re.findall(r"(?:by|without|on) ?\(([^)]*)\)", expression)
            for label in names.split(",")
        } - {""}
        for name, filters in NAMED.findall(expression):
            has = LABELS[name] | SCRAPED
            asked = set(re.findall(r"(\w+) *(?:=~|!~|!=|=)", filters))
            assert asked <= has, f"{where}: {name} has no {asked - has}"
            assert grouped <= has, f"{where}: {name} has no {grouped - has}"
            seen += 1
    assert seen > 50


def test_legends_name_labels_that_are_left_and_variables_are_asked_of_metrics_that_are_there() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            names = [name for name, _ in NAMED.findall(target["expr"])]
            shown = set(re.findall(r"\{\{ *(\w+) *\}\}", target.get("legendFormat", "")))
            for name in names:
                assert shown <= LABELS[name] | SCRAPED, f"{panel['title']}: {shown}"
    asked = [one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    found = [re.fullmatch(r"label_values\((\w+), (\w+)\)", query) for query in asked]
    assert found
    for one in found:
        assert one is not None
        assert one[2] in LABELS[one[1]]


def test_every_panel_shows_something_from_the_source_that_is_chosen() -> None:
    rows = [one for one in DASHBOARD["panels"] if one["type"] == "row"]
    shown = [one for one in DASHBOARD["panels"] if one["type"] != "row"]
    assert len(rows) < len(shown)
    for panel in shown:
        assert panel["targets"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
    identities = [one["id"] for one in DASHBOARD["panels"]]
    assert len(identities) == len(set(identities))
