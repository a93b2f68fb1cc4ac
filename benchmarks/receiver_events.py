"""Signed events for `benchmarks.receiver`, and sending them over kept connections as a channel does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from urllib.parse import urlsplit

CHANNEL = "agora"
SECRET = base64.b64encode(b"the key of a benchmark").decode()
BODY_BYTES = 2_000
"""Of one event: what a channel tells of an order with a few lines."""

_KEY = base64.b64decode(SECRET)


@dataclass(slots=True)
class Answers:
    """What became of the events that were sent. seconds: from sending to the answer, of each. others: not 200."""

    seconds: list[float] = field(default_factory=list)
    others: int = 0


def p99_milliseconds(answers: Answers) -> float:
    """The 99 % quantile from sending to the answer."""
    return round(quantiles(answers.seconds, n=100, method="inclusive")[98] * 1000, 1)


def signed_events(first: int, count: int) -> list[bytes]:
    """Whole requests, each about an order `o-NUMBER` of its own, signed now. first: the number of the first."""
    stamp = str(int(time.time()))
    return [_request(number, stamp) for number in range(first, first + count)]


def _request(number: int, stamp: str) -> bytes:
    body = b'{"type":"order.changed","data":{"order":{"id":"o-%d"},"more":"' % number
    body += b"x" * (BODY_BYTES - len(body) - 3) + b'"}}'
    name = f"event-{number}"
    digest = hmac.new(_KEY, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    head = (
        f"POST /webhooks/{CHANNEL} HTTP/1.1\r\nhost: agent.example\r\ncontent-type: application/json\r\n"
        f"webhook-id: {name}\r\nwebhook-timestamp: {stamp}\r\n"
        f"webhook-signature: v1,{base64.b64encode(digest).decode()}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(address: str, events: Sequence[bytes], connections: int, per_second: float | None = None) -> Answers:
    """Sends all events over so many kept connections and waits for every answer.

    per_second: None sends as fast as answers come; else at this even rate, however long answers take. Raises OSError
    where a connection breaks.
    """
    place = urlsplit(address)
    answers = Answers()
    left = iter(enumerate(events))
    began = time.perf_counter()

    async def work() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            for number, event in left:
                due = began + number / per_second if per_second else 0.0
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sent = due or time.perf_counter()
                writer.write(event)
                status = await _answer(reader)
                answers.seconds.append(time.perf_counter() - sent)
                answers.others += status != b"200"
        finally:
            writer.close()
            await writer.wait_closed()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(work())
    return answers


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """The status of the next answer, whose body is read too."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    return head.split(b" ", 2)[1]
