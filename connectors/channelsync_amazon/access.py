"""The access token of one account: Login with Amazon makes it from the refresh token, for an hour."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from pydantic import SecretStr

from channelsync.sdk.access_tokens import AccessToken, AccessTokens, code_of_refusal, use_for
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.http import Call, HttpTransport
from channelsync.sdk.wire import read_answer
from channelsync_amazon import wire
from channelsync_amazon.settings import LWA_BUCKET, AmazonSettings

_REFUSED = (400, 401, 403)
_FORM = "application/x-www-form-urlencoded;charset=UTF-8"


class Access:
    """The account's access; see `HasTokens`.

    http: leads to Login with Amazon. tell: is told every new token, so that it can be hidden elsewhere too.
    """

    def __init__(
        self, http: HttpTransport, clock: Clock, settings: AmazonSettings, tell: Callable[[SecretStr], None]
    ) -> None:
        self._http = http
        self._clock = clock
        self._settings = settings
        self._tell = tell
        self._tokens = AccessTokens(clock, self._renewed)

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """A token to be used now. refused: one that Amazon did not accept, so another is wanted.

        Raises NeedsSeller when Amazon makes no other, and what the transport raises.
        """
        return await self._tokens.token(refused=refused)

    async def _renewed(self, _refused: SecretStr | None) -> AccessToken:
        asked = self._clock.monotonic()
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._settings.refresh_token.get_secret_value(),
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
        }
        # A read: the refresh token stays the same, so asking twice changes nothing.
        call = Call(
            "POST",
            "/auth/o2/token",
            "read",
            bucket=LWA_BUCKET,
            headers={"Content-Type": _FORM},
            content=urlencode(form).encode(),
            accept=_REFUSED,
        )
        answer = await self._http.request(call)
        if answer.status in _REFUSED:
            raise NeedsSeller(
                f"Authorise the app for the account anew and set refresh_token, client_id and client_secret:"
                f" Amazon makes no access token ({code_of_refusal(answer)}). An app's secret ends after 180 days."
            )
        token = read_answer(wire.Token, answer)
        secret = SecretStr(token.access_token)
        self._http.keep_secret(secret)
        self._tell(secret)
        return AccessToken(secret, asked + use_for(token.expires_in))
