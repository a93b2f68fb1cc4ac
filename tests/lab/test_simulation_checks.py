"""What cannot be known of a channel follows from what it declares and how often it is looked at."""

from dataclasses import replace
from datetime import timedelta

from channelsync.domain.effects import Deducts, NumberBehaviour
from channelsync.domain.watermark import Applies, Timing
from channelsync.lab.simulation_checks import tolerance_of
from channelsync.sdk.channel import Capabilities
from channelsync.sync.setup import ChannelSetup

PROMPT = Timing(grace=timedelta(seconds=30))


def channel(capabilities: Capabilities, tick: float = 1) -> ChannelSetup:
    return ChannelSetup(name="agora", capabilities=capabilities, locations=("main",), tick=timedelta(minutes=tick))


def test_a_sale_may_be_unread_for_one_and_a_half_ticks() -> None:
    assert tolerance_of(channel(Capabilities(timing=PROMPT))).window == timedelta(seconds=90)
    assert tolerance_of(channel(Capabilities(timing=PROMPT), tick=5)).window == timedelta(seconds=450)


def test_stale_reads_and_a_wrong_clock_widen_the_window_and_blur_what_a_read_contains() -> None:
    stale = replace(PROMPT, staleness=timedelta(minutes=3), skew=timedelta(seconds=90))
    found = tolerance_of(channel(Capabilities(timing=stale)))
    assert found.window == timedelta(minutes=6 + 3 + 3)
    assert found.blur == timedelta(minutes=4, seconds=30)


def test_only_a_channel_that_applies_later_needs_time_to_settle() -> None:
    assert tolerance_of(channel(Capabilities(timing=PROMPT))).settles == timedelta(0)
    later = replace(PROMPT, applies=Applies.IN_ORDER)
    assert tolerance_of(channel(Capabilities(timing=later))).settles == timedelta(seconds=30)


def test_a_write_of_unknown_outcome_leaves_the_number_open_until_it_would_have_been_read() -> None:
    assert tolerance_of(channel(Capabilities(timing=PROMPT), tick=2)).doubt == timedelta(seconds=150)


def test_a_sale_shows_at_once_where_the_order_deducts_and_in_physical_numbers() -> None:
    shipped = NumberBehaviour(deducts=Deducts.AT_SHIPMENT, gives_back=frozenset())
    assert tolerance_of(channel(Capabilities())).moves_at_once
    assert not tolerance_of(channel(Capabilities(behaviour=shipped))).moves_at_once
    physical = Capabilities(behaviour=shipped, meaning="physical", committed_readable=True)
    assert tolerance_of(channel(physical)).moves_at_once
    assert tolerance_of(channel(physical)).physical
    assert not tolerance_of(channel(replace(physical, committed_readable=False))).moves_at_once
