"""A seller with one account at a marketplace of the lab on loopback, one memory shop, a vault, and the command line."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.virtual_time import loopback_server
from channelsync.runtime.cli import asking
from channelsync.sdk.clock import SystemClock
from channelsync.sync.vault import new_key
from channelsync_memory.shop import SHOPS, Shop

CONFIG = """\
[database]
url = "{url}"

[secrets]
keys = [{keys}]

[web]
public_url = "{public_url}"

[[location]]
name = "main"

[[channel]]
name = "agora"
connector = "sandbox"
settings = {{ base_url = "{address}", refresh_token = {{ stored = "refresh_token" }}, {settings} }}
{channel}

[[channel]]
name = "shop"
connector = "memory"
settings = {{ shop = "accounts-shop" }}
"""

PUBLIC = "https://agent.example.com"


Ran = Any
"""How a command ended and what it printed; see `Ran` in the conftest.py above."""


@dataclass(slots=True, kw_only=True)
class Account:
    """The seller at the terminal. answers: what is typed at the prompts; None: there is no terminal."""

    site: Site
    address: str
    folder: Path
    url: str
    run: Callable[..., Ran]
    answers: list[str] | None = None
    prompts: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    @property
    def token(self) -> str:
        """The refresh token that the marketplace accepts."""
        return self.site.account.refresh_token

    def writes_config(
        self,
        *,
        keys: Sequence[str] = ("channelsync.key",),
        public_url: str = PUBLIC,
        channel: str = "",
        settings: str = "",
    ) -> None:
        """Writes the configuration; keys: files, each made when it is not there."""
        for name in keys:
            if not (self.folder / name).exists():
                (self.folder / name).write_text(f"{new_key()}\n")
        listed = ", ".join(f'{{ file = "{name}" }}' for name in keys)
        declared = ", ".join(['on_difference = "warn"', *([settings] if settings else [])])
        self.config.write_text(
            CONFIG.format(
                url=self.url,
                keys=listed,
                public_url=public_url,
                address=self.address,
                channel=channel,
                settings=declared,
            )
        )

    def runs(self, *arguments: str) -> Ran:
        """Runs a command."""
        return self.run("--config", str(self.config), *arguments)

    def connects(self, token: str | None = None) -> Ran:
        """Connects with a token at the prompt; None: the right one."""
        self.answers = [self.token if token is None else token]
        return self.runs("channels", "connect", "agora", "--json")

    def rows(self, statement: str) -> list[Any]:
        """What the database holds, on SQLite."""
        with closing(sqlite3.connect(self.folder / "channelsync.db")) as connection:
            return connection.execute(statement).fetchall()

    def changes(self, statement: str, *values: object) -> None:
        """Changes the database behind everybody's back, on SQLite."""
        with closing(sqlite3.connect(self.folder / "channelsync.db")) as connection, connection:
            connection.execute(statement, values)


@contextmanager
def served(site: Site) -> Iterator[str]:
    """A marketplace on loopback, in a loop of its own; its address."""
    ready, stop = threading.Event(), asyncio.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with loopback_server(site.app) as address:
            found.append(address)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(30)
    try:
        yield found[0]
    finally:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the commands' stream is closed by now
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
        logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)


@pytest.fixture
def site() -> Site:
    """The marketplace."""
    return open_site("agora", PRESETS["plain"], SystemClock(), faults=FaultPlan())


@pytest.fixture
def account_at(
    site: Site, tmp_path: Path, run_command: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Account]]:
    """Opens the seller on a database; nothing is connected yet."""
    SHOPS["accounts-shop"] = Shop(SystemClock())
    with served(site) as address:

        def opened(url: str) -> Account:
            account = Account(site=site, address=address, folder=tmp_path, url=url, run=run_command)

            def typed(prompt: str, **_options: object) -> str:
                account.prompts.append(prompt)
                assert account.answers, f"nobody answers {prompt!r}"
                return account.answers.pop(0)

            monkeypatch.setattr(asking, "can_ask", lambda: account.answers is not None)
            monkeypatch.setattr(asking.typer, "prompt", typed)
            account.writes_config()
            return account

        yield opened
    del SHOPS["accounts-shop"]


@pytest.fixture
def other_site() -> Iterator[tuple[Site, str]]:
    """Another marketplace, with an account of its own, and its address."""
    other = open_site("bazaar", PRESETS["plain"], SystemClock())
    with served(other) as address:
        yield other, address


@pytest.fixture
def account(account_at: Callable[[str], Account], sqlite_url: str) -> Account:
    """The seller, on SQLite."""
    return account_at(sqlite_url)
