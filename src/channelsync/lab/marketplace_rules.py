"""How one marketplace of the lab behaves: data, one field for every way in which real marketplaces differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from channelsync.sdk.values import Applies, Deducts, GivesBack

Meaning = Literal["available", "physical"]
ZeroPolicy = Literal["shows 0", "deactivates", "ends"]
Moves = Literal["own", "components", "both"]
Clamps = Literal["on write", "on read", "refuses"]
Pages = Literal["stable", "shifting"]
RetryAfter = Literal["seconds", "date", "none"]
Span = tuple[float, float]

NOTHING: Span = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketplaceRules:
    """The rules of one marketplace. A span is (least, most) seconds; each case is drawn evenly between them.

    Writes
        updates_per_push, reads_per_call, orders_per_page, listings_per_page: batch and page sizes.
        compare_and_set: a push may state the number it expects; checked when it comes in and when it is applied.
        idempotency_keys: a repeated key changes nothing. relative_writes: a push may state a difference.
        answers_with_number: a push's answer states the number in force.
        applies: accepted writes are applied at once, after `apply_delay` in the order of acceptance, or in any.
        never_applied: the share of accepted writes that are dropped without a word.
        cap, rounds_to, clamps: the largest number, the step, and where both bite.
        revisions_per_day: accepted writes of one key, or of all keys of one page, in a day of the marketplace's.
    Numbers
        meaning: what a number is. committed_readable, holds_readable: whether reads tell those too.
        zero: what 0 does to a listing. backorders: listings may be set to sell below zero.
        deducts, gives_back: when a sale lowers the number (as told: when it is paid), and what raises it again.
        moves: of a sold bundle.
        read_lag: how old a read is; each read draws anew, as from another replica.
    Orders
        visibility: when the search finds a change. late_share, late_by: this share is found so many seconds later
        still, beyond what is declared. order_pages: whether rows move under the cursor.
        pending_limit: seconds after which an unpaid order is cancelled. assigns_locations, tells_times: what an
        order says of places and of the time of each movement.
    The account
        skew: how far the marketplace's clock is ahead (negative: behind), in seconds. unique_skus. webhooks.
        token_lifetime: seconds. budget_*: the bucket of calls. retry_after: what a 429 of the budget says.
        latency: seconds on the way, there and back each.
        understates: declared values that are not the truth, by the names of `declares`.
    """

    updates_per_push: int = 50
    reads_per_call: int = 50
    orders_per_page: int = 50
    listings_per_page: int = 100
    compare_and_set: bool = False
    idempotency_keys: bool = False
    relative_writes: bool = False
    answers_with_number: bool = False
    applies: Applies = Applies.AT_ONCE
    apply_delay: Span = NOTHING
    never_applied: float = 0.0
    cap: int | None = None
    rounds_to: int = 1
    clamps: Clamps = "on write"
    revisions_per_day: int | None = None
    meaning: Meaning = "available"
    committed_readable: bool = False
    holds_readable: bool = False
    zero: ZeroPolicy = "shows 0"
    backorders: bool = False
    deducts: Deducts = Deducts.AT_ORDER
    gives_back: frozenset[GivesBack] = frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT})
    moves: Moves = "own"
    read_lag: Span = NOTHING
    visibility: Span = NOTHING
    late_share: float = 0.0
    late_by: float = 0.0
    order_pages: Pages = "stable"
    pending_limit: float | None = None
    assigns_locations: bool = False
    tells_times: bool = True
    skew: float = 0.0
    unique_skus: bool = False
    webhooks: bool = True
    token_lifetime: float | None = None
    budget_capacity: float = 1000.0
    budget_per_second: float = 100.0
    budget_per_day: float | None = None
    retry_after: RetryAfter = "seconds"
    latency: Span = NOTHING
    understates: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.applies is Applies.AT_ONCE and (self.apply_delay != NOTHING or self.never_applied):
            raise ValueError("A marketplace that applies at once has no apply_delay and loses no writes: set applies.")
        if self.cap is not None and self.cap % self.rounds_to:
            raise ValueError(f"The cap {self.cap} must be a multiple of rounds_to {self.rounds_to}.")
        if unknown := set(self.understates) - set(_truth(self)):
            raise ValueError(f"understates names what is not declared: {sorted(unknown)}.")

    def declares(self) -> dict[str, object]:
        """What `GET /v1/account` says of the rules, and what the connector's settings carry (JSON values)."""
        return _truth(self) | dict(self.understates)


