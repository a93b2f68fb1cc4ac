"""Amazon SQS over HTTP for the queues of `queues`: the AWS JSON protocol 1.0, with signatures (version 4) checked.

Of the protocol: ReceiveMessage, DeleteMessageBatch and GetQueueAttributes. It never waits for a message: whoever asks
for a long poll is answered at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_http import Reply, Request
from vendor_amazon.queues import RECEIVED_MAX, Queue

_TARGET = "AmazonSQS."
_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?SignedHeaders=(?P<names>[^,]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_MUST_BE_SIGNED = frozenset({"host", "x-amz-date", "x-amz-target"})
_WAIT_MAX, _HIDDEN_MAX = 20, 43_200


class _Refusal(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class AccessKey:
    """Who may use the queue."""

    name: str
    secret: str
    region: str = "us-east-1"


class SqsApi:
    """One queue at its address. calls counts by action. now: the time against which requests' dates are held."""

    def __init__(
        self, marketplace: Marketplace, queue: Queue, url: str, key: AccessKey, now: Callable[[], datetime]
    ) -> None:
        self.marketplace = marketplace
        self.url = url
        self.calls: dict[str, int] = {}
        self.down = False
        self._queue = queue
        self._key = key
        self._now = now

    def handle(self, request: Request) -> Reply:
        """Answers one request. Never raises for anything that a request may hold."""
        if self.down:
            return Reply(503, {"content-type": "text/html"}, b"<html>Service Unavailable</html>")
        try:
            return self._reply(200, self._answer(request))
        except _Refusal as error:
            return self._reply(error.status, {"__type": f"com.amazonaws.sqs#{error.code}", "message": error.message})

    def _answer(self, request: Request) -> dict[str, Any]:
        name = request.headers.get("x-amz-target", "").removeprefix(_TARGET)
        actions = {
            "ReceiveMessage": self._receive,
            "DeleteMessageBatch": self._delete,
            "GetQueueAttributes": self._attributes,
        }
        if request.method != "POST" or name not in actions:
            raise _Refusal(400, "InvalidAction", f"no action is named {name}")
        self._check_signature(request)
        self.calls[name] = self.calls.get(name, 0) + 1
        return actions[name](self._body(request))

    def _reply(self, status: int, told: Mapping[str, Any]) -> Reply:
        return Reply(status, {"content-type": "application/x-amz-json-1.0"}, orjson.dumps(told))

    def _body(self, request: Request) -> dict[str, Any]:
        if request.headers.get("content-type") != "application/x-amz-json-1.0":
            raise _Refusal(400, "InvalidAction", "the body must be application/x-amz-json-1.0")
        body = orjson.loads(request.body)
        if not isinstance(body, dict) or body.get("QueueUrl") != self.url:
            raise _Refusal(400, "QueueDoesNotExist", "The specified queue does not exist.")
        return body

    # Actions

    def _receive(self, body: dict[str, Any]) -> dict[str, Any]:
        most = body.get("MaxNumberOfMessages", 1)
        if not 1 <= most <= RECEIVED_MAX or not 0 <= body.get("WaitTimeSeconds", 0) <= _WAIT_MAX:
            raise _Refusal(400, "InvalidParameterValue", "a number is out of its range")
        hidden = body.get("VisibilityTimeout")
        if hidden is not None and not 0 <= hidden <= _HIDDEN_MAX:
            raise _Refusal(400, "InvalidParameterValue", "VisibilityTimeout is out of its range")
        found = self._queue.receive(most, None if hidden is None else timedelta(seconds=hidden))
        if not found:
            return {}
        return {
            "Messages": [
                {
                    "MessageId": one.id,
                    "ReceiptHandle": one.handle,
                    "Body": one.body,
                    "MD5OfBody": hashlib.md5(one.body.encode(), usedforsecurity=False).hexdigest(),
                }
                for one in found
            ]
        }

    def _delete(self, body: dict[str, Any]) -> dict[str, Any]:
        entries = body.get("Entries", [])
        if not 1 <= len(entries) <= RECEIVED_MAX:
            code = "EmptyBatchRequest" if not entries else "TooManyEntriesInBatchRequest"
            raise _Refusal(400, code, "a batch has one to ten entries")
        if len({one["Id"] for one in entries}) != len(entries):
            raise _Refusal(400, "BatchEntryIdsNotDistinct", "two entries have one id")
        failed = [one["Id"] for one in entries if not self._queue.knows(one["ReceiptHandle"])]
        for one in entries:
            self._queue.delete(one["ReceiptHandle"])
        wrong = [{"Id": name, "SenderFault": True, "Code": "ReceiptHandleIsInvalid"} for name in failed]
        fine = [{"Id": one["Id"]} for one in entries if one["Id"] not in failed]
        return {"Successful": fine} | ({"Failed": wrong} if wrong else {})

    def _attributes(self, body: dict[str, Any]) -> dict[str, Any]:
        told = {"ApproximateNumberOfMessages": str(len(self._queue))}
        return {"Attributes": {name: told[name] for name in body.get("AttributeNames", []) if name in told}}

    # Who asks

    def _check_signature(self, request: Request) -> None:
        """By the description of Signature Version 4; the path is the root, and there is no query."""
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            raise _Refusal(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        if found["key"] != self._key.name:
            raise _Refusal(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        stamp = request.headers.get("x-amz-date", "")
        if found["scope"] != f"{stamp[:8]}/{self._key.region}/sqs/aws4_request":
            raise _Refusal(403, "SignatureDoesNotMatch", "Credential should be scoped to the region and the date.")
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%S%z")
        if abs(self._now() - signed_at) > timedelta(minutes=15):
            raise _Refusal(403, "RequestExpired", "Signature expired.")
        names = found["names"].split(";")
        if names != sorted(names) or not set(names) >= _MUST_BE_SIGNED:
            raise _Refusal(403, "SignatureDoesNotMatch", "headers that must be signed are not")
        headers = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names)
        digest = hashlib.sha256(request.body).hexdigest()
        asked = "\n".join((request.method, request.path or "/", "", headers, found["names"], digest))
        told = "\n".join((_ALGORITHM, stamp, found["scope"], hashlib.sha256(asked.encode()).hexdigest()))
        key = f"AWS4{self._key.secret}".encode()
        for part in found["scope"].split("/"):
            key = hmac.digest(key, part.encode(), hashlib.sha256)
        if not hmac.compare_digest(hmac.digest(key, told.encode(), hashlib.sha256).hex(), found["signature"]):
            raise _Refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
