"""POST /webhooks/{channel}: deliveries of channels. GET: what a channel asks before it delivers to an address.

200: durable, or it needs not be. 401: not genuine. 404: no such channel, or it has no receiver. 408, 413, 415: its
body was not taken. 429, 503 with Retry-After: not now. Never 2xx for what is not durable.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from channelsync.sync.receiving import RETRY_SOON, Outcome, Received, Receiver
from channelsync.web.app import problem
from channelsync.web.body import BODY_WITHIN, CLOSE, BodyRefused, Room, read_body

log = structlog.get_logger(__name__)

BODIES_AT_ONCE = 32
"""Bodies of full length that are in memory at once, of all who send; most bodies are a thousandth of that."""

UNKNOWN = ""
"""The channel under which deliveries to addresses that are none are counted: strangers choose those names."""

_GOOD = {Outcome.TAKEN, Outcome.COPY, Outcome.QUARANTINED, Outcome.HARMLESS}
_STATUS = {
    Outcome.NO_RECEIVER: 404,
    Outcome.FORGED: 401,
    Outcome.BUSY: 429,
    Outcome.UNAVAILABLE: 503,
}
_SAYS = {
    Outcome.FORGED: "the signature is missing, wrong or too old",
    Outcome.BUSY: "too much is waiting; send it again",
    Outcome.UNAVAILABLE: "it cannot be kept now; send it again",
}


@dataclass(slots=True)
class ReceiverCounters:
    """What the receiver of this process has seen since it began, by channel.

    received: every request that asked for a channel. taken: durable, the first time. duplicates: copies of what is
    there. quarantined: another body under a name that is taken. harmless: known, and means nothing. unknown_topics:
    taken, and it names nothing that is read. refused: by channel and reason, e.g. ("shop", "forged").
    """

    received: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    harmless: Counter[str] = field(default_factory=Counter)
    unknown_topics: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, channel: str, received: Received) -> None:
        """Counts what became of one delivery."""
        outcome = received.outcome
        if outcome is Outcome.NO_RECEIVER:
            channel = UNKNOWN
        self.received[channel] += 1
        counted = {
            Outcome.TAKEN: self.taken,
            Outcome.COPY: self.duplicates,
            Outcome.QUARANTINED: self.quarantined,
            Outcome.HARMLESS: self.harmless,
        }.get(outcome)
        if counted is None:
            self.refused[channel, outcome.value] += 1
        else:
            counted[channel] += 1
        if outcome is Outcome.TAKEN and received.names_nothing:
            self.unknown_topics[channel] += 1

    def genuine(self, channel: str) -> int:
        """Deliveries of a channel that were signed."""
        return self.taken[channel] + self.duplicates[channel] + self.quarantined[channel]

    def count_body(self, channel: str, reason: str) -> None:
        """Counts a delivery whose body was not taken."""
        self.received[channel] += 1
        self.refused[channel, reason] += 1


def receiver_routes(
    receiver: Receiver, counters: ReceiverCounters, *, body_limit: int, body_within: float = BODY_WITHIN
) -> list[BaseRoute]:
    """The routes of the receiver. body_limit: bytes. body_within: seconds that a body may take."""
    room = Room(BODIES_AT_ONCE * body_limit)

    async def post(request: Request) -> Response:
        channel: str = request.path_params["channel"]
        if channel not in receiver.doors:  # nothing is read of what nobody wants
            counters.count(channel, Received(Outcome.NO_RECEIVER))
            return problem(404, headers=CLOSE)
        with room.share() as share:
            try:
                body = await read_body(request, body_limit, body_within, share)
            except BodyRefused as refused:
                return body_refused(channel, refused)
            received = await receiver.take(channel, request.headers, body)
        counters.count(channel, received)
        return _answer(channel, received)

    def body_refused(channel: str, refused: BodyRefused) -> Response:
        counters.count_body(channel, refused.reason)
        log.debug("webhook.body_refused", channel=channel, reason=refused.reason)
        later = {"retry-after": f"{RETRY_SOON:g}"} if refused.status == 503 else {}
        return problem(refused.status, refused.message, CLOSE | later)

    async def get(request: Request) -> Response:
        asked = receiver.challenge(request.path_params["channel"], request.query_params)
        return problem(404) if asked is None else Response(asked, media_type="application/json")

    async def either(request: Request) -> Response:
        return await (post if request.method == "POST" else get)(request)

    return [Route("/webhooks/{channel}", either, methods=["GET", "POST"], name="webhooks")]


def _answer(channel: str, received: Received) -> Response:
    outcome = received.outcome
    if outcome in _GOOD:
        log.debug("webhook.received", channel=channel, outcome=outcome.value, topic=received.topic)
        return Response(status_code=200)
    log.debug("webhook.refused", channel=channel, outcome=outcome.value)
    wait = received.retry_after
    headers = {} if wait is None else {"retry-after": str(math.ceil(wait))}
    return problem(_STATUS[outcome], _SAYS.get(outcome, ""), headers)
