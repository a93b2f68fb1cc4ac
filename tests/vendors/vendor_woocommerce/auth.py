"""Who asks, and whether they may: keys over TLS, one-legged OAuth 1.0a without (`WC_REST_Authentication`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import unquote

from channelsync.lab.marketplace_http import Request
from vendor_woocommerce.calls import Action
from vendor_woocommerce.errors import WooError
from vendor_woocommerce.options import ApiKey, SiteOptions
from vendor_woocommerce.php import QueryValue, intval, parse_query, raw_url_encode

WINDOW = 15 * 60
"""Seconds that a timestamp may be off, and that a nonce is remembered."""

_REALM = "WooCommerce API. Use a consumer key in the username field and a consumer secret in the password field."
_NEEDED = ("oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method")
_WORDS: Mapping[Action, tuple[str, str]] = {
    "list": ("woocommerce_rest_cannot_view", "Sorry, you cannot list resources."),
    "view": ("woocommerce_rest_cannot_view", "Sorry, you cannot view this resource."),
    "create": ("woocommerce_rest_cannot_create", "Sorry, you are not allowed to create resources."),
    "edit": ("woocommerce_rest_cannot_edit", "Sorry, you are not allowed to edit this resource."),
    "delete": ("woocommerce_rest_cannot_delete", "Sorry, you are not allowed to delete this resource."),
    "batch": (
        "woocommerce_rest_cannot_batch",
        "Sorry, you are not allowed to batch manipulate this resource.",
    ),
}


def _denied(message: str, headers: Mapping[str, str] | None = None) -> WooError:
    return WooError(401, "woocommerce_rest_authentication_error", message, headers=headers)


def not_logged_in(action: Action) -> WooError:
    """The 401 of somebody whom nothing identified: no key, an unknown one, Basic without TLS, a stripped header."""
    return WooError(401, *_WORDS[action])


class Gate:
    """Knows the keys of one shop and the nonces that were used."""

    def __init__(self, keys: Sequence[ApiKey], options: SiteOptions) -> None:
        self.keys = list(keys)
        self._options = options
        self._nonces: dict[str, dict[str, str]] = {}

    def who(self, request: Request, base: str, now: datetime) -> ApiKey | None:
        """Whose request it is; None for nobody. Raises WooError for a key whose proof is wrong."""
        query = parse_query(request.raw_query)
        header = "" if self._options.strips_authorization else request.headers.get("authorization", "")
        if self._options.https:
            found = self._basic(query, header)
            if found is not None:
                return found
        return self._oauth(request, query, header, base, now)

    def _key(self, name: str) -> ApiKey | None:
        return next((key for key in self.keys if key.key == name), None)

    def _basic(self, query: Mapping[str, QueryValue], header: str) -> ApiKey | None:
        name, secret = query.get("consumer_key"), query.get("consumer_secret")
        if not (isinstance(name, str) and isinstance(secret, str) and name and secret):
            name, secret = _pair(header)
        key = self._key(name) if name and secret else None
        if key is None:
            return None
        if not hmac.compare_digest(key.secret.encode(), secret.encode()):
            raise _denied("Consumer secret is invalid.", {"www-authenticate": f'Basic realm="{_REALM}"'})
        return key

    def _oauth(
        self, request: Request, query: Mapping[str, QueryValue], header: str, base: str, now: datetime
    ) -> ApiKey | None:
        params = dict(query) | _from_header(header)
        missing = [name for name in _NEEDED if not params.get(name)]
        if len(missing) == len(_NEEDED):
            return None
        if missing:
            plural = "s" if len(missing) > 1 else ""
            message = f"Missing OAuth parameter{plural} {', '.join(missing)}"
            raise WooError(401, "woocommerce_rest_authentication_missing_parameter", message)
        key = self._key(str(params["oauth_consumer_key"]))
        if key is None:
            raise _denied("Consumer key is invalid.")
        _check_signature(key, request.method, base + request.path, params)
        self._check_nonce(key, str(params["oauth_timestamp"]), str(params["oauth_nonce"]), now)
        return key

    def _check_nonce(self, key: ApiKey, timestamp: str, nonce: str, now: datetime) -> None:
        """Remembers one nonce for each second, as WooCommerce does: a later one of that second replaces it."""
        at = now.timestamp()
        if abs(intval(timestamp) - at) > WINDOW:
            raise _denied("Invalid timestamp.")
        used = self._nonces.setdefault(key.key, {})
        if nonce in used.values():
            raise _denied("Invalid nonce - nonce has already been used.")
        used[timestamp] = nonce
        for old in [each for each in used if intval(each) < at - WINDOW]:
            del used[old]


def check_permission(key: ApiKey, method: str) -> None:
    """Raises WooError where the key may not read, or not write."""
    need = "read" if method in ("GET", "HEAD") else "write"
    if key.permissions not in (need, "read_write"):
        raise _denied(f"The API key provided does not have {need} permissions.")


def _pair(header: str) -> tuple[str, str]:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, secret


def _from_header(header: str) -> dict[str, QueryValue]:
    """The parameters of an `Authorization: OAuth ...` header."""
    if not header.strip().startswith("OAuth "):
        return {}
    return {name: unquote(value) for name, value in re.findall(r'(oauth_[a-z_-]*)="?([^",]*)"?', header)}


def _check_signature(key: ApiKey, method: str, url: str, params: Mapping[str, QueryValue]) -> None:
    """The signature over method, address and every parameter of the query, each encoded twice."""
    how = str(params["oauth_signature_method"])
    if how not in ("HMAC-SHA1", "HMAC-SHA256"):
        raise _denied("Invalid signature - signature method is invalid.")
    given = unquote(str(params["oauth_signature"]).replace(" ", "+"))
    signed = {name: value for name, value in params.items() if name != "oauth_signature"}
    text = "&".join((method.upper(), raw_url_encode(url), "%26".join(_pairs(signed))))
    algorithm = hashlib.sha1 if how == "HMAC-SHA1" else hashlib.sha256
    made = base64.b64encode(hmac.new(f"{key.secret}&".encode(), text.encode(), algorithm).digest()).decode()
    if not hmac.compare_digest(made, given):
        raise _denied("Invalid signature - provided signature does not match.")


def _pairs(params: Mapping[str, QueryValue]) -> list[str]:
    """Sorted by name; the members of an array are `name[key]`."""
    found: list[str] = []
    for name in sorted(params):
        value, encoded = params[name], raw_url_encode(name)
        if isinstance(value, dict):
            found += [f"{encoded}%5B{raw_url_encode(key)}%5D={raw_url_encode(each)}" for key, each in value.items()]
        else:
            found.append(f"{encoded}={raw_url_encode(value)}")
    return [raw_url_encode(pair) for pair in found]
