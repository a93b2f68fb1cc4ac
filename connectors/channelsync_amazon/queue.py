"""The seller's queue at AWS (SQS), which Amazon puts its notifications into: what waits there, and what is done with.

A standard queue gives each message at least once, in any order, and again when it was not deleted in time. Requests
are signed by `httpx-auth` (extra `amazon-sqs`), each as it leaves, as a signature is good for minutes only.
Source: the Amazon SQS API reference, AWS JSON protocol 1.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx
import structlog
from pydantic import Field, SecretStr

from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.http import Answer, Call, HttpTransport, Sign
from channelsync.sdk.paging import in_batches
from channelsync.sdk.polled_hints import PolledHint
from channelsync.sdk.wire import CamelWire, read_answer
from channelsync_amazon.notifications import hint_of
from channelsync_amazon.settings import QUEUE_BUCKET, QueueSettings

log = structlog.get_logger(__name__)

MESSAGES_MAX = 10
"""Messages that SQS gives, and takes back, in one call."""

WAIT_S = 20
"""Seconds that SQS waits for a first message: its longest. An empty queue costs three calls a minute so."""

HIDDEN_S = 120
"""Seconds until a message that was not deleted comes back."""

_REFUSED = (400, 403)
_AWAY = frozenset({"RequestThrottled", "ThrottlingException", "OverLimit", "ServiceUnavailable"})
_NEEDS_EXTRA = (
    "The settings name a queue, and what signs its requests is missing: in the folder of the clone, "
    "pip install '.[amazon-sqs]'."
)


class _Message(CamelWire):
    receipt: str = Field(alias="ReceiptHandle")
    body: str = Field(alias="Body")
    digest: str = Field(default="", alias="MD5OfBody")


class _Received(CamelWire):
    messages: tuple[_Message, ...] = Field(default=(), alias="Messages")


class _Kept(CamelWire):
    """A message that could not be deleted."""

    code: str = Field(default="", alias="Code")


class _Deleted(CamelWire):
    failed: tuple[_Kept, ...] = Field(default=(), alias="Failed")


class _Attributes(CamelWire):
    waiting: int = Field(default=0, alias="ApproximateNumberOfMessages")


class _Described(CamelWire):
    attributes: _Attributes = Field(default=_Attributes(), alias="Attributes")


class NotificationQueue:
    """One queue. http: to its host, with `signing`. channel: its name, for messages."""

    def __init__(self, http: HttpTransport, settings: QueueSettings, seller: str, channel: str) -> None:
        self._http = http
        self._url = settings.url
        self._seller = seller
        self._channel = channel

    async def hints(self) -> list[PolledHint]:
        """What waits there, ten messages at most; it waits up to 20 seconds for the first."""
        answer = await self._ask(
            "ReceiveMessage",
            {"MaxNumberOfMessages": MESSAGES_MAX, "WaitTimeSeconds": WAIT_S, "VisibilityTimeout": HIDDEN_S},
        )
        return [self._hint(message) for message in read_answer(_Received, answer).messages]

    async def acknowledge(self, hints: Sequence[PolledHint]) -> None:
        """Deletes these messages. One that is not deleted comes back."""
        for some in in_batches([one.receipt for one in hints], MESSAGES_MAX):
            rows = [{"Id": str(place), "ReceiptHandle": receipt} for place, receipt in enumerate(some)]
            failed = read_answer(_Deleted, await self._ask("DeleteMessageBatch", {"Entries": rows})).failed
            if failed:
                why = sorted({one.code for one in failed})
                log.warning("amazon.messages_kept", channel=self._channel, messages=len(failed), why=why)

    async def waiting(self) -> int:
        """About how many messages wait there."""
        answer = await self._ask("GetQueueAttributes", {"AttributeNames": ["ApproximateNumberOfMessages"]})
        return read_answer(_Described, answer).attributes.waiting

    def _hint(self, message: _Message) -> PolledHint:
        """A body that was changed on its way is as good as none."""
        digest = hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest()
        whole = message.digest in ("", digest)
        return PolledHint(message.receipt, hint_of(message.body, self._seller) if whole else None)

    async def _ask(self, action: str, body: Mapping[str, object]) -> Answer:
        # A read: what is received or deleted changes no number, and may be asked for twice.
        call = Call(
            "POST",
            "/",
            "read",
            bucket=QUEUE_BUCKET,
            headers={"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"},
            json={"QueueUrl": self._url, **body},
            accept=_REFUSED,
        )
        answer = await self._http.request(call)
        if answer.status in _REFUSED:
            told = answer.json()
            code = str(told.get("__type", "") if isinstance(told, dict) else "").rpartition("#")[2]
            what = f"{self._channel}: SQS refuses {action}: {code or answer.status}"
            if code in _AWAY:
                raise TryLater(what)
            raise NeedsSeller(
                f"Check url, access_key and secret_key of the queue: {what}. The key must be allowed"
                " sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes for this queue."
            )
        return answer


def signing(settings: QueueSettings) -> Sign:
    """What signs requests to the queue (Signature Version 4). It raises NeedsSeller where the extra is missing."""

    def sign(request: httpx.Request) -> tuple[SecretStr, ...]:
        try:
            from httpx_auth import AWS4Auth
        except ImportError:
            raise NeedsSeller(_NEEDS_EXTRA) from None
        auth = AWS4Auth(
            access_id=settings.access_key,
            secret_key=settings.secret_key.get_secret_value(),
            region=region_of(settings.url),
            service="sqs",
        )
        signed = next(auth.sync_auth_flow(request))
        return (SecretStr(signed.headers["Authorization"]),)

    return sign


def region_of(url: str) -> str:
    """The region that a queue's address names: sqs.REGION.amazonaws.com; elsewhere, as in tests, us-east-1."""
    parts = (urlsplit(url).hostname or "").split(".")
    return parts[1] if parts[0] == "sqs" and len(parts) > 2 else "us-east-1"
