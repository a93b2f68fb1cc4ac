"""The API and the commands say the same of the same database, in the same shape."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from channelsync.runtime import logging
from channelsync.runtime.config import load
from channelsync.runtime.secrets import HiddenTexts
from channelsync.runtime.web import daemon_routes
from channelsync.runtime.wiring import open_agent
from channelsync.web.app import build_app

LISTS = {
    "/positions": ("stock", "list"),
    "/positions/MUG/entries": ("stock", "history", "MUG"),
    "/orders": ("orders", "list"),
    "/listings": ("listings", "list"),
    "/channels": ("channels", "list"),
    "/findings": ("findings", "list"),
    "/approvals": ("approvals", "list"),
}

DOCUMENTS = {
    "/positions/MUG": ("stock", "show", "MUG"),
    "/orders/P-1": ("orders", "show", "P-1"),
    "/channels/shop": ("channels", "show", "shop"),
    "/explain/MUG": ("explain", "MUG"),
}


def answers(shopkeeper: Any, token: str, paths: list[str]) -> dict[str, Any]:
    """What the daemon's routes answer."""
    loaded = load(shopkeeper.config, {}, overrides={})

    async def ask() -> dict[str, Any]:
        async with open_agent(loaded, "run", channels=()) as agent:
            transport = httpx.ASGITransport(build_app(daemon_routes(agent, lambda: loaded)))
            headers = {"authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://agent", headers=headers) as client:
                found = {path: await client.get(f"/api/v1{path}") for path in paths}
        assert {one.status_code for one in found.values()} == {200}, found
        return {path: one.json() for path, one in found.items()}

    return asyncio.run(ask())


def without_times_of_asking(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "at"}


@pytest.fixture
def seller(shopkeeper: Any) -> Any:
    """A seller with units, a listing, an order that is oversold, and with it a finding."""
    shopkeeper.sells("MUG", 5)
    assert shopkeeper.runs("orders", "book", "P-1", "MUG=7").code == 1
    return shopkeeper


def test_the_api_says_what_the_commands_say(seller: Any) -> None:
    token = seller.runs("tokens", "create", "script", "--scope", "read").out.strip()
    said = answers(seller, token, [*LISTS, *DOCUMENTS])
    for path, command in LISTS.items():
        rows = seller.runs(*command, "--json").rows
        assert said[path]["items"] == rows, path
        assert rows or path == "/approvals", path
    for path, command in DOCUMENTS.items():
        document = seller.runs(*command, "--json").document
        assert without_times_of_asking(said[path]) == without_times_of_asking(document), path


def test_the_log_names_the_caller_and_never_the_token(seller: Any, capsys: pytest.CaptureFixture[str]) -> None:
    token = seller.runs("tokens", "create", "script", "--scope", "read").out.strip()
    logging.configure("info", "json", HiddenTexts())
    answers(seller, token, ["/runs"])
    printed = capsys.readouterr()
    (line,) = [one for one in (printed.out + printed.err).splitlines() if "api.answered" in one]
    told = json.loads(line)
    assert (told["caller"], told["route"], told["status"]) == ("script", "/runs", 200)
    assert token not in line
