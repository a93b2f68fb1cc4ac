"""POST /feeds/{name}: a file of another system, in the body of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from channelsync.store.database_errors import DatabaseError
from channelsync.store.feed_files import REFUSED
from channelsync.sync.agent import Agent
from channelsync.sync.feed_files import Came, FeedSetup, KeyUsedBefore, digest_of, take_file
from channelsync.sync.feeds import report_of
from channelsync.sync.tokens import Gate, NotAuthenticated
from channelsync.web.app import address_of, problem
from channelsync.web.body import CLOSE, BodyRefused, read_body

log = structlog.get_logger(__name__)

AT_ONCE = 2
"""Files that are read into memory at the same time; others are asked to come again."""

BODY_WITHIN = 120.0
"""Seconds for the whole body."""

_KEY_MAX = 200
_CHALLENGE = {"www-authenticate": 'Bearer realm="channelsync"'}
_LATER = {"retry-after": "5"}


class _Refused(Exception):
    """What is answered in the place of a report."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        self.response = problem(status, message, {**CLOSE, **(headers or {})})
        super().__init__(message)


def feed_routes(agent: Agent, feeds: Callable[[], Mapping[str, FeedSetup]]) -> list[BaseRoute]:
    """The route. feeds: those that files may be sent to, by name, as they are configured now."""
    gate, room = Gate(agent.database), asyncio.Semaphore(AT_ONCE)

    async def take(request: Request) -> Response:
        said: dict[str, str] = {"feed": request.path_params["name"], "address": address_of(request)}
        try:
            await _let_in(gate, request, agent.clock.now(), said)
            feed = _named(feeds(), request.path_params["name"])
            if agent.stopping or room.locked():
                return problem(503, "Send the file again in some seconds.", {**CLOSE, **_LATER})
            async with room:
                response = await _taken(agent, feed, request)
            log.info("feed.answered", **said, status=response.status_code)
        except _Refused as error:
            return error.response
        except DatabaseError as error:
            log.warning("feed.database", reason=str(error))
            return problem(503, "The database cannot be used; send the file again later.", {**CLOSE, **_LATER})
        return response

    return [Route("/feeds/{name}", take, methods=["POST"])]


def _named(feeds: Mapping[str, FeedSetup], name: str) -> FeedSetup:
    found = feeds.get(name)
    if found is None or found.kind != "http":
        raise _Refused(404, "There is no feed of this name that takes files over HTTP.")
    return found


async def _let_in(gate: Gate, request: Request, now: datetime, said: dict[str, str]) -> None:
    """Who may send files goes on; before the body is read, for that costs. Raises _Refused, and the log has why.

    said: what lines of the log say of the request; the caller joins it.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        log.warning("feed.denied", **said, status=401, why="no token")
        raise _Refused(401, "Send a token as `Authorization: Bearer cs_...`.", _CHALLENGE)
    try:
        caller = await gate.caller(token.strip(), now)
    except NotAuthenticated as error:
        log.warning("feed.denied", **said, caller=error.name, status=401, why=error.why)
        raise _Refused(401, "The token is not accepted.", _CHALLENGE) from error
    said["caller"] = caller.name
    if not caller.may("operate"):
        log.warning("feed.denied", **said, status=403, why=f"its scope is {caller.scope}")
        raise _Refused(403, f"The token {caller.name} may {caller.scope}; a feed needs operate.")


async def _taken(agent: Agent, feed: FeedSetup, request: Request) -> Response:
    as_of, up_to = _moment(request, "as_of"), _moment(request, "orders_counted_up_to")
    key = _key(request)
    try:
        body = await read_body(request, feed.bytes_max, BODY_WITHIN)
    except BodyRefused as error:
        raise _Refused(error.status, error.message) from error
    digest = digest_of(body, as_of, up_to)
    file = Came(
        key=f"key {key}" if key else f"body {digest}",
        name=key or digest[:12],
        content=body,
        received_at=agent.clock.now(),
        as_of=as_of,
        orders_up_to=up_to,
        own_key=key,
    )
    try:
        done = await take_file(agent, feed, file)
    except KeyUsedBefore as error:
        raise _Refused(422, str(error)) from error
    return Response(report_of(done), 422 if done.outcome == REFUSED else 200, media_type="application/json")


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > _KEY_MAX or not (key.isascii() and key.isprintable()):
        raise _Refused(400, f"An Idempotency-Key has at most {_KEY_MAX} characters of ASCII.")
    return key


def _moment(request: Request, name: str) -> datetime | None:
    told = request.query_params.get(name)
    if told is None:
        return None
    try:
        at = datetime.fromisoformat(told)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _Refused(400, f"{name} is no time with a zone, such as 2026-03-01T09:30:00Z.")
    return at
