"""Connecting by consent in a browser: the address is told, what comes back is checked, redeemed and kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from channelsync.runtime.cli import asking, channels_connect, context, main
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.sdk.channel import Capabilities, Channel, Connector, Identity
from channelsync.sdk.connecting import Consent, Guide
from channelsync.sdk.discovery import catalogue_with
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.limiter import Budget
from channelsync.sdk.resources import Resources
from channelsync.sync.vault import new_key
from channelsync_memory import MemoryChannel, MemorySettings
from channelsync_memory.shop import Shop

CLIENT_SECRET, CODE, GRANTED = "cs-8f2b1d", "code-77aa31", "rt-first-5e20c9"

CONFIG = """\
[database]
url = "{url}"
[secrets]
keys = [{{ file = "channelsync.key" }}]
[[location]]
name = "main"
[[channel]]
name = "bay"
connector = "bay"
[channel.settings]
client_secret = {{ stored = "client_secret" }}
tokens = {{ refresh = {{ stored = "refresh" }} }}
"""


class Tokens(BaseModel):
    """What the consent brings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    refresh: SecretStr


class BaySettings(BaseModel):
    """A secret that is typed, and one that the consent brings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_secret: SecretStr = Field(min_length=4)
    tokens: Tokens


class BayChannel(MemoryChannel):
    """Renews its refresh token with every check, as some channels do, and lets nobody in without the newest."""

    def __init__(self, settings: BaySettings, resources: Resources, accepted: list[str]) -> None:
        super().__init__(MemorySettings(shop="bay"), Shop(resources.clock), resources.clock)
        self._vault, self._refresh, self._accepted = resources.vault, settings.tokens.refresh, accepted

    async def check(self) -> Identity:
        if self._refresh.get_secret_value() != self._accepted[-1]:
            raise NeedsSeller("Connect bay anew: the refresh token is not the newest.")
        self._accepted.append(f"rt-renewed-{len(self._accepted)}")
        self._refresh = SecretStr(self._accepted[-1])
        await self._vault.put("refresh", self._refresh)
        return Identity("bay-seller")


class Bay:
    """The consent of a marketplace that knows one code."""

    def __init__(self) -> None:
        self.accepted = [GRANTED]
        self.seen: list[BaySettings] = []

    def address(self, settings: BaseModel, state: str) -> str:
        assert isinstance(settings, BaySettings)
        self.seen.append(settings)
        return f"https://bay.example/consent?state={state}"

    async def redeem(
        self, settings: BaseModel, resources: Resources, pasted: str, state: str
    ) -> Mapping[str, SecretStr]:
        assert isinstance(settings, BaySettings)
        assert settings.client_secret.get_secret_value() == CLIENT_SECRET
        query = parse_qs(urlsplit(pasted).query)
        if query.get("code") != [CODE] or query.get("state") != [state]:
            raise NeedsSeller(f"The address {pasted} holds no code that is known.")
        return {"tokens.refresh": SecretStr(GRANTED)}

    def connector(self) -> Connector:
        @asynccontextmanager
        async def opened(settings: BaseModel, resources: Resources) -> AsyncIterator[Channel]:
            assert isinstance(settings, BaySettings)
            yield BayChannel(settings, resources, self.accepted)

        return Connector(
            name="bay",
            title="Bay",
            settings=BaySettings,
            capabilities=lambda _settings: Capabilities(),
            budgets=lambda _settings: (Budget("calls", 10, 1),),
            open=opened,
            guide=Guide(
                steps=("Make an app.",), consent=Consent(address=self.address, redeem=self.redeem, gives=("tokens",))
            ),
        )


Runs = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bay() -> Bay:
    return Bay()


@pytest.fixture
def connects(
    bay: Bay, tmp_path: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Runs:
    """Connects: connects("cs-...", "https://...{state}..."): the client secret, and the address that is pasted."""
    catalogue = catalogue_with(bay.connector())
    for module in (context, channels_connect):
        monkeypatch.setattr(module, "installed", lambda: catalogue)
    (tmp_path / "channelsync.key").write_text(new_key())
    (tmp_path / "config.toml").write_text(CONFIG.format(url=sqlite_url))
    told: list[str] = []
    monkeypatch.setattr(asking, "can_ask", lambda: True)

    def run(secret: str, pasted: str) -> tuple[int, str, str]:
        capsys.readouterr()
        told.clear()

        def typed(prompt: str, **_options: object) -> str:
            if prompt.startswith("client_secret"):
                return secret
            assert prompt == "The address afterwards"
            told.append(capsys.readouterr().err)
            address = next(line.strip() for line in told[-1].splitlines() if "https://bay.example" in line)
            return pasted.replace("{state}", parse_qs(urlsplit(address).query)["state"][0])

        monkeypatch.setattr(asking.typer, "prompt", typed)
        code = main(["--config", str(tmp_path / "config.toml"), "channels", "connect", "bay", "--json"], {})
        printed = capsys.readouterr()
        return code, printed.out, "".join(told) + printed.err

    return run


def test_the_seller_agrees_and_what_comes_back_is_kept_and_renewed(bay: Bay, connects: Runs) -> None:
    code, out, err = connects(CLIENT_SECRET, f"https://seller.example/back?code={CODE}&state={{state}}")

    assert code == ExitCode.DONE, err
    assert json.loads(out.splitlines()[0])["found"] == "good: bay-seller"
    assert "Kept, sealed: client_secret, refresh." in err
    assert bay.accepted == [GRANTED, "rt-renewed-1", "rt-renewed-2"], "tried out once, then opened with what was kept"
    assert bay.seen[0].client_secret.get_secret_value() == CLIENT_SECRET
    for secret in (CLIENT_SECRET, CODE, *bay.accepted):
        assert secret not in out + err


@pytest.mark.parametrize(
    ("pasted", "code", "said"),
    [
        (f"https://seller.example/back?code={CODE}&state=another", ExitCode.REFUSED, "belongs to another attempt"),
        ("https://seller.example/back?error=access_denied&state={state}", ExitCode.UNREACHABLE, "Nothing was kept"),
        (f"https://seller.example/back?code={CODE}", ExitCode.UNREACHABLE, "Nothing was kept"),
    ],
)
def test_an_address_that_is_not_of_this_attempt_keeps_nothing(
    bay: Bay, connects: Runs, pasted: str, code: ExitCode, said: str
) -> None:
    ended, out, err = connects(CLIENT_SECRET, pasted)

    assert (ended, out) == (code, "")
    assert said in err
    assert CODE not in err
    assert bay.accepted == [GRANTED]


def test_a_typed_secret_that_the_settings_do_not_take_is_refused_without_showing_it(connects: Runs) -> None:
    code, _, err = connects("abc", f"https://seller.example/back?code={CODE}&state={{state}}")

    assert code == ExitCode.UNREACHABLE
    assert "what is kept as client_secret is not right" in err


def test_without_a_terminal_there_is_no_consent(connects: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "can_ask", lambda: False)
    code, _, err = connects(CLIENT_SECRET, "")

    assert code == ExitCode.USAGE
    assert "There is no terminal" in err
