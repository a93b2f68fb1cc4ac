"""Hooks: what changed is told once it is so, signed, in order, again until it is accepted, and never without end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
import standardwebhooks
from pydantic import SecretStr

from channelsync.domain.findings import Finding, FindingKind
from channelsync.sdk.outbound import Outbound, Posted
from channelsync.store import findings, outgoing
from channelsync.store.items import item_id
from channelsync.sync import outgoing_changes
from channelsync.sync.outgoing import LEASE_LASTS, SENT_AT_ONCE, Courier, replay, send_test
from channelsync.sync.outgoing_changes import LOOK_BACK
from channelsync.sync.outgoing_events import HookSetup, payload_of
from channelsync.sync.outgoing_plan import RETRY_PLAN, verdict_of, wait_after
from channelsync.sync.take_orders import poll_orders

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
SCHEMA = Path(__file__).parents[2] / "docs" / "hooks.schema.json"


@dataclass(slots=True)
class Receiver:
    """A real HTTP server on this machine. status: what it answers next, the last one again and again."""

    port: int = 0
    statuses: list[int] = field(default_factory=lambda: [204])
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hangs: bool = False
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    open: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def told(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for _, body in self.came]

    @property
    def numbers(self) -> list[tuple[str, int]]:
        return [(one["data"]["sku"], one["data"]["on_hand"]) for one in self.told if one["type"] == "position.changed"]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
                body = await reader.readexactly(int(headers["content-length"]))
                self.came.append((headers, body))
                if self.hangs:
                    self.hung.set()
                    await asyncio.Event().wait()
                status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
                more = "location: /elsewhere\r\n" if status == 302 else ""
                answer = b"" if status == 204 else b"ok"
                writer.write(f"HTTP/1.1 {status} x\r\n{more}content-length: {len(answer)}\r\n\r\n".encode() + answer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    server = await asyncio.start_server(one.handle, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()
    for task in filter(None, one.open):
        task.cancel()
    await asyncio.gather(*filter(None, one.open), return_exceptions=True)


@dataclass(slots=True)
class Told:
    """A hook that is served by hand."""

    seller: Any
    hook: HookSetup
    stack: AsyncExitStack

    async def courier(self, owner: str = "one") -> tuple[Courier, Outbound]:
        courier = Courier(agent=self.seller.agent, hook=self.hook, owner=owner, rng=random.Random(1))
        return courier, await self.stack.enter_async_context(courier.opened(self.hook))

    async def rounds(self, courier: tuple[Courier, Outbound]) -> None:
        while await courier[0].round(courier[1]):
            pass

    async def has(self, sku: str, units: int) -> None:
        """Units of a SKU arrive, a moment after what was before."""
        self.seller.clock.at += timedelta(milliseconds=1)
        await self.seller.has(sku, units)

    async def look(self) -> None:
        """Everything that is to be done now."""
        await self.rounds(await self.courier())

    async def state(self) -> Any:
        return await self.seller.database.query(lambda c: outgoing.find_hook(c, self.hook.name))

    async def waiting(self) -> int:
        return await self.seller.database.query(lambda c: outgoing.count_waiting(c, self.hook.name))


@pytest.fixture
async def told(seller: Any, receiver: Receiver) -> AsyncIterator[Told]:
    hook = HookSetup(
        name="wms",
        url=f"http://127.0.0.1:{receiver.port}/in?key=1",
        secrets=(SecretStr(SECRET),),
        events=("position.changed",),
        allow_private=True,
    )
    async with AsyncExitStack() as stack:
        one = Told(seller, hook, stack)
        await one.look()
        seller.clock.at += timedelta(seconds=2)
        yield one


async def test_a_position_that_changed_is_told_signed_with_its_newest_numbers(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    for _ in range(3):
        await told.has("MUG", 2)
    await told.has("CUP", 1)
    await told.look()
    assert receiver.numbers == [("MUG", 6), ("CUP", 1)]
    headers, body = receiver.came[0]
    seller.clock.at += timedelta(seconds=1)
    assert orjson.loads(body)["timestamp"] == "2026-03-01T09:00:02.004Z"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    mug = receiver.told[0]["data"]
    assert mug == {
        "sku": "MUG",
        "location": "main",
        "on_hand": 6,
        "reserved": 0,
        "withheld": 0,
        "available": 6,
        "version": 3,
    }
    await told.look()
    assert len(receiver.came) == 2


async def test_an_independent_library_accepts_our_signatures_by_the_new_secret_and_by_the_old_one(
    seller: Any, told: Told, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.hook = replace(told.hook, secrets=(SecretStr(SECRET), SecretStr(OLD_SECRET)))
    await told.has("MUG", 2)
    await told.look()
    headers, body = receiver.came[0]

    class Then(standardwebhooks.webhooks.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return seller.clock.now().astimezone(tz or UTC)

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Then)
    for secret in (SECRET, OLD_SECRET):
        assert standardwebhooks.Webhook(secret).verify(body, headers)["type"] == "position.changed"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_" + "A" * 32).verify(body, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(body + b" ", headers)


async def test_orders_and_findings_are_told_without_the_buyer_and_as_the_schema_says(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    told.hook = replace(told.hook, events=("position.changed", "order.changed", "finding.opened", "finding.closed"))
    listing = await seller.sells("MUG", 3)
    shop = seller.shop()
    sale = shop.buy((shop.items[listing], 2), buyer="Ada Lovelace, 12 Example Street")
    await poll_orders(seller.agent, seller.channel())
    finding = Finding(kind=FindingKind.DRIFT, subject=("x",), channel="shop", item=item_id("MUG"), summary="s" * 30_000)
    now = seller.clock.now()
    await seller.database.transact(lambda c: findings.open_findings(c, [finding], now))
    await told.look()
    seller.clock.at += timedelta(seconds=2)
    shop.ship(sale, 2)
    await poll_orders(seller.agent, seller.channel())
    now = seller.clock.now()
    await seller.database.transact(lambda c: findings.close_findings(c, [finding.fingerprint], "mended", now))
    await told.look()
    kinds = [one["type"] for one in receiver.told]
    assert sorted(kinds) == sorted(
        ["position.changed", "order.changed", "finding.opened", "position.changed", "order.changed", "finding.closed"]
    )
    orders = [one["data"] for one in receiver.told if one["type"] == "order.changed"]
    assert (orders[0]["channel"], orders[0]["order"], orders[0]["status"]) == ("shop", sale.id, "open")
    assert orders[0]["version"] < orders[1]["version"]
    closed = next(one["data"] for one in receiver.told if one["type"] == "finding.closed")
    assert (closed["sku"], closed["closed_why"], len(closed["summary"])) == ("MUG", "mended", 2_000)
    schema = orjson.loads(SCHEMA.read_bytes())
    for (_, body), message in zip(receiver.came, receiver.told, strict=True):
        jsonschema.validate(message, schema)
        assert len(body) < 20_000
        assert b"Lovelace" not in body


async def test_a_hook_that_is_new_hears_of_what_comes_and_not_of_what_was(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    await told.has("MUG", 2)
    seller.clock.at += LOOK_BACK * 1.1
    told.hook = replace(told.hook, name="late")
    await told.look()
    await told.look()
    assert receiver.came == []


async def test_messages_wait_in_order_while_the_address_cannot_be_reached(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    receiver.statuses = [503, 503, 204]
    await told.has("MUG", 2)
    await told.look()
    seller.clock.at += timedelta(seconds=1)
    await told.has("CUP", 1)
    await told.has("MUG", 1)
    await told.look()
    assert len(receiver.came) == 1
    seller.clock.at += timedelta(seconds=5)
    await told.look()
    assert (len(receiver.came), (await told.state()).failures) == (2, 2)
    seller.clock.at += RETRY_PLAN[1] * 1.1
    await told.look()
    assert receiver.numbers == [("MUG", 2), ("MUG", 3), ("MUG", 3), ("CUP", 1)]
    ids = [headers["webhook-id"] for headers, _ in receiver.came]
    assert ids[0] != ids[1] == ids[2] != ids[3]
    assert ((await told.state()).failures, await told.waiting()) == (0, 0)


@pytest.mark.parametrize("status", [301, 302, 401, 404, 429, 500])
async def test_other_answers_than_2xx_are_failures_and_redirects_are_not_followed(
    seller: Any, told: Told, receiver: Receiver, status: int
) -> None:
    receiver.statuses = [status]
    await told.has("MUG", 2)
    await told.look()
    state = await told.state()
    assert (len(receiver.came), state.failures, state.problem) == (1, 1, f"HTTP {status}")
    assert state.not_before - seller.clock.now() == pytest.approx(timedelta(seconds=5), abs=timedelta(seconds=0.5))


async def test_a_message_that_is_refused_holds_up_no_other(seller: Any, told: Told, receiver: Receiver) -> None:
    receiver.statuses = [422, 204]
    await told.has("MUG", 2)
    await told.has("CUP", 1)
    await told.look()
    assert receiver.numbers == [("MUG", 2), ("CUP", 1)]
    assert await told.waiting() == 1
    receiver.statuses = [422]
    for wait in RETRY_PLAN[:2]:
        seller.clock.at += wait * 1.1
        await told.look()
    assert await seller.kinds() == ["hook failing"]
    receiver.statuses = [204]
    seller.clock.at += RETRY_PLAN[2] * 1.1
    await told.look()
    assert (await told.waiting(), await seller.kinds()) == (0, [])


async def test_what_changed_since_a_message_was_refused_is_told_at_once(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    receiver.statuses = [422, 422, 204]
    await told.has("MUG", 2)
    await told.look()
    seller.clock.at += RETRY_PLAN[0] * 1.1
    await told.look()
    seller.clock.at += timedelta(seconds=2)
    await told.has("MUG", 1)
    await told.look()
    assert receiver.numbers == [("MUG", 2), ("MUG", 2), ("MUG", 3)]
    assert await told.waiting() == 0


async def test_a_message_that_is_always_refused_is_given_up_in_the_end(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    receiver.statuses = [400]
    await told.has("MUG", 2)
    await told.look()
    for wait in RETRY_PLAN:
        assert await told.waiting() == 1
        seller.clock.at += wait * 1.1
        await told.look()
    assert (len(receiver.came), await told.waiting(), (await told.state()).stopped) == (10, 0, "")


async def test_an_address_that_never_answers_is_found_then_stopped_and_nothing_grows(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    await told.has("MUG", 2)
    await told.look()
    for number, wait in enumerate(RETRY_PLAN):
        assert await seller.kinds() == (["hook failing"] if number >= 2 else [])
        seller.clock.at += wait * 1.1
        await told.look()
    state = await told.state()
    assert (len(receiver.came), await told.waiting()) == (10, 0)
    assert "nothing was accepted in three days" in state.stopped
    (found,) = await seller.findings()
    assert "`channelsync hooks replay wms`" in found.summary
    await told.has("MUG", 1)
    await told.look()
    assert (len(receiver.came), await told.waiting()) == (10, 0)
    receiver.statuses = [204]
    now = seller.clock.now()
    await seller.database.transact(lambda c: replay(c, "wms", None, now))
    await told.look()
    assert receiver.numbers[-1] == ("MUG", 3)
    assert await seller.kinds() == []


async def test_an_address_that_is_gone_is_stopped_at_once(seller: Any, told: Told, receiver: Receiver) -> None:
    receiver.statuses = [410]
    await told.has("MUG", 2)
    await told.has("CUP", 2)
    await told.look()
    assert (len(receiver.came), await told.waiting()) == (1, 0)
    assert "410" in (await told.state()).stopped
    assert await seller.kinds() == ["hook failing"]
    receiver.statuses = [204]
    seller.clock.at += timedelta(days=1)
    now = seller.clock.now()
    await seller.database.transact(lambda c: replay(c, "wms", None, now))
    await told.look()
    assert receiver.numbers[1:] == [("MUG", 2), ("CUP", 2)]


async def test_what_waited_long_before_a_hook_was_stopped_is_told_by_a_replay(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    receiver.statuses = [503]
    await told.has("MUG", 2)
    await told.look()
    seller.clock.at += timedelta(hours=2)
    receiver.statuses = [410]
    await told.look()
    receiver.statuses = [204]
    seller.clock.at += timedelta(hours=1)
    now = seller.clock.now()
    await seller.database.transact(lambda c: replay(c, "wms", None, now))
    await told.look()
    assert receiver.numbers[2:] == [("MUG", 2)]


async def test_a_replay_tells_again_what_changed_since_a_moment(seller: Any, told: Told, receiver: Receiver) -> None:
    await told.has("MUG", 2)
    await told.look()
    seller.clock.at += timedelta(hours=1)
    since = seller.clock.now()
    await told.has("CUP", 1)
    await told.look()
    seller.clock.at += timedelta(hours=1)
    now = seller.clock.now()
    await seller.database.transact(lambda c: replay(c, "wms", since, now))
    await told.look()
    assert receiver.numbers == [("MUG", 2), ("CUP", 1), ("CUP", 1)]


async def test_what_becomes_visible_late_is_told_and_nothing_twice(seller: Any, told: Told, receiver: Receiver) -> None:
    """A transaction that began nine minutes ago ends now; the look since then has seen what was recorded after it."""
    began = seller.clock.at
    seller.clock.at = began + timedelta(minutes=9)
    await told.has("MUG", 2)
    await told.look()
    seller.clock.at = began
    await told.has("CUP", 1)
    seller.clock.at = began + timedelta(minutes=9, seconds=2)
    await told.look()
    assert receiver.numbers == [("MUG", 2), ("CUP", 1)]


@pytest.mark.fault(61, "a clock that goes back a day hides no change from hooks, and tells none twice")
async def test_a_clock_that_went_back_hides_nothing(seller: Any, told: Told, receiver: Receiver) -> None:
    seller.clock.at += timedelta(days=1)
    await told.has("MUG", 2)
    await told.look()
    seller.clock.at -= timedelta(days=1)
    await told.has("CUP", 1)
    await told.look()
    assert receiver.numbers == [("MUG", 2), ("CUP", 1)]


async def test_what_changes_while_nobody_looks_is_told_though_the_clock_was_ahead_once(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    seller.clock.at += timedelta(days=1)
    await told.look()
    seller.clock.at -= timedelta(days=1)
    await told.look()
    await told.has("MUG", 2)
    seller.clock.at += timedelta(hours=1)
    await told.look()
    assert receiver.numbers == [("MUG", 2)]


async def test_a_queue_that_is_full_takes_no_more_and_loses_nothing(
    seller: Any, told: Told, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing_changes, "WAITING_MAX", 3)
    receiver.statuses = [500]
    for number in range(8):
        await told.has(f"SKU-{number}", number + 1)
        seller.clock.at += timedelta(seconds=1)
    await told.look()
    assert await told.waiting() == 3
    receiver.statuses = [204]
    seller.clock.at += timedelta(hours=1)
    await told.look()
    assert receiver.numbers[1:] == [(f"SKU-{number}", number + 1) for number in range(8)]


async def test_accepted_messages_are_forgotten_in_time(seller: Any, told: Told, receiver: Receiver) -> None:
    await told.has("MUG", 2)
    await told.look()
    seller.clock.at += timedelta(days=3) + LOOK_BACK * 1.1
    await told.look()
    forgotten = await seller.database.transact(lambda c: outgoing.forget_delivered(c, "wms"))
    assert (forgotten, len(receiver.came)) == (0, 1)


@pytest.mark.fault(50, "of two workers one serves a hook, and the other takes over when it is gone")
async def test_only_one_worker_sends_for_a_hook(seller: Any, told: Told, receiver: Receiver) -> None:
    one, other = await told.courier("one"), await told.courier("other")
    await told.has("MUG", 2)
    await told.rounds(one)
    await told.has("MUG", 1)
    await told.rounds(other)
    assert receiver.numbers == [("MUG", 2)]
    seller.clock.at += timedelta(minutes=2)
    if seller.database.dialect == "postgresql":  # whose own clock counts there
        await one[0]._give_up()
    await told.rounds(other)
    assert receiver.numbers == [("MUG", 2), ("MUG", 3)]


@dataclass(slots=True)
class Slow:
    """An address that takes its time. seconds: for each answer."""

    clock: Any
    seconds: float
    came: int = 0

    async def post(self, content: bytes, headers: Any) -> Posted:
        self.came += 1
        self.clock.at += timedelta(seconds=self.seconds)
        return Posted(204)


async def test_an_address_that_answers_slowly_never_outlasts_the_right_to_send(seller: Any, told: Told) -> None:
    for number in range(SENT_AT_ONCE):
        await told.has(f"SKU-{number}", 1)
    slow: Any = Slow(seller.clock, 14.9)
    courier, _ = await told.courier()
    rounds = 0
    while await told.waiting() or not rounds:
        began = seller.clock.at
        await courier.round(slow)
        assert seller.clock.at - began < LEASE_LASTS * 0.9
        rounds += 1
    assert slow.came == SENT_AT_ONCE


async def test_where_nothing_has_come_nothing_is_looked_through(
    seller: Any, told: Told, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a large import there would be much, every two seconds; what comes late, or is to be told anew, is seen."""
    looks: list[int] = []
    right = outgoing.changed_positions
    monkeypatch.setattr(outgoing, "changed_positions", lambda *given: looks.append(1) or right(*given))  # type: ignore[func-returns-value]
    courier = await told.courier()

    async def looked() -> int:
        before = len(looks)
        for _ in range(3):
            seller.clock.at += timedelta(seconds=2)
            await told.rounds(courier)
        return len(looks) - before

    await told.has("MUG", 2)
    assert await looked() == 2, "one finds it, one finds nothing"
    assert await looked() == 0
    now = seller.clock.at
    seller.clock.at = now - timedelta(minutes=9)
    await told.has("CUP", 1)
    seller.clock.at = now
    assert await looked() == 2
    await seller.database.transact(lambda c: replay(c, "wms", now - timedelta(hours=1), now))
    assert await looked() == 2
    assert receiver.numbers == [("MUG", 2), ("CUP", 1), ("CUP", 1), ("MUG", 2)]
    seller.clock.at += timedelta(hours=1)
    await looked()
    assert (await told.state()).told_to >= seller.clock.at - timedelta(minutes=1), "it is told up to now all the same"


