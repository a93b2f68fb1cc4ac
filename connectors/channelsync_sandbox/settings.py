"""[channel.settings] of a sandbox channel, and what they say about the marketplace: capabilities and budget."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from channelsync.sdk.channel import CallCost, Capabilities, Moves, QuantityMeaning, ZeroPolicy
from channelsync.sdk.http import Timeouts
from channelsync.sdk.limiter import Budget
from channelsync.sdk.values import Applies, Deducts, GivesBack, NumberBehaviour, Timing, WriteLimit

Count = Annotated[int, Field(strict=True, ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]

KEPT = 0.2
"""The share of the revisions of a day that is kept for lowerings."""


class Declared(BaseModel):
    """How the marketplace behaves, under the names and with the values of its own `declares`.

    The defaults are those of a plain marketplace. A marketplace that differs needs its values here: capabilities are
    known before the first call.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    updates_per_push: Count = 50
    """Rows in one push. Default 50."""

    reads_per_call: Count = 50
    """Keys in one read. Default 50."""

    orders_per_page: Count = 50
    """Orders on a page. Default 50."""

    listings_per_page: Count = 100
    """Listings on a page. Default 100."""

    compare_and_set: bool = False
    """A push may say which number it expects to replace. Default false: then every push may overwrite a sale that
    nobody has seen."""

    idempotency_keys: bool = False
    """A write that carries the same key again changes nothing. Default false."""

    relative_writes: bool = False
    """A push may state a difference. Never used here: a difference that is sent twice counts twice. Default false."""

    answers_with_number: bool = False
    """The answer to a push states the number in force. Default false."""

    meaning: QuantityMeaning = "available"
    """available: units a buyer may buy. physical: also those in open orders. Default available."""

    committed_readable: bool = False
    """Reads tell the units in open orders. Default false."""

    holds_readable: bool = False
    """Reads tell the units held by drafts, transfers and checkouts. Default false."""

    zero: ZeroPolicy = "shows 0"
    """What 0 does to a listing: shows 0, deactivates, ends. Default "shows 0"."""

    deducts: Deducts = Deducts.AT_ORDER
    """When a sale lowers the number: at order, as told (when it is paid), at shipment, never. Default "at order"."""

    gives_back: frozenset[GivesBack] = frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT})
    """What raises it again by itself: on cancel, on edit, on restock. Default the first two."""

    moves: Moves = "own"
    """Which keys a sold bundle moves: own, components, both. Default own."""

    applies: Applies = Applies.AT_ONCE
    """When accepted writes come into force: at once, in order, any order. Default "at once"."""

    grace_s: Seconds = 0
    """Seconds within which an accepted write can be read, or is lost. Default 0."""

    staleness_s: Seconds = 0
    """Seconds that a read may be behind. Default 0."""

    skew_s: Seconds = 0
    """Seconds that the marketplace's clock may be off, either way. Default 0."""

    never_negative: bool = True
    """Numbers stop at 0. Default true."""

    cap: Annotated[Count | None, Field(examples=[999])] = None
    """The largest number it shows. Default none."""

    rounds_to: Count = 1
    """Numbers are rounded down to a multiple of this. Default 1: every number."""

    clamps: Literal["on write", "on read", "refuses"] = "on write"
    """Where cap and rounding bite: on write, on read, or by a refusal. Default "on write"."""

    order_pages: Literal["stable", "shifting"] = "stable"
    """Whether rows move up when an order changes while it is paged. Default stable; paging is safe for both."""

    order_visibility_s: Seconds = 1
    """Seconds within which the search finds a change. Default 1."""

    order_overlap_s: Seconds = 1
    """Seconds that every search goes back, because changes are not found in their order. Default 1."""

    pending_limit_s: Annotated[Positive | None, Field(examples=[7200])] = None
    """Seconds after which the marketplace cancels an unpaid order. Default never."""

    assigns_locations: bool = False
    """Order lines name the location that ships. Default false."""

    unique_skus: bool = False
    """No two listings have one SKU. Default false."""

    webhooks: bool = True
    """It sends webhooks to who asks for them. Default true."""

    token_lifetime_s: Annotated[Positive | None, Field(examples=[3600])] = None
    """Seconds that an access token lasts; each answer says so itself. Default for ever."""

    budget_capacity: Positive = 1_000
    """Units of the rate budget that can be spent at once. Default 1000."""

    budget_per_second: Positive = 100
    """Units regained each second. Default 100."""

    budget_per_day: Annotated[Positive | None, Field(examples=[5000])] = None
    """Units a UTC day. Default without limit."""

    revisions_per_day: Annotated[Count | None, Field(examples=[250])] = None
    """Accepted writes of one key, or of all keys of one page, a UTC day. A fifth of them is kept for lowerings.
    Default without limit."""


