"""GET /metrics for Prometheus, in a registry of our own.

Gauges are read when somebody scrapes, see `metrics_scene` and `metrics_table`; calls to channels are counted as they
end, because the agent tells of each (`sdk.observing`). The event loop never waits for the database here.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from channelsync.sdk.observing import EndedCall
from channelsync.sync.agent import Agent
from channelsync.web.metrics_scene import Scene, SceneReader
from channelsync.web.metrics_table import METRICS
from channelsync.web.receiver import ReceiverCounters

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper ends of the classes of durations: calls have a deadline of half a minute, budgets may be waited for longer."""

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Meter:
    """The metrics of one process: a registry, what counts calls, and what reads the rest when somebody asks.

    lost_lines: lines of the log that were lost. receiver: what the process's webhook receiver has seen.
    """

    def __init__(self, agent: Agent, lost_lines: Callable[[], int], receiver: ReceiverCounters) -> None:
        self._reader = SceneReader(agent, lost_lines, receiver)
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "channelsync_calls",
            "Calls to channels with all their attempts, by how they ended.",
            ("channel", "kind", "outcome"),
            registry=self.registry,
        )
        self._retries = Counter(
            "channelsync_call_retries",
            "Attempts beyond the first of a call.",
            ("channel", "kind"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "channelsync_call_duration_seconds",
            "From asking for the budget to the answer, with all attempts.",
            ("channel", "kind"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._waits = Histogram(
            "channelsync_call_budget_wait_seconds",
            "How long calls waited for the rate budget.",
            ("channel",),
            buckets=SECONDS,
            registry=self.registry,
        )
        build = Gauge(
            "channelsync_build_info",
            "1, with what runs here.",
            ("version", "python", "database"),
            registry=self.registry,
        )
        build.labels(version("channelsync"), platform.python_version(), agent.database.dialect).set(1)
        ProcessCollector(namespace="", registry=self.registry)
        self._table = _Table()
        self.registry.register(self._table)

    def call_ended(self, call: EndedCall) -> None:
        """Counts a call; see `sdk.observing`."""
        self._calls.labels(call.channel, call.kind, outcome_label(call.outcome)).inc()
        if call.attempts > 1:
            self._retries.labels(call.channel, call.kind).inc(call.attempts - 1)
        self._durations.labels(call.channel, call.kind).observe(call.took)
        self._waits.labels(call.channel).observe(call.waited)

    async def page(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics as text, and its content type. accept: what the asking side understands."""
        scene = await self._reader.scene()
        encode, content_type = choose_encoder(accept)
        with self._table.showing(scene):
            return encode(self.registry), content_type


def outcome_label(outcome: str) -> str:
    """How a call ended, as one of few words: http_2xx, try_later, outcome_unknown, ..."""
    if outcome.startswith("HTTP "):
        return f"http_{outcome[5:6]}xx"
    return _WORD.sub("_", outcome).lower()


def metrics_routes(meter: Meter) -> list[BaseRoute]:
    """GET /metrics."""

    async def metrics(request: Request) -> Response:
        text, content_type = await meter.page(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    return [Route("/metrics", metrics, methods=["GET"])]


class _Table(Collector):
    """The metrics of the table, as one scene tells them; none while there is none, as when it is registered."""

    def __init__(self) -> None:
        self._scene: Scene | None = None

    @contextmanager
    def showing(self, scene: Scene) -> Iterator[None]:
        """Shows this scene while the block runs."""
        self._scene = scene
        try:
            yield
        finally:
            self._scene = None

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        if self._scene is None:
            return
        for metric in METRICS:
            made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = made(metric.name, metric.help, labels=metric.labels)
            for labels, value in metric.read(self._scene):
                family.add_metric(labels, value)
            yield family
