"""What is to be mended of webhook subscriptions, and that mending leaves nothing to be mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from channelsync.sdk.subscriptions import Repair, Subscribes, Subscription, mend, repair_of

OURS = "https://agent.example.com/webhooks/shop"
OLD = "https://old.example.com/webhooks/shop"
OTHERS = "https://reports.example.net/hooks"
TOPICS = ("orders", "levels")


class Registry:
    """A channel's subscriptions, in memory."""

    topics: Sequence[str] = TOPICS

    def __init__(self, found: Sequence[Subscription]) -> None:
        self.found = list(found)

    async def subscriptions(self) -> Sequence[Subscription]:
        return list(self.found)

    async def subscribe(self, topic: str, address: str) -> None:
        self.found.append(Subscription(f"new-{len(self.found)}", topic, address))

    async def reactivate(self, subscription: Subscription) -> None:
        self.found[self.found.index(subscription)] = replace(subscription, active=True)

    async def unsubscribe(self, subscription: Subscription) -> None:
        self.found.remove(subscription)


def test_what_is_told_at_an_old_host_is_misrouted_and_left_to_the_seller() -> None:
    old = Subscription("1", "orders", OLD)
    repair = repair_of(TOPICS, [old, Subscription("2", "orders", OTHERS), Subscription("3", "levels", OURS)], OURS)

    assert repair == Repair(missing=("orders",), off=(), doubled=(), misrouted=(old,))
    assert not Repair((), (), (), (old,)).needed


def test_of_two_the_active_one_stays() -> None:
    off, on = Subscription("1", "orders", OURS, active=False), Subscription("2", "orders", OURS)

    assert repair_of(("orders",), [off, on], OURS) == Repair(missing=(), off=(), doubled=(off,))


def test_an_address_that_is_none_is_another_programs() -> None:
    odd = Subscription("1", "orders", "https://[odd")

    assert repair_of(("orders",), [odd], OURS).misrouted == ()


subscriptions = st.builds(
    Subscription,
    name=st.uuids().map(str),
    topic=st.sampled_from((*TOPICS, "refunds")),
    address=st.sampled_from((OURS, OLD, OTHERS)),
    active=st.booleans(),
)


@given(st.lists(subscriptions, max_size=8, unique_by=lambda one: one.name))
async def test_after_mending_every_topic_is_told_once_and_others_are_untouched(found: list[Subscription]) -> None:
    registry = Registry(found)
    assert isinstance(registry, Subscribes)
    await mend(registry, OURS)

    assert not repair_of(TOPICS, registry.found, OURS).needed
    ours = [one for one in registry.found if one.address == OURS and one.topic in TOPICS]
    assert sorted((one.topic, one.active) for one in ours) == [("levels", True), ("orders", True)]
    kept = [one for one in found if one.address != OURS or one.topic not in TOPICS]
    assert [one for one in registry.found if one.address != OURS or one.topic not in TOPICS] == kept
