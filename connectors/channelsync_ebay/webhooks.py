"""Deliveries of eBay: genuine or not, and which orders or numbers they are about.

X-EBAY-SIGNATURE is base64 of JSON with the id of a key and a signature: ECDSA over the body, SHA-1 unless the key says
otherwise; the key is asked for at eBay (Notification API, getPublicKey; eBay's event-notification SDKs). A challenge is
answered with SHA-256 over its code, our verification token and the address, in this order (the same SDKs).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import SecretStr, ValidationError

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelError, TryLater
from channelsync.sdk.http import Call
from channelsync.sdk.resources import Resources
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import TOLERANCE, TOO_LATE, Harmless, WebhookHint
from channelsync.sdk.wire import At, CamelWire, read_answer
from channelsync_ebay import wire_account
from channelsync_ebay.access import Access
from channelsync_ebay.client import EbayClient, plausible
from channelsync_ebay.hosts import Hosts
from channelsync_ebay.settings import OTHER, EbaySettings

LATEST = timedelta(hours=12)
"""How old a delivery may be. What comes later the polls have found. It is answered all the same: eBay marks an address
down that refuses too often."""

_KEYS_MAX = 256
_KEY_FOR, _NO_KEY_FOR = timedelta(hours=24), timedelta(hours=1)
_FETCHES_MAX, _FETCHES_SPAN = 30, timedelta(hours=1)
"""A forger may name a new key with each delivery: eBay is not asked without end."""

_KID = re.compile(r"[0-9A-Za-z-]{8,64}", re.ASCII)
_EVENT = re.compile(r"[0-9A-Za-z_.:-]{1,100}", re.ASCII)
_ORDER = re.compile(r"[0-9A-Za-z!-]{1,60}", re.ASCII)
_HEADER_CHARACTERS_MAX = 2000
_ATTEMPTS_MAX = 1000
_DEPTH, _NAMES_MAX = 6, 50
_FORGET = "MARKETPLACE_ACCOUNT_DELETION"

_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {
    "": hashes.SHA1,
    "SHA1": hashes.SHA1,
    "SHA256": hashes.SHA256,
}


class _Header(CamelWire):
    kid: str
    signature: str
    alg: str = "ecdsa"


class _Metadata(CamelWire):
    topic: str = ""


class _Notification(CamelWire):
    notification_id: str = ""
    publish_date: At | None = None
    event_date: At | None = None
    publish_attempt_count: Any = None
    data: Any = None


class _Body(CamelWire):
    metadata: _Metadata
    notification: _Notification


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of eBay's; None: eBay has none of that id."""

    public: EllipticCurvePublicKey | None
    digest: type[hashes.HashAlgorithm]
    until: datetime


class Keys:
    """eBay's public keys, kept for a day."""

    def __init__(self, settings: EbaySettings, resources: Resources) -> None:
        self._settings = settings
        self._resources = resources
        self._clock: Clock = resources.clock
        self._kept: dict[str, _Key] = {}
        self._fetched: deque[datetime] = deque()

    async def key(self, kid: str) -> _Key | None:
        """The key of an id; None: eBay has none. Raises TryLater where it cannot be had now."""
        now = self._clock.now()
        known = self._kept.get(kid)
        if known is None or now >= known.until:
            if known is None or known.public is None:  # forgers use up nothing that a key of eBay's needs
                self._note_unknown(now)
            known = self._kept[kid] = await self._fetch(kid, now)
            self._forget()
        return known if known.public is not None else None

    def _note_unknown(self, now: datetime) -> None:
        """Raises TryLater where too many were asked for lately."""
        while self._fetched and now - self._fetched[0] >= _FETCHES_SPAN:
            self._fetched.popleft()
        if len(self._fetched) >= _FETCHES_MAX:
            wait = (self._fetched[0] + _FETCHES_SPAN - now).total_seconds()
            raise TryLater(
                "too many deliveries with unknown keys: eBay is not asked for more of them", retry_after=wait
            )
        self._fetched.append(now)

    def _forget(self) -> None:
        """Forgets the oldest ids that eBay has no key for, and keys of eBay's only where there is nothing else."""
        while len(self._kept) > _KEYS_MAX:
            none = next((kid for kid, key in self._kept.items() if key.public is None), None)
            del self._kept[none or next(iter(self._kept))]

    async def _fetch(self, kid: str, now: datetime) -> _Key:
        given, settings = self._resources, self._settings
        path = f"/commerce/notification/v1/public_key/{quote(kid, safe='')}"
        async with Hosts(settings, given, lent=True) as hosts:
            access = Access(hosts, settings, given.clock, given.vault)
            client = EbayClient(hosts, access, settings, given.clock, given.limiter)
            call = Call("GET", path, "read", bucket=OTHER, accept=(400, 404))
            try:
                answer = await client.ask(call, application=True)
                found = None if answer.status in (400, 404) else read_answer(wire_account.PublicKey, answer)
            except TryLater:
                raise
            except ChannelError as error:
                raise TryLater(f"eBay's key for this delivery cannot be had: {error}") from None
        if found is None:
            return _Key(None, hashes.SHA1, now + _NO_KEY_FOR)
        digest = _HASHES.get(found.digest.upper().replace("-", ""))
        public = _loaded(found.key) if digest is not None else None
        return _Key(public, digest or hashes.SHA1, now + (_NO_KEY_FOR if public is None else _KEY_FOR))


