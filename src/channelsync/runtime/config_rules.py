"""Rules as the file says them: [channel.rules] for all of a channel, [[rule]] for any scope."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from channelsync.domain.rules import CountIncoming, Fixed, Percent
from channelsync.runtime.config_values import Flag, Name, Sku, Units

_PERCENT = re.compile(r"(\d{1,3})\s*%")
_BUFFER_FORMS = 'should be units (2), a percentage ("10%"), "computed", or { p = 0.01, at_most = 20 }'


class Group(BaseModel):
    """A table of the file: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
    )


class ComputedBuffer(Group):
    """A buffer sized by demand and delays."""

    p: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = None
    """Probability that a unit sold elsewhere is shown here. Left out: the channel's oversell_target."""

    at_most: Units | None = None
    """Base units: never more than that. Left out: no limit."""


BufferSetting = Fixed | Percent | ComputedBuffer


def parse_buffer(value: Any) -> BufferSetting:
    """The four ways to write a buffer. Raises ValueError."""
    if isinstance(value, Fixed | Percent | ComputedBuffer):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**12:
        return Fixed(value)
    if isinstance(value, dict):
        return ComputedBuffer.model_validate(value)
    if value == "computed":
        return ComputedBuffer()
    percent = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if percent is None or int(percent[1]) > 100:
        raise ValueError(_BUFFER_FORMS)
    return Percent(int(percent[1]))


def parse_incoming(value: Any) -> CountIncoming:
    """true: all incoming units; false: none; a number: at most that many. Raises ValueError."""
    if isinstance(value, CountIncoming):
        return value
    if isinstance(value, bool):
        return CountIncoming(None if value else 0)
    if isinstance(value, int) and 0 <= value <= 10**12:
        return CountIncoming(value)
    raise ValueError("should be true (all), false (none) or the most units that may be counted")


PercentOf = Annotated[int, Field(strict=True, ge=0, le=100)]


class LastUnitsConfig(Group):
    """Which channel keeps showing the last units."""

    at_or_below: Annotated[Units, Field(examples=[2])]
    """Base units: when available is this or less, only one channel shows them. 0 switches it off."""

    preferred: Annotated[tuple[Name, ...], Field(examples=[["shop-uk"]])] = ()
    """Channels in order; the first that lists the SKU keeps the units."""


class RuleValuesConfig(Group):
    """What a rule says. A key left out says nothing: a less specific rule decides, or nothing is done."""

    buffer: Annotated[
        Annotated[BufferSetting, PlainValidator(parse_buffer)] | None, Field(examples=[2, "10%", "computed"])
    ] = None
    """Held back from a channel against the delay of its number: base units (2), a percentage of what it could show
    ("10%"), "computed" from demand and delays for the channel's oversell_target, or the same with a probability
    and a limit of its own: { p = 0.01, at_most = 20 }."""

    share: Annotated[PercentOf | None, Field(examples=[40])] = None
    """Percent, 0 to 100, of the units that are not ring-fenced which a channel may show; rounded down."""

    minimum_shown: Annotated[Units | None, Field(examples=[2])] = None
    """Where there would be fewer than this, 0 is shown. In the listing's units: packs, bundles."""

    maximum_shown: Annotated[Units | None, Field(examples=[20])] = None
    """Never more than this is shown. In the listing's units: packs, bundles."""

    ring_fenced: Annotated[Units | None, Field(examples=[5])] = None
    """Base units that only this channel may sell; the others do not see them. Needs a channel or a listing."""

    last_units: Annotated[LastUnitsConfig | None, Field(examples=[{"at_or_below": 2, "preferred": ["shop-uk"]}])] = None
    """When available falls that low, only the first preferred channel that lists the SKU keeps showing it. Holds
    for all channels together: for a SKU, a class or everything, never for one channel."""

    may_lower: Annotated[Flag | None, Field(examples=[True])] = None
    """false: quantities are never lowered here, and sold units may be sold again. Not said: true."""

    may_raise: Annotated[Flag | None, Field(examples=[True])] = None
    """false: quantities are never raised here. Not said: true."""

    do_not_touch: Annotated[Flag | None, Field(examples=[True])] = None
    """true: the quantity is read and never written. Not said: false."""

    backorder: Annotated[Units | None, Field(examples=[10])] = None
    """Base units that may be sold beyond available. Not said: 0."""

    preorder_from_incoming: Annotated[
        Annotated[CountIncoming, PlainValidator(parse_incoming)] | None, Field(examples=[True])
    ] = None
    """Sell incoming units before they arrive: true all of them, a number at most that many, false none. Not said:
    none."""


class RuleConfig(RuleValuesConfig):
    """Values for some; the keys channel, location, sku, class and listing say for which. None of them: everything.

    Accepted are each alone, channel with a listing, a sku or a class, and location with a sku. Of several rules
    that fit, the most specific that says a key decides it; of equal ones the last. The values are explained at
    [channel.rules].
    """

    channel: Annotated[Name | None, Field(examples=["shop-uk"])] = None
    """A channel of this file."""

    location: Annotated[Name | None, Field(examples=["main"])] = None
    """A location of this file; fits listings that it alone feeds."""

    sku: Annotated[Sku | None, Field(examples=["MUG-BLUE"])] = None
    """One SKU."""

    sku_class: Annotated[Name | None, Field(alias="class", examples=["fragile"])] = None
    """A class of [[sku_class]]."""

    listing: Annotated[Annotated[str, Field(min_length=1, max_length=200)] | None, Field(examples=["B00EXAMPLE"])] = (
        None
    )
    """One listing, by the channel's id."""

    locations: Annotated[tuple[Name, ...] | None, Field(min_length=1, examples=[["main"]])] = None
    """The locations that feed the listings, in the order in which they ship. Not said: the channel's."""
