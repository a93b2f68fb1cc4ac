"""The watermark, against a tiny channel of which everything is known.

The channel keeps a number of its own, sells from it, gives cancelled units back, and applies writes as it declares:
at once, in order, in any order, late or never. Its reads lag and its clock is off, within what it declares. Beside
it stands the key's state, which knows only reads, writes and booked orders.
"""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelsync.domain.effects import Effect
from channelsync.domain.watermark import (
    Applies,
    KeyState,
    Meaning,
    Read,
    Timing,
    Understood,
    Write,
    expected_now,
    understand,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@dataclass
class Pushed:
    """A write at the channel. applied: when; None: never."""

    write: Write
    applied: int | None
    answer: int | None


@dataclass
class Shop:
    """The channel with complete knowledge, and the key's state beside it. Times are whole seconds."""

    rng: random.Random
    timing: Timing
    late: bool = False
    writing: bool = True
    windows: bool = True
    beyond: bool = False
    pace: float = 0.03
    now: int = 0
    number: int = 20
    past: list[tuple[int, int]] = field(default_factory=list)
    state: KeyState = field(default_factory=KeyState)
    pushed: list[Pushed] = field(default_factory=list)
    unbooked: list[tuple[int, Effect]] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    asked: int | None = None
    answering: int = 0
    sales: int = 0
    understood: list[tuple[bool, Understood]] = field(default_factory=list)

    def tick(self) -> None:
        """One second: what is due happens, then perhaps something new."""
        self.now += 1
        for push in [push for push in self.pushed if push.applied == self.now]:
            self.number = push.write.value
        self.past.append((self.now, self.number))
        chance = self.rng.random()
        if chance < 0.08:
            self.sell(self.rng.choice([1, 1, 1, 2, 3]))
        elif chance < 0.10 and self.open:
            self.give_back(self.open.pop(self.rng.randrange(len(self.open))))
        elif chance < 0.10 + self.pace and self.writing and self.state.watermark:
            self.push(self.rng.randint(0, self.timing.cap or 25))
        elif chance > 0.93 and self.asked is None:
            self.asked, self.answering = self.now, self.now + self.rng.randint(0, 4)
        for push in [push for push in self.pushed if push.answer == self.now]:
            answered = replace(push.write, answered=second(self.now))
            writes = tuple(answered if w.generation == answered.generation else w for w in self.state.writes)
            self.state = replace(self.state, writes=writes)
            push.write = answered
        self.book([effect for at, effect in self.unbooked if at <= self.now])
        if self.asked is not None and self.now >= self.answering:
            self.read(self.asked)
            self.asked = None

    def sell(self, units: int) -> None:
        if units > self.number and self.timing.never_negative and not self.beyond:
            return
        self.open.append(units)
        self.move(-units)

    def give_back(self, units: int) -> None:
        self.move(units)

    def move(self, delta: int) -> None:
        self.number = max(0, self.number + delta) if self.timing.never_negative else self.number + delta
        self.past[-1] = (self.now, self.number)
        self.sales += 1
        skew = int(self.timing.skew.total_seconds())
        stamp = self.now + self.rng.randint(-skew, skew)
        early = self.rng.choice([0, 0, 0, 30]) if self.windows else 0
        effect = Effect(id=str(self.sales), key=1, delta=delta, earliest=second(stamp - early), latest=second(stamp))
        delay = self.rng.choice([0, 5, 60, 200]) if self.late else 0
        self.unbooked.append((self.now + delay, effect))

    def book(self, effects: list[Effect]) -> None:
        self.unbooked = [(at, effect) for at, effect in self.unbooked if effect not in effects]
        if self.windows and len({effect.delta > 0 for effect in effects}) == 1 and len(effects) > 1:
            effects = [_together(effects)]  # as an edit that was seen after a second one
        self.state = replace(self.state, effects=(*self.state.effects, *effects))

    def push(self, value: int) -> None:
        """As declared; a request without an answer is not followed by another for a while."""
        last = self.pushed[-1] if self.pushed else None
        if last and last.answer is None and self.now < second_of(last.write.sent) + 12:
            return
        if last and last.answer is not None and self.now <= last.answer:
            return
        grace = int(self.timing.grace.total_seconds())
        answer = self.now + self.rng.randint(1, 5) if self.rng.random() < 0.8 else None
        applied: int | None
        if self.timing.applies is Applies.AT_ONCE:
            applied = self.rng.randint(self.now + 1, answer or self.now + 5)
            if answer is None and self.rng.random() < 0.5:
                applied = None
        else:
            applied = self.rng.randint(self.now + 1, (answer or self.now) + grace)
            before = [push.applied for push in self.pushed if push.applied is not None]
            if self.timing.applies is Applies.IN_ORDER and before:
                applied = max(applied, max(before) + 1)
            if applied > (answer or self.now) + grace or self.rng.random() < 0.2:
                applied = None
        write = Write(generation=len(self.pushed) + 1, value=value, sent=second(self.now))
        self.pushed.append(Pushed(write, applied, answer))
        self.state = replace(self.state, writes=(*self.state.writes, write))

    def read(self, asked: int) -> None:
        view = self.rng.randint(asked - int(self.timing.staleness.total_seconds()), self.now)
        value = next((number for at, number in reversed(self.past) if at <= view), self.past[0][1])
        read = Read(self.timing.shown(value), second(asked), second(self.now))
        meant = understand(self.state, read, self.timing)
        self.understood.append((not self.unbooked, meant))
        self.state = meant.state


def _together(effects: list[Effect]) -> Effect:
    return replace(
        effects[0],
        delta=sum(effect.delta for effect in effects),
        earliest=min(effect.earliest for effect in effects),
        latest=max(effect.latest for effect in effects),
    )


def second_of(at: datetime) -> int:
    return int((at - NOON).total_seconds())


def check(shop: Shop) -> None:
    """What must hold whenever every order is booked."""
    if shop.understood:
        booked, meant = shop.understood[-1]
        if booked:
            assert meant.meaning not in (Meaning.DROP, Meaning.RISE), f"invented at {shop.now}: {meant}"
    if not shop.unbooked and shop.state.watermark:
        number = shop.timing.shown(shop.number)
        expected = expected_now(shop.state, shop.timing)
        assert any(a.low <= number <= a.high for a in expected), f"{number} at {shop.now} is not in {expected}"


def timings(applies: Applies) -> st.SearchStrategy[Timing]:
    return st.builds(
        Timing,
        staleness=st.sampled_from([0, 0, 3, 20]).map(seconds),
        skew=st.sampled_from([0, 0, 2, 8]).map(seconds),
        grace=st.sampled_from([15, 90]).map(seconds),
        applies=st.just(applies),
        never_negative=st.booleans(),
        cap=st.sampled_from([None, None, 12]),
    )


SEEDS = st.integers(0, 2**32)
PACES = st.sampled_from([0.005, 0.06])


@pytest.mark.parametrize("applies", Applies)
@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    seed=SEEDS,
    how=st.sampled_from([(True, 0), (False, 0), (False, 0.005), (False, 0.06), (False, 0.06)]),
    beyond=st.booleans(),
)
def test_no_drop_is_invented_and_the_number_is_always_among_the_expected_ones_while_all_is_booked(
    applies: Applies, data: st.DataObject, seed: int, how: tuple[bool, float], beyond: bool
) -> None:
    """Orders that were booked late have been drops before; they leave nothing wrong behind.

    Not together with writes: an unseen sale may then imitate a write that was not applied yet, and the rules take the
    write for visible. It costs a drop or a rise that is explained by the next order read.
    """
    late, pace = how
    timing = data.draw(timings(applies))
    shop = Shop(random.Random(seed), timing, late=late, beyond=beyond, pace=pace)
    for _ in range(500):
        shop.tick()
        check(shop)


