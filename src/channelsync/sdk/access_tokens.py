"""Access tokens that end: one caller at a time gets a new one, a little before the old one's end or when it is refused.

What differs from channel to channel is how a token is asked for; that is given as a function.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr, ValidationError

from channelsync.sdk.answers import Answer
from channelsync.sdk.clock import Clock
from channelsync.sdk.wire import Wire

RENEW_BEFORE = 120.0
"""Seconds before its end in which an access token is not used any more: longer than any call takes."""

_RENEW_SHARE = 0.1
"""The same, as a share of its life, where that is less."""

_CODE_CHARACTERS_MAX = 60


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token. use_until: on the monotonic clock."""

    secret: SecretStr
    use_until: float


Renew = Callable[[SecretStr | None], Awaitable[AccessToken]]
"""Makes another token. It is given the one that the channel refused; None: the present one has ended, or is none."""


class HasTokens(Protocol):
    """Where access tokens come from."""

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """A token to be used now. refused: one that the channel did not accept, so another is wanted.

        Raises NeedsSeller where there is no other.
        """
        ...


class AccessTokens:
    """The access tokens of one account. Callers that come while one is made wait for it."""

    def __init__(self, clock: Clock, renew: Renew) -> None:
        self._clock = clock
        self._renew = renew
        self._token: AccessToken | None = None
        self._renewing = asyncio.Lock()

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """See HasTokens; raises whatever `renew` does."""
        async with self._renewing:
            token = self._token
            if token is None or token.secret is refused or self._clock.monotonic() >= token.use_until:
                token = self._token = await self._renew(refused)
            return token.secret


async def with_token(
    tokens: HasTokens, ask: Callable[[SecretStr], Awaitable[Answer]], is_refused: Callable[[Answer], bool]
) -> tuple[Answer, SecretStr]:
    """The answer to a call, and the token that it was made with.

    A token that ended early is replaced once; where the new one is refused too, the refusal is the answer.
    """
    token = await tokens.token()
    answer = await ask(token)
    if is_refused(answer):
        token = await tokens.token(refused=token)
        answer = await ask(token)
    return answer, token


def use_for(expires_in: float | None) -> float:
    """Seconds for which a token is used that lasts so long, from the moment when it was asked for. None: it does not
    end by itself."""
    if expires_in is None:
        return math.inf
    return expires_in - min(RENEW_BEFORE, expires_in * _RENEW_SHARE)


class TokenRefusal(Wire):
    """Why no token came, as OAuth says it."""

    error: str = ""


def code_of_refusal(answer: Answer) -> str:
    """OAuth's code of a refusal; an answer that carries none is named by its status."""
    try:
        code = TokenRefusal.model_validate_json(answer.body).error
    except ValidationError:
        code = ""
    return code[:_CODE_CHARACTERS_MAX] or f"HTTP {answer.status}"
