"""A configuration file to write and read, with two connectors that are made up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import structlog
from pydantic import BaseModel, SecretStr

from channelsync.runtime.config import Loaded, load
from channelsync.runtime.config_errors import ConfigInvalid
from channelsync.sdk.budgets import Budget
from channelsync.sdk.channel import Capabilities, Channel, Connector, Resources
from channelsync.sdk.discovery import Catalogue, catalogue_with

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
