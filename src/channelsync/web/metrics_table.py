"""Every metric that is read from a `Scene`: its name, what it means, its labels, and where its values come from.

Names follow Prometheus: base units (seconds, bytes), `_total` for what only grows, `_timestamp_seconds` for moments:
subtract one from time() to have an age. Labels are channels, topics, tasks and words of ours; never a SKU or an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from channelsync.web.metrics_reads import (
    Read,
    accounts_held,
    audits,
    buckets,
    by_channel,
    clock_offset,
    counted,
    day_left,
    deliveries,
    findings,
    inbox_oldest,
    inbox_waiting,
    keys_read,
    last_events,
    modes,
    newest_orders,
    numbers,
    of_open,
    open_writes,
    orders_failing,
    outgoing,
    seconds_of,
    single,
    state_moment,
    tasks,
    unreadable,
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. name: without `_total`, which a counter gets by itself."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...]
    read: Read


_C = ("channel",)

METRICS: tuple[Metric, ...] = (
    # This process
    Metric(
        "channelsync_database_up",
        "gauge",
        "1 while the database answers.",
        (),
        single(lambda s: s.standing is not None),
    ),
    Metric(
        "channelsync_loop_delay_seconds",
        "gauge",
        "How late the event loop woke up, at most, in the last minute.",
        (),
        single(lambda s: s.agent.beats.loop_delay),
    ),
    Metric(
        "channelsync_parts_late",
        "gauge",
        "Parts of the daemon that should have been heard of and were not.",
        (),
        single(lambda s: len(s.agent.beats.late())),
    ),
    Metric(
        "channelsync_log_lines_lost",
        "counter",
        "Lines that could not be logged, because the stream was closed or the disk full.",
        (),
        single(lambda s: s.lost_lines),
    ),
    Metric(
        "channelsync_serving_processes",
        "gauge",
        "Daemons and receivers that share the database and were heard of within two minutes.",
        (),
        single(lambda s: sum(one.silent.total_seconds() <= 120 for one in s.serving) if s.standing else None),
    ),
    # Channels
    Metric(
        "channelsync_channel_info",
        "gauge",
        "1 for every channel, with its mode (live, observe, off) and what is stopped (nothing, raises, all).",
        ("channel", "mode", "stopped"),
        modes,
    ),
    Metric(
        "channelsync_channel_open", "gauge", "1 for every channel that this process has open.", _C, of_open(lambda _: 1)
    ),
    Metric(
        "channelsync_account_held",
        "gauge",
        "1 while this process may write to the channel's account; another worker may hold it.",
        _C,
        accounts_held,
    ),
    Metric(
        "channelsync_clock_offset_seconds",
        "gauge",
        "How far the channel's clock is ahead of ours at least; negative: behind; 0: they may agree.",
        _C,
        clock_offset,
    ),
    # Orders
    Metric(
        "channelsync_orders_newest_timestamp_seconds",
        "gauge",
        "When the newest order that is booked was placed.",
        _C,
        newest_orders,
    ),
    Metric(
        "channelsync_orders_covered_timestamp_seconds",
        "gauge",
        "Orders that the channel had made visible up to then are booked: the lag of orders.",
        _C,
        state_moment("covered_to"),
    ),
    Metric(
        "channelsync_orders_polled_timestamp_seconds",
        "gauge",
        "When the last page of orders was asked for that came whole.",
        _C,
        state_moment("orders_asked_at"),
    ),
    Metric("channelsync_orders_failing", "gauge", "1 while the last poll of orders failed.", _C, orders_failing),
    Metric(
        "channelsync_order_polls",
        "counter",
        "Polls of orders, by how they ended.",
        ("channel", "outcome"),
        counted("polls"),
    ),
    Metric(
        "channelsync_orders",
        "counter",
        "Orders that polls brought (seen), and those of them that changed something (booked).",
        ("channel", "what"),
        counted("orders"),
    ),
    Metric(
        "channelsync_order_hints", "gauge", "Orders to be read again by id.", _C, by_channel(lambda told: told.hints)
    ),
    Metric(
        "channelsync_orders_unmapped",
        "gauge",
        "Booked orders with a line whose listing is not mapped to an item.",
        _C,
        by_channel(lambda told: told.unmapped_orders),
    ),
    Metric(
        "channelsync_orders_unreadable",
        "gauge",
        "Orders that were told in a way that is not understood.",
        _C,
        by_channel(lambda told: told.unreadable_orders),
    ),
    Metric(
        "channelsync_audit_day_timestamp_seconds",
        "gauge",
        "The beginning of the last day whose order ids were compared with the channel's.",
        _C,
        audits(lambda one: datetime.fromisoformat(f"{one.day}T00:00:00+00:00").timestamp()),
    ),
    Metric(
        "channelsync_audit_orders", "gauge", "The channel's orders of that day.", _C, audits(lambda one: one.theirs)
    ),
    Metric(
        "channelsync_audit_missing_orders",
        "gauge",
        "Of them those that we did not know.",
        _C,
        audits(lambda one: one.missing),
    ),
    # Webhooks
    Metric(
        "channelsync_webhook_timestamp_seconds",
        "gauge",
        "When the last webhook of a topic came.",
        ("channel", "topic"),
        last_events,
    ),
    Metric(
        "channelsync_webhooks_waiting",
        "gauge",
        "Webhooks in the inbox: new, parked (could not be followed), quarantined (another body under a known name).",
        ("channel", "state"),
        inbox_waiting,
    ),
    Metric(
        "channelsync_webhook_oldest_timestamp_seconds",
        "gauge",
        "When the oldest webhook came that nobody has followed yet; missing where none waits.",
        _C,
        inbox_oldest,
    ),
    Metric(
        "channelsync_webhook_deliveries",
        "counter",
        "Webhooks that came to this process, by what became of them.",
        ("channel", "outcome"),
        deliveries,
    ),
    Metric(
        "channelsync_outgoing_waiting", "gauge", "Messages that wait to be sent to a hook of ours.", ("hook",), outgoing
    ),
    # Quantities
    Metric(
        "channelsync_keys",
        "gauge",
        "Numbers of the channel that are ours and mapped.",
        _C,
        numbers(lambda n: n.numbers),
    ),
    Metric("channelsync_keys_due", "gauge", "Numbers on the publisher's agenda.", _C, numbers(lambda n: n.due)),
    Metric(
        "channelsync_keys_hot",
        "gauge",
        "Numbers so scarce that they are read every tick.",
        _C,
        numbers(lambda n: n.hot),
    ),
    Metric(
        "channelsync_keys_drifting",
        "gauge",
        "Numbers that show something else than they should, and nothing explains it.",
        _C,
        numbers(lambda n: n.drift),
    ),
    Metric(
        "channelsync_keys_questioned",
        "gauge",
        "Numbers that are not raised until the seller answers a question.",
        _C,
        numbers(lambda n: n.questions),
    ),
    Metric("channelsync_keys_unread", "gauge", "Numbers that were never read.", _C, numbers(lambda n: n.unread)),
    Metric(
        "channelsync_numbers_unreadable",
        "gauge",
        "1 while the last publishing tick failed, so that the channel's numbers are not known to be fresh.",
        _C,
        unreadable,
    ),
    Metric("channelsync_keys_read", "counter", "Numbers read by the publisher.", _C, keys_read),
    Metric(
        "channelsync_pushes", "counter", "Writes by how they were answered.", ("channel", "outcome"), counted("pushes")
    ),
    Metric(
        "channelsync_publish_ticks",
        "counter",
        "Publishing ticks by how they ended.",
        ("channel", "outcome"),
        counted("ticks"),
    ),
    Metric("channelsync_open_writes", "gauge", "Writes that no read has shown yet.", ("channel", "state"), open_writes),
    Metric(
        "channelsync_pushed_today",
        "gauge",
        "Writes that left since midnight UTC, of all processes.",
        _C,
        by_channel(lambda told: told.pushed_today),
    ),
    Metric(
        "channelsync_provisional_units",
        "gauge",
        "Units held because a number dropped and no order explains it yet.",
        _C,
        by_channel(lambda told: told.provisional),
    ),
    Metric(
        "channelsync_oversold_units",
        "gauge",
        "Units that are promised and not there.",
        (),
        single(lambda s: s.standing.oversold if s.standing else None),
    ),
    Metric(
        "channelsync_oversold_positions",
        "gauge",
        "Positions (an item at a location) with less than 0 available.",
        (),
        single(lambda s: s.standing.oversold_positions if s.standing else None),
    ),
    # Budgets and breakers
    Metric(
        "channelsync_budget_left",
        "gauge",
        "What an urgent call could spend at once, in the channel's own units.",
        ("channel", "bucket"),
        buckets(lambda channel, bucket: channel.limiter.available(bucket=bucket)),
    ),
    Metric(
        "channelsync_budget_capacity",
        "gauge",
        "What the bucket holds when it is full.",
        ("channel", "bucket"),
        buckets(lambda channel, bucket: channel.limiter.budgets()[bucket].capacity),
    ),
    Metric(
        "channelsync_budget_day_left",
        "gauge",
        "What is left of the day's quota; missing where the channel counts no days.",
        ("channel", "bucket"),
        buckets(day_left),
    ),
    Metric(
        "channelsync_breaker_open",
        "gauge",
        "1 while the channel is left alone after failures.",
        _C,
        of_open(lambda channel: channel.breaker.state.retry_at is not None),
    ),
    Metric(
        "channelsync_breaker_failures",
        "gauge",
        "Failed calls in a row.",
        _C,
        of_open(lambda channel: channel.breaker.state.failures),
    ),
    Metric(
        "channelsync_needs_seller",
        "gauge",
        "1 while nothing can be asked of the channel until the seller acts.",
        _C,
        of_open(lambda channel: channel.breaker.state.needs_seller is not None),
    ),
    # What waits for somebody
    Metric("channelsync_findings_open", "gauge", "Problems that are open.", ("kind",), findings),
    Metric(
        "channelsync_plans_held",
        "gauge",
        "Plans that wait for approval.",
        _C,
        by_channel(lambda told: told.plans),
    ),
    # The schedule
    Metric(
        "channelsync_task_next_timestamp_seconds",
        "gauge",
        "When a task of the schedule is due next.",
        ("task",),
        tasks(lambda one: seconds_of(one.next_run_at)),
    ),
    Metric(
        "channelsync_task_ended_timestamp_seconds",
        "gauge",
        "When a task of the schedule ended last.",
        ("task",),
        tasks(lambda one: seconds_of(one.ended_at)),
    ),
    Metric(
        "channelsync_task_duration_seconds",
        "gauge",
        "How long its last run took.",
        ("task",),
        tasks(lambda one: one.seconds if one.ended_at else None),
    ),
    Metric("channelsync_task_failures", "gauge", "Its failures in a row.", ("task",), tasks(lambda one: one.failures)),
)
