"""What a good connector does beyond what tests can see: the headings of its README, the rules of its quality.toml."""

from __future__ import annotations

HEADINGS = ("What the seller does", "Permissions", "How its number behaves", "Limits", "Known gaps")
"""The second-level headings of every connector's README, in this order."""

QUALITY_RULES = {
    "contract": "The contract suite passes, with no test skipped that the channel could pass.",
    "translation-tests": "Every field that is translated has a test on an answer as the channel really sends it.",
    "typed": "mypy --strict is silent.",
    "single-reads": "`read`, `listings_by_id` and `orders_by_id` ask for what is wanted, not for everything.",
    "server-budget": "The limiter is told what the channel says is left.",
    "token-renewal": "Access is renewed by the connector, by one caller at a time, before it ends.",
    "partial-failures": "One refused row never holds up its neighbours; a row without an answer is unknown.",
    "compare-and-set": "Where the channel can compare before it writes, a push makes it do so.",
    "idempotency-keys": "Where the channel takes them, every write carries one.",
    "webhooks": "Deliveries are verified and become hints.",
    "returns": "Returns and refunds are told apart: only what may be sold again counts as returned.",
    "locations": "A channel with several remote locations has one key for each.",
    "bundles": "Bundles that the channel knows are listed with their parts.",
    "measured": "Staleness, visibility and order of applying were measured on the real channel, not believed.",
    "real-account": "It ran against a real or a test account of the channel.",
}
"""Rule to what it asks. A connector's quality.toml answers each: "done", or a table of status (todo, exempt) and
reason."""
