"""The body of a request, whole and in time: the server itself waits for it as long as the client likes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

BODY_WITHIN = 10.0
"""Seconds from the first look at a body to its last byte, however it drips."""


CLOSE = {"connection": "close"}
"""For the answer to a request whose body was not read to its end: nothing more is heard on that connection."""


@dataclass(eq=False)
class BodyRefused(Exception):
    """A body was not taken. status: what to answer, with `CLOSE`. reason: in a word, for counters."""

    status: int
    reason: str
    message: str


class Room:
    """How many bytes of bodies may be in memory at once, of all requests together: strangers choose how many come."""

    def __init__(self, bytes_max: int) -> None:
        self._left = bytes_max

    @contextmanager
    def share(self) -> Iterator[Share]:
        """What one request takes of it, until the block ends."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def fits(self, size: int) -> bool:
        """Takes so many bytes, where they are left."""
        if size > self._left:
            return False
        self._left -= size
        return True


@dataclass(slots=True)
class Share:
    """The part of a room that one request has. taken: bytes."""

    room: Room
    taken: int = 0

    def take(self, size: int) -> None:
        """Takes more of it. Raises BodyRefused (503): nothing is left."""
        if not self.room.fits(size):
            raise BodyRefused(503, "no room", "too many bodies are being read; send it again")
        self.taken += size


async def read_body(request: Request, limit: int, within: float = BODY_WITHIN, share: Share | None = None) -> bytes:
    """The raw bytes of a body.

    limit: bytes, counted as they come, for a length that is announced may lie. within: seconds for all of it. share:
    where memory for it is taken from. Raises BodyRefused: 413 beyond the limit, 408 beyond the time, 415 where it is
    compressed, 400 where it is cut off, 503 where there is no room for it.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise BodyRefused(415, "compressed", "send the body as it is, without Content-Encoding")
    if _announced(request) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(within):
            return await _read(request, limit, share)
    except TimeoutError:
        raise BodyRefused(408, "too slow", f"the body did not come within {within:g} seconds") from None
    except ClientDisconnect:
        raise BodyRefused(400, "cut off", "the body ended too soon") from None


async def _read(request: Request, limit: int, share: Share | None) -> bytes:
    read = bytearray()
    async for part in request.stream():
        if len(read) + len(part) > limit:
            raise _too_large(limit)
        if share is not None:
            share.take(len(part))
        read += part
    return bytes(read)


def _announced(request: Request) -> int:
    """The length that is announced; 0 where none is. The server has refused what is no number."""
    length = request.headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else 0


def _too_large(limit: int) -> BodyRefused:
    return BodyRefused(413, "too large", f"the body is larger than {limit} bytes")
