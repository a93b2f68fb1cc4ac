"""A configuration file to write and read, with two connectors that are made up."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, SecretStr

from channelsync.runtime.cli import main
from channelsync.runtime.config import Loaded, load
from channelsync.runtime.config_errors import ConfigInvalid
from channelsync.sdk.budgets import Budget
from channelsync.sdk.channel import Capabilities, Channel, Connector
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import Catalogue, catalogue_with
from channelsync.sdk.resources import Resources
from channelsync_memory.shop import SHOPS, Shop

ReadConfig = Callable[..., Loaded]
Complaints = Callable[..., list[str]]


class ShopSettings(BaseModel):
    """What the made-up connector "shop" needs. On purpose it does not forbid unknown keys itself."""

    shop: str
    token: SecretStr
    old_tokens: list[SecretStr] = []
    key_file: str = "key.pem"
    pages: int = 3


class BareSettings(BaseModel):
    """What the made-up connector "bare" needs: nothing."""


def connector_of(name: str, settings: type[BaseModel]) -> Connector:
    def capabilities(_settings: BaseModel) -> Capabilities:
        return Capabilities()

    def budgets(_settings: BaseModel) -> Sequence[Budget]:
        return ()

    def opened(_settings: BaseModel, _resources: Resources) -> AbstractAsyncContextManager[Channel]:
        raise AssertionError("the configuration opens no channel")

    return Connector(
        name=name, title=name.title(), settings=settings, capabilities=capabilities, budgets=budgets, open=opened
    )


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands configure the logging of the process; pytest's own handlers come back after each test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def catalogue() -> Catalogue:
    """The connectors "shop", with settings, and "bare", without."""
    return catalogue_with(connector_of("shop", ShopSettings), connector_of("bare", BareSettings))


@pytest.fixture
def read_config(tmp_path: Path, catalogue: Catalogue) -> ReadConfig:
    """Writes config.toml and loads it: read_config(text, environ, overrides=..., secrets={name: text})."""

    def read(
        text: str,
        environ: Mapping[str, str] | None = None,
        *,
        overrides: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> Loaded:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        folder = tmp_path / "secrets"
        folder.mkdir(exist_ok=True)
        for name, secret in (secrets or {}).items():
            (folder / name).write_text(secret, encoding="utf-8")
        return load(path, environ or {}, overrides=overrides or {}, secrets_folder=folder, catalogue=catalogue)

    return read


@pytest.fixture
def complaints(read_config: ReadConfig) -> Complaints:
    """Everything that is wrong with a configuration, as the seller reads it."""

    def read(text: str, environ: Mapping[str, str] | None = None, **others: object) -> list[str]:
        with pytest.raises(ConfigInvalid) as refused:
            read_config(text, environ, **others)
        return [str(problem) for problem in refused.value.problems]

    return read


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it printed as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> dict[str, Any]:
        """The one thing that it printed as JSON."""
        found: dict[str, Any] = json.loads(self.out)
        return found


RunCommand = Callable[..., Ran]


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Runs a command, with what is given of an environment: run_command("stock", "list", USER="eve")."""

    def run(*arguments: str, **environ: str) -> Ran:
        capsys.readouterr()
        code = main(list(arguments), environ)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


TWO_SHOPS = """\
[database]
url = "{url}"
[web]
listen = ""

[schedule]
publish_tick = "1s"
order_poll = "1s"
order_poll_quiet = "1s"

[[location]]
name = "main"

[[sku_class]]
name = "fragile"
skus = ["MUG"]

[[channel]]
name = "shop"
connector = "memory"
{shop}
settings = {{ shop = "two-shop" }}

[[channel]]
name = "market"
connector = "memory"
settings = {{ shop = "two-market" }}
"""


class Shopkeeper:
    """A seller with two memory shops, "shop" and "market", and the command line."""

    def __init__(self, config: Path, shops: Mapping[str, Shop], run: RunCommand) -> None:
        self.config, self.shops, self._run = config, shops, run

    def runs(self, *arguments: str) -> Ran:
        """Runs a command."""
        return self._run("--config", str(self.config), *arguments)

    def sells(self, sku: str, number: int, *, units: int | None = None, channel: str = "shop") -> str:
        """A SKU that is there (`units`, else `number` of it; 0: nothing new), listed, pulled and mapped."""
        listing = self.shops[channel].list_item(sku, number).id
        arrived = number if units is None else units
        if arrived:
            receive = ("stock", "receive", sku, str(arrived), "--location", "main", "--create-item")
            assert self.runs(*receive).code == 0
        assert self.runs("listings", "pull", "--channel", channel).code == 0
        assert self.runs("listings", "map", channel, listing, sku, "--create-item").code == 0
        return listing

    def number(self, listing: str, channel: str = "shop") -> int:
        """What a shop shows."""
        return self.shops[channel].items[listing].number


OpenShops = Callable[..., Shopkeeper]


@pytest.fixture
def open_shops(tmp_path: Path, sqlite_url: str, run_command: RunCommand) -> Iterator[OpenShops]:
    """Opens the two shops; open_shops("mode = ...") adds lines to the channel "shop"."""
    shops = {name: Shop(SystemClock()) for name in ("shop", "market")}
    SHOPS.update({f"two-{name}": shop for name, shop in shops.items()})

    def opened(shop: str = "", *, url: str = sqlite_url) -> Shopkeeper:
        config = tmp_path / "two-shops.toml"
        config.write_text(TWO_SHOPS.format(url=url, shop=shop))
        return Shopkeeper(config, shops, run_command)

    yield opened
    for name in shops:
        del SHOPS[f"two-{name}"]


@pytest.fixture
def shopkeeper(open_shops: OpenShops) -> Shopkeeper:
    """The two shops, both live."""
    return open_shops()