class SandboxSettings(Declared):
    """Where the marketplace is, who we are there, and how it behaves."""

    base_url: Annotated[str, Field(pattern=r"^https?://", examples=["http://127.0.0.1:8080"])]
    """The marketplace's address, without /v1."""

    refresh_token: Annotated[SecretStr, Field(min_length=1, examples=["rt-1"])]
    """What the marketplace gave the seller when the account was connected; access tokens are got with it."""

    webhook_secrets: tuple[SecretStr, ...] = ()
    """What POST /v1/webhooks told for webhooks that were registered by hand, one or, while it is replaced, two.
    Default none: those that `channelsync channels connect` registers have theirs in the vault."""

    on_difference: Literal["stop", "warn"] = "stop"
    """What `check` does when the marketplace declares other values than stand here. stop: the channel stops and says
    what to set. warn: a line in the log, and these values count. Default stop: a wrong value oversells."""

    @model_validator(mode="after")
    def _physical_is_whole(self) -> Self:
        if self.meaning == "physical" and (self.cap is not None or self.rounds_to > 1):
            raise ValueError('meaning = "physical" goes with neither `cap` nor `rounds_to`: what is cut off looks sold')
        return self

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """All that must not be shown."""
        return (self.refresh_token, *self.webhook_secrets)


def capabilities(settings: Declared) -> Capabilities:
    """The marketplace that these settings tell of."""
    return Capabilities(
        updates_per_push=settings.updates_per_push,
        reads_per_call=settings.reads_per_call,
        push_cost=CallCost(1),
        read_cost=CallCost(1),
        compare_and_set=settings.compare_and_set,
        answers_with_number=settings.answers_with_number,
        meaning=settings.meaning,
        committed_readable=settings.committed_readable,
        zero=settings.zero,
        behaviour=NumberBehaviour(settings.deducts, settings.gives_back),
        moves=settings.moves,
        timing=Timing(
            staleness=timedelta(seconds=settings.staleness_s),
            skew=timedelta(seconds=settings.skew_s),
            # Counted from the sending where no answer came, so a request must fit in.
            grace=timedelta(seconds=settings.grace_s + Timeouts().total),
            applies=settings.applies,
            never_negative=settings.never_negative,
            cap=settings.cap,
            step=settings.rounds_to,
            step_shown=settings.clamps == "on read",
        ),
        order_visibility=timedelta(seconds=settings.order_visibility_s),
        order_overlap=timedelta(seconds=settings.order_overlap_s),
        pending_limit=None if settings.pending_limit_s is None else timedelta(seconds=settings.pending_limit_s),
        unique_skus=settings.unique_skus,
        writes_per_day=_writes_per_day(settings.revisions_per_day),
    )


def _writes_per_day(revisions: int | None) -> WriteLimit | None:
    """What holds for every 24 hours holds for every day; one write may take longer to get there than another."""
    if revisions is None:
        return None
    kept = min(revisions - 1, math.ceil(revisions * KEPT))
    return WriteLimit(most=revisions, kept=kept, span=timedelta(days=1, seconds=Timeouts().total))


def budgets(settings: Declared) -> tuple[Budget, ...]:
    """The one bucket that every call is paid from."""
    return (Budget("calls", settings.budget_capacity, settings.budget_per_second, settings.budget_per_day),)
