"""Access tokens: one caller renews, the others wait, and one that was refused is replaced once."""

import asyncio
import math
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import SecretStr

from channelsync.sdk.access_tokens import (
    RENEW_BEFORE,
    AccessToken,
    AccessTokens,
    code_of_refusal,
    use_for,
    with_token,
)
from channelsync.sdk.answers import Answer
from channelsync.sdk.budgets import Grant, Lane
from channelsync.sdk.contract import ContractClock
from channelsync.sdk.errors import NeedsSeller

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def answer(status: int, body: bytes = b"{}") -> Answer:
    return Answer(
        call="shop: GET /orders",
        status=status,
        headers=httpx.Headers(),
        body=body,
        asked_at=NOW,
        answered_at=NOW,
        grant=Grant("calls", Lane.NORMAL, 1, 0.0, 1.0),
    )


class Issuing:
    """Makes tokens that last a while, numbered; it takes a turn of the loop for each."""

    def __init__(self, clock: ContractClock, lasts: float | None = 600) -> None:
        self.clock, self.lasts = clock, lasts
        self.made = 0
        self.refused: list[str | None] = []
        self.tokens = AccessTokens(clock, self.renew)

    async def renew(self, refused: SecretStr | None) -> AccessToken:
        self.refused.append(None if refused is None else refused.get_secret_value())
        await asyncio.sleep(0)
        self.made += 1
        return AccessToken(SecretStr(f"token-{self.made}"), self.clock.monotonic() + use_for(self.lasts))


@pytest.fixture
def issuing() -> Issuing:
    return Issuing(ContractClock())


async def shown(issuing: Issuing) -> str:
    return (await issuing.tokens.token()).get_secret_value()


async def test_a_token_is_used_until_shortly_before_its_end(issuing: Issuing) -> None:
    assert await shown(issuing) == "token-1"
    await issuing.clock.sleep(600 - 60 - 1)
    assert await shown(issuing) == "token-1"
    await issuing.clock.sleep(1)
    assert await shown(issuing) == "token-2"


async def test_callers_that_come_together_get_one_token(issuing: Issuing) -> None:
    found = await asyncio.gather(*(shown(issuing) for _ in range(20)))
    assert set(found) == {"token-1"}
    refused = await issuing.tokens.token()
    again = await asyncio.gather(*(issuing.tokens.token(refused=refused) for _ in range(5)))
    assert {one.get_secret_value() for one in again} == {"token-2"}
    assert issuing.refused == [None, "token-1"]


async def test_a_failed_renewal_is_raised_and_the_next_caller_tries_again(issuing: Issuing) -> None:
    working = issuing.tokens._renew

    async def fails(_refused: SecretStr | None) -> AccessToken:
        raise NeedsSeller("Connect it anew.")

    issuing.tokens._renew = fails
    with pytest.raises(NeedsSeller):
        await issuing.tokens.token()
    issuing.tokens._renew = working
    assert await shown(issuing) == "token-1"


@pytest.mark.parametrize(
    ("refused", "asked", "status"),
    [((), ["token-1"], 200), (("token-1",), ["token-1", "token-2"], 200), (("token-1", "token-2"), None, 401)],
)
async def test_a_refused_token_is_replaced_once(
    issuing: Issuing, refused: tuple[str, ...], asked: list[str] | None, status: int
) -> None:
    shown: list[str] = []

    async def ask(token: SecretStr) -> Answer:
        shown.append(token.get_secret_value())
        return answer(401 if shown[-1] in refused else 200)

    given, token = await with_token(issuing.tokens, ask, lambda one: one.status == 401)
    assert (given.status, token.get_secret_value()) == (status, shown[-1])
    assert shown == (asked or ["token-1", "token-2"])


@pytest.mark.parametrize(
    ("lasts", "used"), [(7200, 7200 - RENEW_BEFORE), (600, 540), (10, 9), (None, math.inf)], ids=str
)
def test_what_is_kept_of_a_life_for_calls_on_their_way(lasts: float | None, used: float) -> None:
    assert use_for(lasts) == used


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": "invalid_grant", "error_description": "gone"}', "invalid_grant"),
        (b"<html>", "HTTP 400"),
        (b'{"error": 5}', "HTTP 400"),
        (b"{}", "HTTP 400"),
        (b'{"error": "' + b"x" * 200 + b'"}', "x" * 60),
    ],
)
def test_a_refusal_is_named_by_its_code_or_its_status(body: bytes, code: str) -> None:
    assert code_of_refusal(answer(400, body)) == code
