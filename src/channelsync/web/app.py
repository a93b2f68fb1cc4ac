"""One application from everybody's routes, with what all of them share.

Every answer carries security headers and the id of its request, which stands in every line of the log that the
request caused. What nobody foresaw is an answer that says nothing, and a line of the log that says everything.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from http import HTTPStatus

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from channelsync.web.body import CLOSE

log = structlog.get_logger(__name__)

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""What every answer says unless its route says otherwise."""

_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


_NOTHING_HERE = (
    "Nothing is served here. /healthz and /readyz tell how this process is; the API, if it is on, is /api/v1."
)


def build_app(routes: Sequence[BaseRoute]) -> Starlette:
    """The application: these routes; 404 and 405 for everything else, 500 for what a route did not foresee."""
    app = Starlette(
        routes=list(routes),
        middleware=[Middleware(_Shared)],
        exception_handlers={HTTPException: _refused},
    )
    app.router.redirect_slashes = False  # a redirect would repeat a host that the client made up
    return app


def problem(status: int, message: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that refuses: {"error": {"status", "message"}}. message empty: what the status is called."""
    text = message or HTTPStatus(status).phrase
    return JSONResponse({"error": {"status": status, "message": text}}, status, headers=headers)


def address_of(request: Request) -> str:
    """The address of who asks, as far as it is known, for the log."""
    return request.client.host if request.client else ""


async def _refused(_request: Request, error: Exception) -> Response:
    """404, 405 and whatever a route raises as an HTTPException."""
    if not isinstance(error, HTTPException):
        raise error
    known = error.status_code != HTTPStatus.NOT_FOUND or error.detail != HTTPStatus.NOT_FOUND.phrase
    return problem(error.status_code, error.detail if known else _NOTHING_HERE, dict(error.headers or {}))


class _Shared:
    """What every request gets: an id, security headers, and an answer even where its route breaks.

    The server runs every request in a context of its own, so the id is bound and never taken back.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        answered = False

        async def completed(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = message.setdefault("headers", [])
                said = {name for name, _ in headers}
                headers += [(name, value) for name, value in _RAW_HEADERS if name not in said]
                headers.append((b"x-request-id", request_id.encode()))
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            if _framed_twice(scope):
                await problem(400, "two lengths of one body", CLOSE)(scope, receive, completed)
                return
            await self._app(scope, receive, completed)
        except Exception:
            if answered:
                raise  # the server cuts the connection: a half answer must not pass for a whole one
            log.exception("web.failed", method=scope["method"], path=scope["path"])
            await problem(500)(scope, receive, completed)


def _framed_twice(scope: Scope) -> bool:
    """Whether a request states the length of its body in two ways: a proxy before us may have read it the other way,
    and would take for the next request what we take for this one's body, or the other way round."""
    names = {name for name, _ in scope["headers"]}
    return {b"content-length", b"transfer-encoding"} <= names