class EbayWebhooks:
    """The scheme of one account. token: what a challenge is answered with."""

    def __init__(self, keys: Keys, token: SecretStr) -> None:
        self._keys = keys
        self._token = token

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint | Harmless | None:
        """What a genuine delivery is about. One that is signed but cannot be read hints that something is new."""
        found = {name.lower(): value for name, value in headers.items()}
        named = _signature(found.get("x-ebay-signature", ""))
        if named is None:
            return None
        kid, signature = named
        key = await self._keys.key(kid)
        if key is None or key.public is None or not _signed(key.public, key.digest, signature, body):
            return None
        return _meaning(body, now)

    def answer(self, query: Mapping[str, str], address: str) -> bytes | None:
        """What eBay wants to hear when it makes sure that an address is ours; None: it asks nothing."""
        code = query.get("challenge_code", "")
        if not code or len(code) > _HEADER_CHARACTERS_MAX:
            return None
        text = code + self._token.get_secret_value() + address
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return json.dumps({"challengeResponse": digest}).encode()


def _meaning(body: bytes, now: datetime) -> WebhookHint | Harmless | None:
    """What a delivery says that is eBay's own; None for one from the future."""
    try:
        told = _Body.model_validate_json(body)
    except ValidationError:
        return WebhookHint(topic="", event=hashlib.sha256(body).hexdigest(), sent_at=now)
    notice = told.notification
    sent_at = notice.publish_date or notice.event_date or now
    if now - sent_at < -TOLERANCE:
        return None
    if now - sent_at > LATEST:
        return TOO_LATE
    if told.metadata.topic == _FORGET:
        return Harmless("eBay asks to forget a user, and nothing about users is kept")
    return WebhookHint(
        topic=told.metadata.topic[:100],
        event=_event(notice, body),
        sent_at=sent_at,
        orders=tuple(dict.fromkeys(_named(notice.data, "orderId", _ORDER))),
        keys=tuple(QuantityKey(sku) for sku in dict.fromkeys(_named(notice.data, "sku", None)) if plausible(sku)),
    )


def _event(notice: _Notification, body: bytes) -> str:
    """eBay's id of the notification, with the number of a later attempt: such a repeat has another body, as the attempt
    and its time stand in it, and under the same name it would be kept aside as one that contradicts the first."""
    if not _EVENT.fullmatch(notice.notification_id):
        return hashlib.sha256(body).hexdigest()
    attempt = notice.publish_attempt_count
    later = isinstance(attempt, int) and 1 < attempt < _ATTEMPTS_MAX
    return f"{notice.notification_id} attempt {attempt}" if later else notice.notification_id


def _signature(header: str) -> tuple[str, bytes] | None:
    """The key's id and the signature; None for what is no such header."""
    if not header or len(header) > _HEADER_CHARACTERS_MAX:
        return None
    try:
        told = _Header.model_validate_json(base64.b64decode(header.encode("ascii"), validate=True))
        signature = base64.b64decode(told.signature.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return (told.kid, signature) if _KID.fullmatch(told.kid) and told.alg.lower() == "ecdsa" else None


def _signed(key: EllipticCurvePublicKey, digest: type[hashes.HashAlgorithm], signature: bytes, body: bytes) -> bool:
    try:
        key.verify(signature, body, ECDSA(digest()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _loaded(text: str) -> EllipticCurvePublicKey | None:
    """A key as eBay writes it: PEM without line breaks. None for what is no such key."""
    plain = re.sub(r"-----[A-Z ]+-----|\s", "", text)
    try:
        key = load_der_public_key(base64.b64decode(plain, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, EllipticCurvePublicKey) else None


def _named(data: Any, name: str, pattern: re.Pattern[str] | None, depth: int = _DEPTH) -> Iterator[str]:
    """The values of this name, however deep: what a topic's data looks like differs, and eBay describes few."""
    if depth == 0:
        return
    if isinstance(data, dict):
        value = data.get(name)
        if isinstance(value, str) and (pattern is None or pattern.fullmatch(value)):
            yield value
    children = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for child in list(children)[:_NAMES_MAX]:
        yield from _named(child, name, pattern, depth - 1)
