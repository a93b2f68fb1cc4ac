"""How a request shows the key: in a header, in the address, or by a signature (OAuth 1.0a, one-legged)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

import httpx
from pydantic import SecretStr

from channelsync.sdk.clock import Clock
from channelsync.sdk.http import Call, Sign
from channelsync_woocommerce.settings import WooSettings

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NONCE_BYTES = 16


class Access:
    """The key of one shop."""

    def __init__(self, settings: WooSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def opened(self, call: Call) -> Call:
        """The call with the key shown. One that is signed shows it later, see `sign`."""
        key, secret = self._settings.consumer_key, self._settings.consumer_secret
        match self._settings.way_in:
            case "basic":
                pair = f"{key.get_secret_value()}:{secret.get_secret_value()}".encode()
                header = SecretStr(f"Basic {base64.b64encode(pair).decode()}")
                return replace(call, headers={**call.headers, "Authorization": header})
            case "query":
                return replace(call, params={**call.params, "consumer_key": key, "consumer_secret": secret})
            case "oauth":
                return call

    @property
    def sign(self) -> Sign | None:
        """Signs each request as it leaves, repeats too: the shop takes no nonce twice. None where nothing is signed."""
        return self._sign if self._settings.way_in == "oauth" else None

    def _sign(self, request: httpx.Request) -> tuple[SecretStr, ...]:
        given = {
            "oauth_consumer_key": self._settings.consumer_key.get_secret_value(),
            # Not from a seed: a nonce must be new after a restart too, and nothing follows from its value.
            "oauth_nonce": secrets.token_hex(_NONCE_BYTES),
            "oauth_signature_method": "HMAC-SHA256",
            "oauth_timestamp": str(int(self._clock.now().timestamp())),
        }
        params = dict(request.url.params) | given
        right = signature(request.method, str(request.url), params, self._settings.consumer_secret)
        request.url = request.url.copy_merge_params({**given, "oauth_signature": right})
        return (SecretStr(right),)


def signature(method: str, url: str, params: Mapping[str, str], secret: SecretStr) -> str:
    """The signature of a request by RFC 5849 with HMAC-SHA256, without a token secret.

    url: its query is passed over. params: all of the query and of OAuth but the signature, not yet encoded.
    """
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in params.items())
    query = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join((method.upper(), _encoded(_plain(url)), _encoded(query)))
    key = f"{_encoded(secret.get_secret_value())}&"
    return base64.b64encode(hmac.digest(key.encode(), base.encode(), hashlib.sha256)).decode()


def _plain(url: str) -> str:
    """The address as it is signed: scheme and host in small letters, no default port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")
