"""Marketplaces to try channelsync on."""

import asyncio
import contextlib
import socket

import httpx
import pytest

from channelsync.lab.sandbox import Sandbox
from channelsync.lab.sandbox_options import SandboxOptions

HANGS = 30.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_each_marketplace_shows_all_units_of_every_item_at_first() -> None:
    opened = Sandbox(SandboxOptions(names=("x", "y"), items=3, units=7))
    for name in ("x", "y"):
        market = opened.sites[name].marketplace
        assert [market.number(key) for key in market.quantity_keys()] == [7, 7, 7]
    assert opened.referee.left == {"MUG-01": 7, "MUG-02": 7, "MUG-03": 7}


def test_what_it_says_of_a_marketplace_is_what_its_connector_needs() -> None:
    opened = Sandbox(SandboxOptions())
    for name, settings in opened.settings().items():
        site = opened.sites[name]
        told = site.connector.settings.model_validate(settings)
        assert told == site.connector.settings.model_validate(site.settings(opened.options.addresses[name]))


async def test_buyers_come_and_every_sale_is_told_and_counted_against_what_was_there() -> None:
    opened = Sandbox(SandboxOptions(port=free_port(), names=("x",), items=1, units=2, orders=6_000))
    told: list[str] = []
    enough = asyncio.Event()

    def hear(line: str) -> None:
        told.append(line)
        if opened.referee.turned_away:
            enough.set()

    ready = asyncio.Event()
    running = asyncio.create_task(opened.run(hear, ready))
    async with asyncio.timeout(HANGS):
        await ready.wait()
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{opened.options.addresses['x']}/v1/account")
        assert answer.status_code == 401, "it is a real server that wants a token"
        await enough.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert opened.referee.sold == {"MUG-01": 2}
    assert any("sold" in line and "x-MUG-01" in line for line in told)
    assert any("wanted" in line for line in told)


async def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        opened = Sandbox(SandboxOptions(port=int(taken.getsockname()[1]), names=("x",)))
        with pytest.raises(OSError, match="in use"):
            await asyncio.wait_for(opened.run(lambda line: None), HANGS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ()},
        {"names": ("x", "x")},
        {"items": 0},
        {"units": -1},
        {"orders": -1.0},
        {"port": 0},
        {"port": 65_535},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"at least one|1 to|0 to|ports"):
        SandboxOptions(**wrong)  # type: ignore[arg-type]
