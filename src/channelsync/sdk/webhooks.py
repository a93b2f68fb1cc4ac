"""Webhooks: is a delivery genuine, and what does it hint at.

A delivery is never believed beyond a hint: it says what to read, and the read says what is so. So a lost, doubled,
late or overtaken delivery does no harm, and nothing of the buyer comes in by this way.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from channelsync.sdk.values import QuantityKey

TOLERANCE = timedelta(minutes=5)
"""How far a delivery's time may be from ours: long enough for clocks that differ, too short to replay it much later."""

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret starts with, not a secret
_SIGNATURES_MAX = 16
_DIGITS_MAX = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookHint:
    """What a genuine delivery says may have changed.

    topic: in the channel's words. event: the channel's id of the message, the same for every repeat of it, so that
    an inbox keeps it once. sent_at: the channel's time of this delivery. orders, keys: what to read; both empty when
    the delivery does not tell: read what is new.
    """

    topic: str
    event: str
    sent_at: datetime
    orders: tuple[str, ...] = ()
    keys: tuple[QuantityKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Harmless:
    """A delivery that means nothing and is answered 200: one that the channel is known to send unsigned, or one that is
    genuine and too late to matter. why: its kind, e.g. `ping of a new webhook`."""

    why: str


TOO_LATE = Harmless("genuine, and too late to matter: the polls have found it")
"""For channels that repeat or delay deliveries for hours and switch off who refuses them. Were it caught on its way and
sent again, it would change as little."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a valid signature vouches for, beside the body. event: the message's id. sent_at: aware UTC."""

    event: str
    sent_at: datetime


class StandardWebhooks:
    """Verifies deliveries signed as Standard Webhooks 1.0 says: HMAC-SHA256 over `id.timestamp.body`.

    secrets: those in force, several while one replaces another; base64, with or without `whsec_` before it.
    tolerance: how far the signed time may be from ours, either way. prefix: of the three headers' names.
    Raises ValueError for no secret, an empty one, or one that is not base64; the error does not show it.
    """

    def __init__(
        self, secrets: Sequence[SecretStr], *, tolerance: timedelta = TOLERANCE, prefix: str = "webhook-"
    ) -> None:
        if not secrets:
            raise ValueError("webhooks need a secret: without one, anybody could sign")
        self._keys = tuple(key_of(secret) for secret in secrets)
        self._tolerance = tolerance
        self._prefix = prefix

    def verified(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Signed | None:
        """What is signed, or None for a delivery that is forged, changed, stale or malformed. Never raises.

        headers: their names in any case. body: the raw bytes as they came, before any parsing. now: aware.
        """
        found = {name.lower(): value for name, value in headers.items()}
        event, stamp, signatures = (found.get(self._prefix + name, "") for name in ("id", "timestamp", "signature"))
        sent_at = _time(stamp)
        if not event or not signatures or sent_at is None:
            return None
        content = b".".join((_bytes(event), _bytes(stamp), body))
        if not self._signed(content, signatures) or abs(now - sent_at) > self._tolerance:
            return None
        return Signed(event, sent_at)

    def signature(self, event: str, sent_at: datetime, body: bytes) -> str:
        """What a delivery of ours carries as its signature: one by each secret, with blanks between them."""
        content = b".".join((_bytes(event), b"%d" % int(sent_at.timestamp()), body))
        each = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in self._keys)
        return " ".join(f"v1,{text}" for text in each)

    def _signed(self, content: bytes, signatures: str) -> bool:
        """Whether one of the signatures is by one of the secrets, in time that tells nothing about which.

        The right signature is spelled as base64 and compared as text: what is malformed never needs decoding.
        """
        given = [
            text
            for version, _, text in (one.partition(",") for one in signatures.split(" ")[:_SIGNATURES_MAX])
            if version == "v1"
        ]
        valid = False
        for key in self._keys:
            right = base64.b64encode(hmac.digest(key, content, hashlib.sha256))
            for text in given:
                valid |= hmac.compare_digest(right, _bytes(text))
        return valid


def signed_by(keys: Sequence[bytes], body: bytes, signature: str) -> bool:
    """Whether a header holds the base64 of HMAC-SHA256 over the raw body by one of the keys.

    In time that tells nothing about which. The right signature is spelled as base64 and compared as text: what is
    malformed never needs decoding.
    """
    given = _bytes(signature)
    valid = False
    for key in keys:
        right = base64.b64encode(hmac.digest(key, body, hashlib.sha256))
        valid |= hmac.compare_digest(right, given)
    return valid


def plain_keys(secrets: Sequence[SecretStr]) -> tuple[bytes, ...]:
    """Secrets as the bytes that were typed. Raises ValueError for no secret, or an empty one."""
    keys = tuple(secret.get_secret_value().encode() for secret in secrets)
    if not keys or not all(keys):
        raise ValueError("webhooks need a secret: without one, anybody could sign")
    return keys


def key_of(secret: SecretStr) -> bytes:
    """The bytes of a secret as it is handed out. Raises ValueError for one that is empty or not base64."""
    try:
        key = base64.b64decode(secret.get_secret_value().removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a webhook secret is not base64; copy it anew, whole") from None
    if not key:
        raise ValueError("a webhook secret is empty: anybody could sign with it")
    return key


def _time(stamp: str) -> datetime | None:
    """A time in whole seconds since 1970; None for anything else."""
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _DIGITS_MAX):
        return None
    try:
        return datetime.fromtimestamp(int(stamp), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _bytes(text: str) -> bytes:
    """A header's value as bytes, whatever was decoded into it."""
    return text.encode("utf-8", "surrogatepass")