@pytest.mark.parametrize("applies", Applies)
@settings(max_examples=80, deadline=None)
@given(data=st.data(), seed=SEEDS, pace=PACES)
def test_a_write_is_called_visible_only_when_it_was_applied_and_lost_only_when_it_was_not(
    applies: Applies, data: st.DataObject, seed: int, pace: float
) -> None:
    shop = Shop(random.Random(seed), data.draw(timings(applies)), pace=pace)
    for _ in range(600):
        shop.tick()
    applied = {push.write.generation: push.applied for push in shop.pushed}
    for _, meant in shop.understood:
        if meant.visible is not None:
            assert applied[meant.visible.generation] is not None
        if applies is not Applies.ANY_ORDER:  # there a write may have been overwritten by an older one
            assert all(applied[write.generation] is None for write in meant.lost)


@pytest.mark.parametrize("applies", Applies)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=SEEDS)
def test_when_the_writes_stop_every_key_is_verified_after_two_reads(
    applies: Applies, data: st.DataObject, seed: int
) -> None:
    timing = data.draw(timings(applies))
    shop = Shop(random.Random(seed), timing)
    for _ in range(200):
        shop.tick()
    shop.asked = None
    quiet = shop.now
    while shop.now < quiet + 150:
        shop.now += 1
        for push in [push for push in shop.pushed if push.applied == shop.now]:
            shop.number = push.write.value
        shop.past.append((shop.now, shop.number))
    for _ in range(2):
        shop.read(shop.now)
        shop.now += 30
        shop.past.append((shop.now, shop.number))
    assert shop.state.verified
    assert (shop.state.writes, shop.state.effects) == ((), ())
    assert shop.state.watermark is not None
    assert shop.state.watermark.value == timing.shown(shop.number)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), never_negative=st.booleans())
def test_fresh_reads_report_exactly_what_was_sold_unseen_and_the_counts_stay_right(
    seed: int, never_negative: bool
) -> None:
    """Fresh and instantaneous reads, no writes: booked units and open provisional ones are what the channel lost."""
    rng = random.Random(seed)
    shop = Shop(rng, Timing(never_negative=never_negative), late=True, writing=False, windows=False)
    shop.past.append((0, shop.number))
    shop.read(0)
    began, unseen, held, booked = shop.number, 0, 0, 0
    for _ in range(400):
        shop.now += 2
        before = [effect for _, effect in shop.unbooked]
        number = shop.number
        shop.past.append((shop.now, number))
        if rng.random() < 0.4:
            shop.sell(rng.choice([1, 2, 3]))
        unseen += number - shop.number
        shop.past.append((shop.now, shop.number))
        arriving = [effect for at, effect in shop.unbooked if at <= shop.now]
        shop.book(arriving)
        booked += sum(-effect.delta for effect in arriving)
        unseen -= sum(-effect.delta for effect in arriving if effect not in before or effect.latest > last_read(shop))
        if rng.random() < 0.3:
            shop.now += 1
            shop.past.append((shop.now, shop.number))
            shop.read(shop.now)
            meant = shop.understood[-1][1]
            assert meant.units == unseen, f"at {shop.now}"
            assert meant.meaning is (Meaning.DROP if unseen else Meaning.AS_EXPECTED)
            held += meant.units + sum(effect.delta for effect in meant.contained)
            unseen = 0
            assert booked + held == began - shop.number


def last_read(shop: Shop) -> datetime:
    assert shop.state.watermark is not None
    return shop.state.watermark.answered
