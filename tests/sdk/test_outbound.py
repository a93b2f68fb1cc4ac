"""Posting to chosen addresses: only where they may lead, to the very address that was checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from channelsync.sdk import outbound
from channelsync.sdk.outbound import Outbound, why_refused

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1",
    "240.0.0.1", "255.255.255.255", "::1", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "64:ff9b::7f00:1", "2001:db8::1",
]  # fmt: skip
NOWHERE = ["0.0.0.0", "::", "224.0.0.1", "ff02::1"]  # noqa: S104 - addresses to refuse
PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"]


class Recorded(httpx.AsyncBaseTransport):
    """Answers, and keeps what it was asked."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.requests = status, list[httpx.Request]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(
            self.status, headers={"location": "https://other.example/"}, stream=httpx.ByteStream(b"x" * 200_000)
        )


def outbound_to(url: str, *addresses: str, allow_private: bool = False, status: int = 200) -> tuple[Outbound, Recorded]:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    transport = Recorded(status)
    return Outbound(url, allow_private=allow_private, resolve=resolve, transport=transport), transport


@pytest.mark.parametrize("address", PRIVATE)
async def test_an_address_that_is_not_public_is_not_sent_to_unless_that_is_meant(address: str) -> None:
    refusing, transport = outbound_to("https://hook.example/in", address)
    posted = await refusing.post(b"{}", {})
    assert (posted.status, transport.requests) == (None, [])
    assert posted.problem.startswith(f"hook.example leads to {address}, which")
    allowing, transport = outbound_to("https://hook.example/in", address, allow_private=True)
    assert (await allowing.post(b"{}", {})).status == 200


@pytest.mark.parametrize("address", NOWHERE)
async def test_an_address_of_no_machine_is_never_sent_to(address: str) -> None:
    assert why_refused(address, allow_private=True)
    assert why_refused(address, allow_private=False)


@pytest.mark.parametrize("address", PUBLIC)
async def test_a_public_address_is_sent_to_by_its_number_and_known_by_its_name(address: str) -> None:
    sending, transport = outbound_to("https://hook.example:8443/in?key=1", address)
    assert (await sending.post(b"{}", {"webhook-id": "m"})).status == 200
    (request,) = transport.requests
    assert (request.url.host, request.url.port, request.url.raw_path) == (address, 8443, b"/in?key=1")
    assert request.headers["host"] == "hook.example:8443"
    assert request.extensions["sni_hostname"] == "hook.example"
    assert (request.headers["webhook-id"], request.content) == ("m", b"{}")


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    sending, transport = outbound_to("https://hook.example/", "93.184.216.34", "10.0.0.1")
    assert (await sending.post(b"{}", {})).status is None
    assert transport.requests == []


async def test_a_name_without_an_address_and_a_number_written_as_a_name_are_refused() -> None:
    nobody, _ = outbound_to("https://hook.example/")
    assert (await nobody.post(b"{}", {})).problem == "hook.example has no address"
    for url in ("https://127.0.0.1/", "https://2130706433/", "https://[::ffff:10.0.0.1]/", "https://0x7f.1/"):
        async with Outbound(url, transport=Recorded()) as sending:
            posted = await sending.post(b"{}", {})
            assert posted.status is None, url


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks..example.com/in",
        f"https://{'a' * 64}.example.com/in",
        "https://xn--zzzzzz.com/in",
        "https://hook.example:https/in",
    ],
)
def test_an_address_that_no_machine_can_have_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ValueError, match="its host name or its port is wrong"):
        Outbound(url, transport=Recorded())


async def test_a_name_that_the_system_cannot_look_up_is_a_problem_in_words() -> None:
    async def resolve(host: str, _port: int) -> list[str]:
        raise UnicodeError(f"{host} cannot be written")

    async with Outbound("https://hook.example/", resolve=resolve, transport=Recorded()) as sending:
        assert (await sending.post(b"{}", {})).problem == "UnicodeError: hook.example cannot be written"


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    sending, transport = outbound_to("https://hook.example/", "93.184.216.34", status=302)
    assert (await sending.post(b"{}", {})).status == 302
    assert len(transport.requests) == 1


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    """A server that takes connections and never answers."""
    over = asyncio.Event()

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    over.set()
    server.close()
    await asyncio.sleep(0)


async def test_an_answer_that_does_not_come_in_time_is_none(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS_MAX", 0.05)
    async with Outbound(f"http://127.0.0.1:{silent}/", allow_private=True) as sending:
        assert (await sending.post(b"{}", {})).problem == "no answer within 0.05 seconds"


async def test_a_port_where_nobody_listens_is_a_problem_in_words() -> None:
    async with Outbound("http://127.0.0.1:1/", allow_private=True) as sending:
        posted = await sending.post(b"{}", {})
    assert posted.status is None
    assert posted.problem.startswith("ConnectError")
