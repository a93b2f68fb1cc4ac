"""How a request shows the key: in a header, in the address, or by a signature (OAuth 1.0a, one-legged)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from channelsync.sdk.clock import Clock
from channelsync.sdk.http import Call
from channelsync_woocommerce.settings import WooSettings

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NONCE_BYTES = 16


class Access:
    """The key of one shop."""

    def __init__(self, settings: WooSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def opened(self, call: Call) -> Call:
        """The call with the key shown. A signed one leaves once: the shop takes no nonce twice."""
        key, secret = self._settings.consumer_key, self._settings.consumer_secret
        match self._settings.way_in:
            case "basic":
                pair = f"{key.get_secret_value()}:{secret.get_secret_value()}".encode()
                header = SecretStr(f"Basic {base64.b64encode(pair).decode()}")
                return replace(call, headers={**call.headers, "Authorization": header})
            case "query":
                return replace(call, params={**call.params, "consumer_key": key, "consumer_secret": secret})
            case "oauth":
                # Not from a seed: a nonce must be new after a restart too, and nothing follows from its value.
                nonce = secrets.token_hex(_NONCE_BYTES)
                stamp = str(int(self._clock.now().timestamp()))
                return replace(call, params={**call.params, **self._signed(call, nonce, stamp)}, attempts=1)

    def _signed(self, call: Call, nonce: str, stamp: str) -> dict[str, str | SecretStr]:
        given = {
            "oauth_consumer_key": self._settings.consumer_key.get_secret_value(),
            "oauth_nonce": nonce,
            "oauth_signature_method": "HMAC-SHA256",
            "oauth_timestamp": stamp,
        }
        params = {name: _text(value) for name, value in call.params.items()}
        secret = self._settings.consumer_secret
        right = signature(call.method, self._settings.base_url + call.path, params | given, secret)
        return {
            **given,
            "oauth_consumer_key": self._settings.consumer_key,
            "oauth_signature": SecretStr(right),
        }


def signature(method: str, url: str, params: Mapping[str, str], secret: SecretStr) -> str:
    """The signature of a request by RFC 5849 with HMAC-SHA256, without a token secret.

    url: without a query. params: all of the query and of OAuth but the signature, not yet encoded.
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


def _text(value: str | int | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