async def test_a_look_that_takes_long_is_followed_by_a_long_pause(
    seller: Any, told: Told, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from channelsync.sync import outgoing as serving

    looks: list[timedelta] = []

    def slow_look(*given: Any) -> Any:
        looks.append(seller.clock.at - began)
        seller.clock.at += timedelta(seconds=3)
        return outgoing_changes.fresh_messages(*given)

    monkeypatch.setattr(serving, "fresh_messages", slow_look)
    courier = await told.courier()
    began = seller.clock.at
    while seller.clock.at - began < timedelta(seconds=62):
        await told.rounds(courier)
        seller.clock.at += timedelta(seconds=1)
        await seller.has("MUG", 1)
    assert [round(one.total_seconds()) for one in looks] == [0, 30, 60]


async def test_a_replay_of_much_is_looked_through_in_parts(
    seller: Any, told: Told, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.hook = replace(told.hook, events=("position.changed", "order.changed"))
    monkeypatch.setattr(outgoing_changes, "MADE_AT_ONCE", 2)
    made: list[int] = []
    right = outgoing.changed_positions

    def counted(*given: Any) -> Any:
        found = right(*given)
        made.append(len(found))
        return found

    monkeypatch.setattr(outgoing, "changed_positions", counted)
    for number in range(7):
        await told.has(f"SKU-{number}", number + 1)
    seller.clock.at += timedelta(milliseconds=1)
    listing = await seller.sells("MUG", 3)
    shop = seller.shop()
    for _ in range(3):
        shop.buy((shop.items[listing], 1))
    await poll_orders(seller.agent, seller.channel())
    courier = await told.courier()
    for _ in range(12):
        await told.rounds(courier)
        seller.clock.at += timedelta(seconds=2)
    assert receiver.numbers == [*((f"SKU-{number}", number + 1) for number in range(7)), ("MUG", 3)]
    assert sum(one["type"] == "order.changed" for one in receiver.told) == 3
    assert max(made) == 3


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.fault(47, "whichever step a hook's worker was killed after, each change is told at least once")
@pytest.mark.parametrize("step", ["fresh_messages", "keep_messages", "post", "mark_delivered"])
async def test_a_change_is_told_wherever_the_process_was_killed(
    seller: Any, told: Told, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    from channelsync.sync import outgoing as serving

    owner: Any = outgoing if step == "mark_delivered" else serving
    right = getattr(owner, step)

    def dies(*given: Any, **more: Any) -> Any:
        right(*given, **more)
        raise Killed

    async def dies_after_sending(*given: Any, **more: Any) -> Any:
        await right(*given, **more)
        raise Killed

    await told.has("MUG", 2)
    monkeypatch.setattr(owner, step, dies_after_sending if step == "post" else dies)
    with pytest.raises(Killed):
        await told.look()
    monkeypatch.undo()
    await told.look()
    assert set(receiver.numbers) == {("MUG", 2)}
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1
    assert await told.waiting() == 0


async def test_messages_that_were_accepted_before_the_agent_stops_are_not_sent_again(
    seller: Any, told: Told, receiver: Receiver
) -> None:
    await told.has("CUP", 1)
    await told.look()
    await told.has("MUG", 2)
    receiver.hangs = True
    look = asyncio.create_task(told.look())
    await receiver.hung.wait()
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    assert await told.waiting() == 1


async def test_many_messages_go_out_in_the_order_of_their_changes(seller: Any, told: Told, receiver: Receiver) -> None:
    wanted = [(f"SKU-{number:03}", number + 1) for number in range(2 * SENT_AT_ONCE + 3)]
    for sku, units in wanted:
        await told.has(sku, units)
    await told.look()
    assert receiver.numbers == wanted


async def test_a_test_message_says_what_was_answered(seller: Any, told: Told, receiver: Receiver) -> None:
    receiver.statuses = [418]
    assert (await send_test(told.hook, "msg_test", seller.clock.now())).status == 418
    assert receiver.told[0]["type"] == "hook.test"
    jsonschema.validate(receiver.told[0], orjson.loads(SCHEMA.read_bytes()))


def test_the_plan_has_ten_attempts_and_ends() -> None:
    waits = [wait_after(number, 0.5) for number in range(1, 11)]
    assert [one.total_seconds() for one in waits[:-1]] == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert waits[-1] is None
    assert (wait_after(1, 0), wait_after(1, 1)) == (timedelta(seconds=4.5), timedelta(seconds=5.5))


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, "delivered"), (299, "delivered"), (300, "not reached"), (None, "not reached"), (410, "gone")]
    + [(status, "message refused") for status in (400, 409, 413, 415, 422)],
)
def test_an_answer_means_one_thing(status: int | None, verdict: str) -> None:
    assert verdict_of(status) == verdict


def test_a_text_that_is_too_long_is_cut_and_no_other(seller: Any) -> None:
    data = {"summary": "ä" * 2_001, "closed_why": "ö" * 2_000, "id": 7}
    told = orjson.loads(payload_of("finding.closed", data, seller.clock.now()))["data"]
    assert told == {"summary": "ä" * 1_999 + "…", "closed_why": "ö" * 2_000, "id": 7}
