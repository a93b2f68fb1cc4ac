"""Deliveries of the shop: genuine or not, and which orders or numbers they are about.

The signature is over the body alone. So only the body is believed: the topic in the headers merely tells where to look
for what the body's id means, and the delivery's id says nothing (two events of one second share it), so an event is
named by the body it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import unescape

from pydantic import SecretStr, ValidationError

from channelsync.sdk.values import QuantityKey
from channelsync.sdk.vault import Vault
from channelsync.sdk.webhooks import TOLERANCE, TOO_LATE, Harmless, WebhookHint, signed_by
from channelsync_woocommerce import wire
from channelsync_woocommerce.translate_listings import name_of

OLDEST = timedelta(hours=12)
"""A body is made when it is sent and tells when its row last changed. A genuine delivery of an older change is seldom,
and a poll has seen it; one that was recorded and is sent again later is not taken for ever. It is answered all the
same: a shop sends nothing while nobody visits it, and switches a webhook off at the seventh refusal in a row."""

TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored", "product.updated")
"""What a shop is asked to tell us of."""

_HINTS_MAX = 100
_PING_DIGITS = 12
_PING = Harmless("ping of a new webhook")
_EVENT_CHARACTERS = 32


KEPT_AS = "webhook_secret"
"""The name in the vault of the secret of the webhooks that we have made ourselves."""


class WooWebhooks:
    """The scheme of one shop. secrets: of webhooks made by hand, several while one replaces another; besides them the
    one in the vault counts. While there is none at all nothing passes.

    Raises ValueError for an empty one.
    """

    def __init__(self, secrets: Sequence[SecretStr], vault: Vault) -> None:
        self._by_hand = keys_of(secrets)
        self._vault = vault

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint | Harmless | None:
        """What a genuine delivery is about. One that is signed but cannot be read hints that something is new."""
        found = {name.lower(): value for name, value in headers.items()}
        signature = found.get("x-wc-webhook-signature", "")
        if not signature:
            return _PING if _is_ping(body) else None
        if not signed_by((*self._by_hand, *await self._ours()), body, signature):
            return None
        topic = found.get("x-wc-webhook-topic", "")
        event = hashlib.sha256(body).hexdigest()[:_EVENT_CHARACTERS]
        try:
            delivered = wire.Delivered.model_validate_json(body)
        except ValidationError:
            return WebhookHint(topic=topic, event=event, sent_at=now)
        changed = delivered.date_modified_gmt
        if changed is not None and changed > now + TOLERANCE:
            return None
        if changed is not None and changed < now - OLDEST:
            return TOO_LATE
        resource = topic.partition(".")[0]
        return WebhookHint(
            topic=topic,
            event=event,
            sent_at=now,
            orders=(str(delivered.id),) if resource == "order" else (),
            keys=_keys(delivered) if resource == "product" else (),
        )

    async def _ours(self) -> tuple[bytes, ...]:
        kept = await self._vault.get(KEPT_AS)
        return () if kept is None else keys_of((kept,))


def keys_of(secrets: Sequence[SecretStr]) -> tuple[bytes, ...]:
    """The bytes that deliveries may be signed with: WordPress signs with what was typed, but shows it with &amp; and
    the like. Raises ValueError for an empty secret: anybody could sign with it."""
    texts = [secret.get_secret_value() for secret in secrets]
    if not all(texts):
        raise ValueError("a webhook secret is empty: anybody could sign with it")
    return tuple(dict.fromkeys(one.encode() for text in texts for one in (text, unescape(text))))


def _is_ping(body: bytes) -> bool:
    """Whether it is what a shop sends to the address of a webhook that was just made: unsigned, a form with its id."""
    name, _, number = body.partition(b"=")
    return name == b"webhook_id" and number.isdigit() and len(number) <= _PING_DIGITS


def _keys(delivered: wire.Delivered) -> tuple[QuantityKey, ...]:
    """The numbers that a change of a product may concern. A sold variation is told of as its parent's change."""
    if delivered.type == "variation":
        return (QuantityKey(name_of(delivered.parent_id, delivered.id)),) if delivered.parent_id else ()
    own = QuantityKey(name_of(delivered.id))
    if not delivered.variations:
        return (own,)
    under = [QuantityKey(name_of(delivered.id, one)) for one in delivered.variations]
    return tuple([own, *under] if delivered.manage_stock is True else under)[:_HINTS_MAX]
