"""Secrets of hooks and feeds in the vault: kept by a command, used by whoever serves them, shown by nothing."""

from __future__ import annotations

import asyncio
import base64
import io
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channelsync.domain.findings import FindingKind
from channelsync.runtime import feeds, hooks
from channelsync.runtime.cli import asking
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_hooks import HookConfig
from channelsync.runtime.reload_plan import reload_of
from channelsync.runtime.vault_owners import owner_of, with_secrets, with_these
from channelsync.runtime.wiring import open_agent, safe_of
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.errors import NeedsSeller
from channelsync.store import findings
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseUnavailable
from channelsync.store.vault import forget_sealed
from channelsync.sync.agent import Agent
from channelsync.sync.outgoing import Courier
from channelsync.sync.outgoing_events import HookSetup
from channelsync.sync.vault import new_key

ReadConfig = Callable[..., Loaded]
KEY = new_key()
FIRST, SECOND = ("whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
HOOK = (
    '[[hook]]\nname = "wms"\nurl = "https://wms.example.com/in"\nsecrets = [{ stored = "new" }, { stored = "old" }]\n'
)
FEED = """[[feed]]
name = "erp"
kind = "sftp"
place = "sftp://files.example.com/out"
username = "channelsync"
password = { stored = "password" }
host_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0"]
what = "receipts"
stable = "90s"
"""


def text(url: str, *more: str) -> str:
    config = (
        f'[database]\nurl = "{url}"\n[web]\nlisten = ""\n[secrets]\nkeys = ["{KEY}"]\n[[location]]\nname = "main"\n'
    )
    return config + "".join(more)


@pytest.fixture
def loaded(read_config: ReadConfig, database_url: str) -> Loaded:
    return read_config(text(database_url, HOOK, FEED))


async def keep(loaded: Loaded, database: Database, owner: str, **secrets: str) -> None:
    """Keeps secrets as the command does."""
    for name, secret in secrets.items():
        await safe_of(loaded, database, SystemClock()).vault(owner).put(name, SecretStr(secret))


def told(setup: HookSetup) -> list[str]:
    return [one.get_secret_value() for one in setup.secrets]


def test_a_secret_of_a_hook_or_feed_may_be_in_the_vault_and_is_shown_as_such(loaded: Loaded) -> None:
    shown = {one.key: one.value for one in loaded.values}
    assert shown["hook.wms.secrets"] == ["stored in the vault"] * 2
    assert shown["feed.erp.password"] == "stored in the vault"
    assert {owner: dict(places) for owner, places in loaded.wanted.items()} == {
        "hook wms": {("secrets", 0): "new", ("secrets", 1): "old"},
        "feed erp": {("password",): "password"},
    }
    assert set(loaded.secrets) == {KEY}


@pytest.mark.parametrize(
    "wrong",
    [
        HOOK.replace('"https://wms.example.com/in"', '{ stored = "url" }'),
        HOOK.replace('"wms"', '{ stored = "name" }'),
        FEED.replace('"channelsync"', '{ stored = "user" }'),
        HOOK.replace('[{ stored = "new" }, { stored = "old" }]', '{ stored = "new" }'),
    ],
)
def test_only_a_secret_may_be_in_the_vault(complaints: Any, wrong: str) -> None:
    assert "should be" in complaints(text("sqlite:///x.db", wrong))[0]


async def test_settings_have_what_the_vault_holds(loaded: Loaded, database: Database) -> None:
    (hook,), (feed,) = loaded.config.hooks, loaded.config.feeds
    clock = SystemClock()
    with pytest.raises(
        NeedsSeller, match=r'its .new. is not in the vault; run `channelsync secrets put "hook wms" new`'
    ):
        await with_secrets(loaded, hook, database, clock)
    await keep(loaded, database, "hook wms", new=FIRST, old=SECOND)
    await keep(loaded, database, "feed erp", password="for the server")
    assert told((await with_secrets(loaded, hook, database, clock)).setup) == [FIRST, SECOND]
    filled = await with_secrets(loaded, feed, database, clock)
    assert filled.server.password == SecretStr("for the server")
    assert filled.model_copy(update={"password": feed.password}) == feed, "the rest is as it was"
    assert {FIRST, SECOND, "for the server"} <= set(loaded.secrets), "no log shows them from now on"


async def test_a_hook_without_such_a_secret_asks_the_vault_nothing(read_config: ReadConfig) -> None:
    plain = read_config(text("sqlite:///x.db", HOOK.replace('{ stored = "new" }, { stored = "old" }', f'"{FIRST}"')))
    (hook,) = plain.config.hooks
    database: Any = None
    assert await with_secrets(plain, hook, database, SystemClock()) is hook


async def test_what_cannot_sign_is_told_without_being_shown(loaded: Loaded, database: Database) -> None:
    (hook,) = loaded.config.hooks
    await keep(loaded, database, "hook wms", new="c2hvcnQ=", old=SECOND)
    with pytest.raises(
        NeedsSeller, match=r"hook wms: what is kept as new, old is not right.*24 to 64 bytes"
    ) as refused:
        await with_secrets(loaded, hook, database, SystemClock())
    assert "c2hvcnQ" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_with_these_leaves_what_is_not_given_as_it_is(loaded: Loaded) -> None:
    (hook,) = loaded.config.hooks
    filled = with_these(loaded, hook, {"old": SecretStr(SECOND)})
    assert isinstance(filled, HookConfig)
    assert told(filled.setup)[1] == SECOND
    assert told(filled.setup)[0] == told(hook.setup)[0]
    assert owner_of(hook) == "hook wms"


def test_another_name_in_the_vault_is_a_change_for_a_reload(read_config: ReadConfig) -> None:
    before = read_config(text("sqlite:///x.db", HOOK))
    after = read_config(text("sqlite:///x.db", HOOK.replace('"new"', '"newer"')))
    plan = reload_of(before, after)
    assert (plan.changed, plan.nothing) == (("hook.wms",), False)
    assert plan.loaded.wanted == after.wanted
    assert reload_of(before, before).nothing


# Whoever serves them


class Steps(SystemClock):
    """A clock on which whoever sleeps wakes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._rests, self._goes = asyncio.Queue[None](), asyncio.Queue[None]()

    async def sleep(self, _seconds: float) -> None:
        self._rests.put_nowait(None)
        await self._goes.get()

    async def rested(self) -> None:
        """Returns when it sleeps."""
        async with asyncio.timeout(60):
            await self._rests.get()

    async def step(self) -> None:
        """Wakes it, and returns when it sleeps again."""
        self._goes.put_nowait(None)
        await self.rested()


@pytest.fixture
def clock() -> Steps:
    return Steps()


@pytest.fixture
async def agent(loaded: Loaded, catalogue: Any, clock: Steps) -> AsyncIterator[Agent]:
    async with open_agent(loaded, "run", catalogue=catalogue, clock=clock) as agent:
        yield agent


class Served:
    """The hooks that are served, in the place of who serves them."""

    def __init__(self) -> None:
        self.now: list[HookSetup] = []

    async def __call__(self, _agent: Agent, hook: HookSetup) -> None:
        self.now.append(hook)
        try:
            await asyncio.Event().wait()
        finally:
            self.now.remove(hook)

    @property
    def secrets(self) -> list[list[str]]:
        return [told(one) for one in self.now]


async def test_a_hook_is_served_once_its_secrets_are_there_and_anew_when_they_change(
    agent: Agent, loaded: Loaded, clock: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served()
    monkeypatch.setattr(hooks, "_serve", served)
    database = agent.database

    async def found() -> list[str]:
        return [one.summary for one in await database.query(findings.list_findings)]

    keeping = asyncio.create_task(hooks.keep_hooks(agent, lambda: loaded))
    try:
        await clock.rested()
        (summary,) = await found()
        assert summary.startswith("Hook wms cannot be served. hook wms: its 'new' is not in the vault")
        assert 'channelsync secrets put "hook wms" new' in summary
        assert served.secrets == []
        await keep(loaded, database, "hook wms", old=SECOND, new=FIRST)
        await clock.step()
        assert (served.secrets, await found()) == ([[FIRST, SECOND]], [])
        before = served.now[0]
        await clock.step()
        assert served.now[0] is before, "what did not change goes on"
        await keep(loaded, database, "hook wms", new=SECOND)
        await clock.step()
        assert served.secrets == [[SECOND, SECOND]]
        with monkeypatch.context() as patched:
            patched.setattr(Database, "query", _unreachable)
            await clock.step()
        assert served.secrets == [[SECOND, SECOND]], "without a database it goes on as it is"
        await database.transact(lambda c: forget_sealed(c, "hook wms", "new"))
        await clock.step()
        assert (served.secrets, len(await found())) == ([], 1)
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_a_hook_that_fails_by_a_bug_is_told_and_begun_again_and_stops_no_other(
    agent: Agent, loaded: Loaded, clock: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hook,) = loaded.config.hooks
    filled = hook.model_copy(update={"secrets": (SecretStr(FIRST),)})
    both = loaded.config.model_copy(update={"hooks": (filled, filled.model_copy(update={"name": "erp"}))})
    served: list[str] = []

    async def keep(courier: Courier) -> None:
        served.append(courier.hook.name)
        if courier.hook.name == "wms":
            raise RuntimeError(f"a bug that tells {FIRST}")
        await asyncio.Event().wait()

    monkeypatch.setattr(Courier, "keep", keep)
    keeping = asyncio.create_task(hooks.keep_hooks(agent, lambda: replace(loaded, config=both, wanted={})))
    try:
        await clock.rested()
        await clock.rested()  # the keeper, and the hook that failed
        (finding,) = await agent.database.query(findings.list_findings)
        assert finding.kind == FindingKind.HOOK_FAILING
        assert finding.summary.startswith("Hook wms stopped by an error that channelsync does not know (RuntimeError).")
        assert sorted(served) == ["erp", "wms"]
        await clock.step()
        await clock.step()
        assert sorted(served) == ["erp", "wms", "wms"], "it is begun again, and the other goes on"
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def _unreachable(*_: Any, **__: Any) -> Any:
    raise DatabaseUnavailable("it is down")


async def test_a_feed_is_looked_at_with_its_password_of_the_vault(
    agent: Agent, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    (feed,) = loaded.config.feeds
    with pytest.raises(NeedsSeller, match='channelsync secrets put "feed erp" password'):
        await feeds.look_at(agent, loaded, feed)
    await keep(loaded, agent.database, "feed erp", password="for the server")
    asked: list[Any] = []

    def place(server: Any, _owner: str) -> Any:
        asked.append(server)
        raise OSError("far enough")

    monkeypatch.setattr(feeds, "SftpPlace", place)
    with pytest.raises(OSError, match="far enough"):
        await feeds.look_at(agent, loaded, feed)
    assert [one.password for one in asked] == [SecretStr("for the server")]


# The command


@pytest.fixture
def shop(shopkeeper: Any) -> Any:
    """A seller whose hook and feed take their secrets from the vault."""
    more = f"{HOOK.replace('https://wms.example.com/in', 'https://127.0.0.1:9/in')}allow_private = true\n{FEED}"
    shopkeeper.config.write_text(f'{shopkeeper.config.read_text()}\n{more}[secrets]\nkeys = ["{KEY}"]\n')
    return shopkeeper


def given(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """What stands at standard input; nobody sits at a terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))