def _truth(rules: MarketplaceRules) -> dict[str, object]:
    same = (
        "updates_per_push reads_per_call orders_per_page listings_per_page compare_and_set idempotency_keys "
        "relative_writes answers_with_number meaning committed_readable holds_readable zero moves cap rounds_to "
        "clamps order_pages assigns_locations unique_skus webhooks budget_capacity budget_per_second budget_per_day "
        "revisions_per_day"
    )
    found_within = max(1.0, rules.visibility[1])
    return {name: getattr(rules, name) for name in same.split()} | {
        "deducts": rules.deducts.value,
        "gives_back": sorted(why.value for why in rules.gives_back),
        "applies": rules.applies.value,
        "grace_s": rules.apply_delay[1],
        "staleness_s": rules.read_lag[1],
        "skew_s": abs(rules.skew),
        "never_negative": not rules.backorders,
        "order_visibility_s": found_within,
        "order_overlap_s": found_within,
        "pending_limit_s": rules.pending_limit,
        "token_lifetime_s": rules.token_lifetime,
    }


def _presets() -> dict[str, MarketplaceRules]:
    plain = MarketplaceRules()
    return {
        "plain": plain,
        "compare-and-set": replace(plain, compare_and_set=True, answers_with_number=True),
        "compare-and-set, stale 3 min": replace(plain, compare_and_set=True, read_lag=(0.0, 180.0)),
        "no compare-and-set, stale 3 min": replace(plain, read_lag=(0.0, 180.0)),
        "staler than declared": replace(plain, read_lag=(0.0, 180.0), understates={"staleness_s": 10.0}),
        "idempotency keys": replace(plain, idempotency_keys=True),
        "relative writes": replace(plain, relative_writes=True, idempotency_keys=True),
        "answers with the number": replace(plain, answers_with_number=True),
        "one at a time": replace(plain, updates_per_push=1, reads_per_call=1),
        "small pages": replace(plain, orders_per_page=3, listings_per_page=3),
        "applies later, in order": replace(plain, applies=Applies.IN_ORDER, apply_delay=(5.0, 60.0)),
        "applies later, in any order": replace(plain, applies=Applies.ANY_ORDER, apply_delay=(5.0, 60.0)),
        "loses accepted writes": replace(plain, applies=Applies.IN_ORDER, apply_delay=(1.0, 30.0), never_applied=0.2),
        "applies later with compare-and-set": replace(
            plain, applies=Applies.IN_ORDER, apply_delay=(5.0, 60.0), compare_and_set=True
        ),
        "deducts at payment": replace(plain, deducts=Deducts.AS_TOLD, pending_limit=7_200.0),
        "deducts at shipment": replace(plain, deducts=Deducts.AT_SHIPMENT, gives_back=frozenset()),
        "never deducts": replace(plain, deducts=Deducts.NEVER, gives_back=frozenset()),
        "gives nothing back": replace(plain, gives_back=frozenset()),
        "gives back on restock": replace(plain, gives_back=frozenset(GivesBack)),
        "cap on writing": replace(plain, cap=20),
        "cap on reading": replace(plain, cap=20, clamps="on read"),
        "refuses above the cap": replace(plain, cap=20, clamps="refuses"),
        "rounds to 5": replace(plain, rounds_to=5),
        "shows multiples of 5": replace(plain, rounds_to=5, clamps="on read"),
        "three revisions a day": replace(plain, revisions_per_day=3),
        "zero deactivates": replace(plain, zero="deactivates"),
        "zero ends": replace(plain, zero="ends"),
        "physical, committed readable": replace(
            plain, meaning="physical", committed_readable=True, deducts=Deducts.AT_SHIPMENT, gives_back=frozenset()
        ),
        "physical, blind": replace(plain, meaning="physical", deducts=Deducts.AT_SHIPMENT, gives_back=frozenset()),
        "names its holds": replace(plain, holds_readable=True),
        "backorders": replace(plain, backorders=True),
        "bundles move components": replace(plain, moves="components"),
        "bundles move both": replace(plain, moves="both"),
        "orders found late": replace(plain, visibility=(0.0, 300.0)),
        "orders later than declared": replace(plain, visibility=(0.0, 60.0), late_share=0.05, late_by=900.0),
        "pages that shift": replace(plain, order_pages="shifting", orders_per_page=5),
        "unpaid orders lapse": replace(plain, pending_limit=1_800.0),
        "assigns locations": replace(plain, assigns_locations=True),
        "tells no times": replace(plain, tells_times=False),
        "clock 90 s ahead": replace(plain, skew=90.0),
        "clock 90 s behind": replace(plain, skew=-90.0),
        "unique SKUs": replace(plain, unique_skus=True),
        "no webhooks": replace(plain, webhooks=False),
        "tokens last 10 min": replace(plain, token_lifetime=600.0),
        "tight budget": replace(plain, budget_capacity=10.0, budget_per_second=0.5),
        "tight budget, no Retry-After": replace(plain, budget_capacity=10.0, budget_per_second=0.5, retry_after="none"),
        "tight budget, Retry-After as a date": replace(
            plain, budget_capacity=10.0, budget_per_second=0.5, retry_after="date"
        ),
        "day quota": replace(plain, budget_per_day=2_000.0),
        "far away": replace(plain, latency=(0.05, 1.5)),
    }


PRESETS: Mapping[str, MarketplaceRules] = _presets()
"""Named marketplaces, each differing from "plain" in one way: the one that a test takes to see a rule break."""
