"""What all routes share: ids, security headers, and an answer that tells nothing where a route breaks."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from channelsync.web.app import SECURITY_HEADERS, build_app


async def fine(_request: Request) -> Response:
    return PlainTextResponse("fine")


async def own(_request: Request) -> Response:
    return PlainTextResponse("own", headers={"cache-control": "max-age=5"})


async def breaks(_request: Request) -> Response:
    raise RuntimeError("the database is at postgresql://user:canary@host/")


async def breaks_half_way(_request: Request) -> Response:
    async def parts():
        yield b"half"
        raise RuntimeError("half")

    return StreamingResponse(parts())


ROUTES = [
    Route("/fine", fine, methods=["GET"]),
    Route("/own", own, methods=["GET"]),
    Route("/breaks", breaks, methods=["POST"]),
    Route("/half", breaks_half_way, methods=["GET"]),
]


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = build_app(ROUTES)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/fine", 200), ("POST", "/fine", 405), ("GET", "/nothing", 404), ("POST", "/breaks", 500)],
)
async def test_every_answer_has_an_id_of_its_own_and_security_headers(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    first, second = [await client.request(method, path) for _ in range(2)]
    assert first.status_code == status
    assert {name: first.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_a_route_may_say_otherwise(client: httpx.AsyncClient) -> None:
    assert (await client.get("/own")).headers["cache-control"] == "max-age=5"


async def test_a_method_that_is_not_needed_is_refused_with_those_that_are(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/fine")
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


async def test_where_nothing_is_served_the_answer_names_what_is(client: httpx.AsyncClient) -> None:
    said = (await client.get("/")).json()["error"]["message"]
    assert "/healthz" in said
    assert "/api/v1" in said


async def test_a_path_with_one_slash_more_is_another_path(client: httpx.AsyncClient) -> None:
    assert (await client.get("/fine/")).status_code == 404


async def test_a_route_that_breaks_tells_the_log_everything_and_the_client_nothing(client: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        answer = await client.post("/breaks")
    assert answer.json() == {"error": {"status": 500, "message": "Internal Server Error"}}
    (line,) = [one for one in lines if one["event"] == "web.failed"]
    assert line["path"] == "/breaks"
    assert line["exc_info"]


async def test_a_half_answer_never_passes_for_a_whole_one() -> None:
    transport = httpx.ASGITransport(build_app(ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(RuntimeError, match="half"):
            await client.get("/half")