def test_a_secret_is_kept_from_standard_input_and_used(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = shop.runs("hooks", "test", "wms")
    assert (ran.code, "secrets put" in ran.err) == (ExitCode.UNREACHABLE, True), ran.err
    for name, secret in (("new", FIRST), ("old", SECOND)):
        given(monkeypatch, f"{secret}\n")
        ran = shop.runs("secrets", "put", "hook wms", name)
        assert (ran.code, ran.err.strip()) == (0, f"hook wms: {name} is kept.")
    ran = shop.runs("hooks", "test", "wms")
    assert (ran.code, "not accepted" in ran.err) == (1, True), "it was sent, and nobody listens there"
    rows = shop.runs("secrets", "list", "--json").rows
    assert [(one["channel"], one["name"]) for one in rows] == [("hook wms", "new"), ("hook wms", "old")]
    for file in Path(shop.config).parent.glob("*.db*"):
        assert FIRST.encode() not in file.read_bytes()
    assert shop.runs("secrets", "forget", "hook wms", "new").code == 0
    assert [one["name"] for one in shop.runs("secrets", "list", "--json").rows] == ["old"]


def test_a_secret_is_asked_for_at_the_terminal(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["", "for the server"])
    monkeypatch.setattr(asking, "can_ask", lambda: True)
    monkeypatch.setattr(asking.typer, "prompt", lambda *_, **__: next(answers))
    assert shop.runs("secrets", "put", "feed erp", "password").code == 0
    (row,) = shop.runs("secrets", "list", "--json").rows
    assert (row["channel"], row["name"], row["sealed_with"]) == ("feed erp", "password", "the newest key")


def test_what_is_no_secret_of_the_configuration_or_none_at_all_is_not_kept(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in (("hook wms", "other"), ("hook other", "new"), ("wms", "new"), ("shop", "token")):
        ran = shop.runs("secrets", "put", owner, name)
        assert (ran.code, '"hook wms" new, "hook wms" old, "feed erp" password' in ran.err) == (2, True), ran.err
    for said in ("", "\n", "x" * 70_000, "c2hvcnQ="):
        given(monkeypatch, said)
        ran = shop.runs("secrets", "put", "hook wms", "new")
        assert ran.code != 0
        assert "c2hvcnQ" not in ran.err + ran.out
    assert shop.runs("secrets", "list", "--json").rows == []
    shop.config.write_text(shop.config.read_text().replace(f'keys = ["{KEY}"]', "keys = []"))
    given(monkeypatch, FIRST)
    assert "has no key" in shop.runs("secrets", "put", "hook wms", "new").err


def test_nothing_is_kept_in_plain_text(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, FIRST)
    assert shop.runs("--debug", "secrets", "put", "hook wms", "new").code == 0
    with closing(sqlite3.connect(file_of(shop.config.read_text()))) as connection:
        everything = "\n".join(connection.iterdump())
    assert "hook wms" in everything
    assert FIRST not in everything
    assert FIRST.removeprefix("whsec_") not in everything


def file_of(config: str) -> str:
    """The database's."""
    return config.partition('url = "sqlite:///')[2].partition('"')[0]
