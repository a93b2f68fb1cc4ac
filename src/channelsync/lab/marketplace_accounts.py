"""What belongs to a seller's accounts at a marketplace: tokens, the budget of calls, webhook subscriptions."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import Topic, Violation

TOPICS: tuple[Topic, ...] = ("order.created", "order.updated", "order.cancelled", "number.changed")


@dataclass(frozen=True, slots=True)
class Account:
    """One access of the seller. site: the part of the marketplace that it lists on; empty: all of it."""

    name: str
    refresh_token: str
    site: str = ""


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells: all accounts share numbers, orders and budget."""

    id: str = "seller-1"
    title: str = "The Corner Shop"


class Tokens:
    """Access tokens: given for a refresh token, dropped by age or on command."""

    def __init__(self, accounts: Sequence[Account], lifetime: float | None, rng: random.Random) -> None:
        self._accounts = {account.refresh_token: account for account in accounts}
        self._lifetime = None if lifetime is None else timedelta(seconds=lifetime)
        self._rng = rng
        self._given: dict[str, tuple[Account, datetime]] = {}
        self._dropped: set[str] = set()

    def give(self, refresh_token: str, now: datetime) -> str | None:
        """A new access token; None when the refresh token is not valid."""
        account = self._accounts.get(refresh_token)
        if account is None:
            return None
        token = f"at-{self._rng.getrandbits(96):024x}"
        self._given[token] = (account, now)
        return token

    def whose(self, token: str, now: datetime) -> Account | Literal["stale", "unknown"]:
        """The account that a token stands for."""
        given = self._given.get(token)
        if given is None:
            return "stale" if token in self._dropped else "unknown"
        account, since = given
        revoked = account.refresh_token not in self._accounts
        if revoked or (self._lifetime is not None and now - since >= self._lifetime):
            return "stale"
        return account

    def drop(self) -> None:
        """All access tokens end now; refresh tokens stay valid."""
        self._dropped |= set(self._given)
        self._given.clear()

    def revoke(self, account: Account) -> None:
        """The seller withdraws an account's access: its refresh token is worth nothing any more."""
        self._accounts.pop(account.refresh_token, None)


@dataclass(frozen=True, slots=True)
class Charge:
    """What became of a call's cost. left: of the bucket. left_today: None without a quota.

    over: which budget could not pay it; None when it was paid. wait: seconds until it can be paid.
    """

    left: float
    left_today: float | None
    over: Literal["second", "day"] | None = None
    wait: float = 0.0


class Meter:
    """The bucket of a seller. A call that it cannot pay is refused, costs nothing, and is a violation."""

    def __init__(self, rules: MarketplaceRules) -> None:
        self._rules = rules
        self._left = rules.budget_capacity
        self._at: datetime | None = None
        self._day: date | None = None
        self._spent_today = 0.0
        self.violations: list[Violation] = []
        self.spent = 0.0

    def charge(self, cost: float, now: datetime, today: date, account: str, endpoint: str) -> Charge:
        """Takes the cost of a call. now: the lab's true time. today: by the marketplace's clock."""
        rules = self._rules
        passed = 0.0 if self._at is None else (now - self._at).total_seconds()
        self._left = min(rules.budget_capacity, self._left + passed * rules.budget_per_second)
        self._at = now
        if today != self._day:
            self._day, self._spent_today = today, 0.0
        left_today = None if rules.budget_per_day is None else rules.budget_per_day - self._spent_today
        over: Literal["second", "day"] | None = None
        if left_today is not None and left_today < cost:
            over = "day"
        elif self._left + 1e-9 < cost:
            over = "second"
        if over:
            left = left_today if over == "day" and left_today is not None else self._left
            self.violations.append(Violation(now, account, endpoint, cost, left, over))
            wait = 3600.0 if over == "day" else (cost - self._left) / rules.budget_per_second
            return Charge(self._left, left_today, over, wait)
        self._left -= cost
        self._spent_today += cost
        self.spent += cost
        return Charge(self._left, None if left_today is None else left_today - cost)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook subscription. secret: `whsec_` and base64, as the receiver is told once."""

    id: str
    account: str
    url: str
    topics: tuple[Topic, ...]
    secret: str

    @property
    def key(self) -> bytes:
        """The bytes that sign."""
        return base64.b64decode(self.secret.removeprefix("whsec_"))


class Subscriptions:
    """All webhook subscriptions."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._all: dict[str, Subscription] = {}
        self._made = 0

    def add(self, account: str, url: str, topics: tuple[Topic, ...]) -> Subscription:
        """Subscribes, with a new secret."""
        self._made += 1
        secret = "whsec_" + base64.b64encode(self._rng.randbytes(24)).decode()
        made = Subscription(f"wh-{self._made}", account, url, topics, secret)
        self._all[made.id] = made
        return made

    def remove(self, account: str, subscription: str) -> bool:
        """Ends one of the account's subscriptions; False when it has none of this id."""
        found = self._all.get(subscription)
        if found is None or found.account != account:
            return False
        del self._all[subscription]
        return True

    def of(self, account: str) -> list[Subscription]:
        """The account's subscriptions, oldest first."""
        return [each for each in self._all.values() if each.account == account]

    def wanting(self, topic: Topic) -> list[Subscription]:
        """All that want to hear of a topic."""
        return [each for each in self._all.values() if topic in each.topics]
