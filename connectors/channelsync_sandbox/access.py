"""The access token of one account: got with the refresh token, which stays the same."""

from __future__ import annotations

from pydantic import SecretStr, ValidationError

from channelsync.sdk.access_tokens import AccessToken, AccessTokens, use_for
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync.sdk.wire import read_answer
from channelsync_sandbox import wire

_BAD_REQUEST = 400


class Access:
    """The account's access; see `HasTokens`."""

    def __init__(self, http: HttpTransport, clock: Clock, refresh_token: SecretStr) -> None:
        self._http = http
        self._clock = clock
        self._refresh_token = refresh_token
        self._tokens = AccessTokens(clock, self._renewed)

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """A token to be used now. refused: one that the marketplace did not accept, so another is wanted.

        Raises NeedsSeller when the refresh token is not valid any more, and what the transport raises.
        """
        return await self._tokens.token(refused=refused)

    async def _renewed(self, _refused: SecretStr | None) -> AccessToken:
        asked = self._clock.monotonic()
        body = {"grant_type": "refresh_token", "refresh_token": self._refresh_token.get_secret_value()}
        # A read: the refresh token stays the same, so asking twice changes nothing.
        answer = await self._http.request(
            Call("POST", "/oauth/token", "read", cost=0, json=body, accept=(_BAD_REQUEST,))
        )
        if answer.status == _BAD_REQUEST:
            raise NeedsSeller(
                f"Connect the account anew and set its refresh_token: the marketplace does not accept the present"
                f" one ({code_of(answer)})."
            )
        token = read_answer(wire.Token, answer)
        secret = SecretStr(token.access_token)
        self._http.keep_secret(secret)
        return AccessToken(secret, asked + use_for(token.expires_in))


def code_of(answer: Answer) -> str:
    """The code of a refusal; an answer that carries none is named by its status."""
    try:
        code = wire.Refusal.model_validate_json(answer.body).error.code
    except ValidationError:
        code = ""
    return code or f"HTTP {answer.status}"
