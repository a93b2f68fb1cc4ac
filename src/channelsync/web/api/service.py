"""What every request to the API goes through: the token, its rate, its scope, what it says, the answer, the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from channelsync.sync.agent import Agent
from channelsync.sync.api_runs import Answered
from channelsync.sync.tokens import Caller, Gate, NotAuthenticated
from channelsync.web.api import problems
from channelsync.web.api.endpoints import PREFIX, Answer, Call, Endpoint
from channelsync.web.api.problems import Problem, problem_of
from channelsync.web.api.rates import Rates
from channelsync.web.api.reading import read_key, read_names, read_parameters, read_said
from channelsync.web.app import address_of

log = structlog.get_logger(__name__)

JSON = "application/json"
_CHALLENGE = {"www-authenticate": 'Bearer realm="channelsync"'}


@dataclass(slots=True, kw_only=True)
class Service:
    """The API of one agent. description: the OpenAPI document, which needs no token."""

    agent: Agent
    endpoints: Sequence[Endpoint]
    description: bytes
    rates: Rates
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(self.agent.database)

    def app(self) -> ASGIApp:
        """The application below `PREFIX`."""
        by_path: dict[str, dict[str, Endpoint]] = {}
        for endpoint in self.endpoints:
            by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        routes: list[BaseRoute] = [Route("/openapi.json", self._described)]
        routes += [Route(path, self._dispatch(some), methods=sorted(some)) for path, some in by_path.items()]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
        app.router.redirect_slashes = False
        return EncodedPath(app)

    async def _described(self, _request: Request) -> Response:
        return Response(self.description, media_type=JSON)

    def _dispatch(self, endpoints: Mapping[str, Endpoint]) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            endpoint = endpoints["GET" if request.method == "HEAD" else request.method]
            return await self._answer(endpoint, request)

        return answer

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        said: dict[str, str] = {"method": endpoint.method, "route": endpoint.path, "address": address_of(request)}
        try:
            caller = await self._caller(request, said)
            answer = await self._done(endpoint, request, caller)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                log.exception("api.failed", **said)
                return Problem(problems.UNEXPECTED, "An error that nobody foresaw; the log has it.").response()
            _tell_refused(problem, error, said)
            return problem.response()
        written = answer if isinstance(answer, Answered) else Answered(answer.status, endpoint.written(answer.body))
        log.info("api.answered", **said, status=written.status)
        headers = {"idempotency-replayed": "true"} if written.repeated else {}
        return Response(written.body, written.status, headers, JSON)

    async def _caller(self, request: Request, said: dict[str, str]) -> Caller:
        """Whose token it is, with a request left. Raises Problem."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            said["why"] = "no token"
            raise Problem(
                problems.NOT_AUTHENTICATED,
                "Send a token as `Authorization: Bearer cs_...`; `channelsync tokens create` makes one.",
                headers=_CHALLENGE,
            )
        try:
            caller = await self.gate.caller(token.strip(), self.agent.clock.now())
        except NotAuthenticated as refused:
            said["why"] = refused.why
            said["caller"] = refused.name
            challenge = {"www-authenticate": f'{_CHALLENGE["www-authenticate"]}, error="invalid_token"'}
            raise Problem(
                problems.NOT_AUTHENTICATED,
                "The token is not accepted: it is unknown, expired or revoked. `channelsync tokens list` tells which.",
                headers=challenge,
            ) from refused
        said["caller"] = caller.name
        wait = self.rates.wait(caller.name)
        if wait:
            raise Problem(
                problems.TOO_MANY, f"Repeat the request after {wait} seconds.", headers={"retry-after": str(wait)}
            )
        return caller

    async def _done(self, endpoint: Endpoint, request: Request, caller: Caller) -> Answer | Answered:
        """What the endpoint answers. Raises Problem, and what the use case raises."""
        if not caller.may(endpoint.scope):
            raise Problem(
                problems.NOT_ALLOWED,
                f"The token {caller.name} may {caller.scope}; this needs {endpoint.scope}.",
            )
        if self.agent.stopping:
            retry = {"retry-after": str(problems.RETRY_AFTER_SECONDS)}
            raise Problem(problems.UNAVAILABLE, "The daemon stops; repeat the request when it runs.", headers=retry)
        names = read_names(request)
        key = read_key(request) if endpoint.keyed else ""
        if endpoint.method == "GET":
            told = read_parameters(request, endpoint.said)
        else:
            if request.query_params:
                raise problems.bad_request("There are no parameters here; say it in the body.")
            told = await read_said(request, endpoint.said)
        call = Call(agent=self.agent, caller=caller, endpoint=endpoint, names=names, said=told, key=key)
        return await endpoint.run(call, told)


def _tell_refused(problem: Problem, error: Exception, said: Mapping[str, str]) -> None:
    """Who was not let in is told louder than who asked for what cannot be; what the database says is for us."""
    if problem.kind in (problems.NOT_AUTHENTICATED, problems.NOT_ALLOWED):
        log.warning("api.denied", **said, status=problem.kind.status)
    elif problem.kind is problems.UNAVAILABLE:
        log.error("api.unavailable", **said, status=problem.kind.status, reason=str(error))
    else:
        log.info("api.refused", **said, status=problem.kind.status, problem=problem.kind.name)


async def _refused(_request: Request, error: Exception) -> Response:
    """404 and 405 of the router."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if error.status_code == problems.WRONG_METHOD.status:
        return Problem(problems.WRONG_METHOD, f"It takes {headers.get('Allow', '')}.", headers=headers).response()
    where = f"{PREFIX}/openapi.json describes all there is."
    return Problem(problems.NOT_FOUND, f"There is nothing at this address; {where}", headers=headers).response()


@dataclass(frozen=True, slots=True)
class EncodedPath:
    """Lets names hold slashes: routes see the path as it was sent, and each name is decoded by itself.

    Servers hand a decoded path on, in which A%2FB and A/B are the same.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Routes one request by its raw path."""
        raw, root = scope.get("raw_path"), scope.get("root_path", "")
        sent = raw.decode("latin-1") if raw else quote(scope["path"])
        if scope["type"] == "http" and sent.startswith(f"{root}/"):
            rest = "/".join(quote(unquote_to_bytes(part), safe="") for part in sent.removeprefix(root).split("/"))
            scope = {**scope, "path": f"{root}{rest}"}
        await self.app(scope, receive, send)
