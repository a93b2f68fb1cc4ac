"""A connector that somebody else packaged is found exactly like the built-in ones: install the wheel, name it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "channelsync-corner"
version = "1.0"

[project.entry-points."channelsync.connectors"]
corner = "channelsync_corner:CONNECTOR"
"""

CODE = '''\
"""The corner shop: one shelf, kept in this module."""

from contextlib import asynccontextmanager

from pydantic import BaseModel, ConfigDict

from channelsync.sdk.channel import Capabilities, Connector, Identity
from channelsync.sdk.limiter import Budget
from channelsync.sdk.values import PushResult, QuantityKey

SHELF = {}


class CornerSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    street: str


class CornerChannel:
    def __init__(self, street):
        self.street = street

    async def check(self):
        return Identity(self.street)

    async def push(self, updates):
        SHELF.update({update.key: update.value for update in updates})
        return [PushResult.accepted(update.key, update.value) for update in updates]


@asynccontextmanager
async def open_channel(settings, resources):
    yield CornerChannel(settings.street)


CONNECTOR = Connector(
    name="corner",
    title="Corner shop",
    settings=CornerSettings,
    capabilities=lambda settings: Capabilities(updates_per_push=7, answers_with_number=True),
    budgets=lambda settings: (Budget("calls", capacity=10, per_second=1),),
    open=open_channel,
)
'''

EXAMPLE = """\
[[channel]]
name = "corner-shop"
connector = "corner"

  [channel.settings]
  street = "High Street"
"""

CONFIG = """\
[[location]]
name = "main"

[[channel]]
name = "trial"
connector = "memory"

"""

USE = """\
import asyncio, json, random
from channelsync.sdk.breaker import Breaker
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import installed
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.resources import Resources
from channelsync.sdk.vault import MemoryVault
from channelsync.sdk.values import QuantityKey, QuantityUpdate

async def use(connector):
    settings, clock = connector.settings(street="High Street"), SystemClock()
    resources = Resources(
        vault=MemoryVault(),
        channel="corner-shop",
        clock=clock,
        limiter=Limiter(connector.budgets(settings), clock),
        breaker=Breaker("corner-shop", clock),
        random=random.Random(1),
    )
    update = QuantityUpdate(key=QuantityKey("bread"), value=3, listing="bread")
    async with connector.open(settings, resources) as channel:
        (result,) = await channel.push([update])
        return [(await channel.check()).name, result.state, result.shown]

catalogue = installed()
connector = catalogue.connector("corner")
print(json.dumps({
    "names": catalogue.names,
    "ours": sorted(catalogue.ours),
    "example": catalogue.example("corner"),
    "from": __import__(connector.open.__module__).__file__,
    "used": asyncio.run(use(connector)),
}))
"""


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel of the third party's connector is installed into, from nothing but what is here."""
    project = tmp_path_factory.mktemp("channelsync-corner")
    package = project / "channelsync_corner"
    package.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").write_text(CODE)
    (package / "example.toml").write_text(EXAMPLE)
    run("-m", "hatchling", "build", "-t", "wheel", folder=project)
    (wheel,) = (project / "dist").glob("*.whl")
    target = project / "site-packages"
    options = ("--no-index", "--no-deps", "--quiet", "--disable-pip-version-check", "--no-warn-script-location")
    run("-m", "pip", "install", *options, "--target", str(target), str(wheel), folder=project)
    return target


def run(*arguments: str, folder: Path, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs Python in a folder, with what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert may_fail or done.returncode == 0, done.stdout + done.stderr
    return done


def checking(config: Path) -> str:
    """Runs `channelsync config check` on a file."""
    arguments = ["--config", str(config), "config", "check"]
    return f"import sys\nfrom channelsync.runtime.cli import main\nsys.exit(main({arguments!r}))"


def with_installed(site_packages: Path, code: str) -> str:
    """The code, run where the third party's wheel is installed."""
    return f"import sys; sys.path.append({str(site_packages)!r})\n{code}"


@pytest.mark.processes
def test_an_installed_wheel_is_found_and_used_like_the_built_in_connectors(site_packages: Path, tmp_path: Path) -> None:
    told = json.loads(run("-c", with_installed(site_packages, USE), folder=tmp_path).stdout)
    assert set(told["names"]) >= {"corner", "memory", "sandbox"}
    assert "corner" not in told["ours"]
    assert told["example"] == EXAMPLE
    assert Path(told["from"]).is_relative_to(site_packages)
    assert told["used"] == ["High Street", "accepted", 3]


@pytest.mark.processes
def test_a_configuration_may_name_it(site_packages: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG + EXAMPLE)
    code = with_installed(site_packages, checking(config))
    shown = run("-c", code, folder=tmp_path).stdout
    assert "High Street" in shown
    config.write_text(CONFIG + EXAMPLE.replace("street =", "stret ="))
    wrong = run("-c", code, folder=tmp_path, may_fail=True)
    assert wrong.returncode == 3
    assert "stret" in wrong.stdout + wrong.stderr, "its settings are checked like any other's"


@pytest.mark.processes
def test_without_the_wheel_the_name_is_unknown(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG + EXAMPLE)
    done = run("-c", checking(config), folder=tmp_path, may_fail=True)
    assert done.returncode == 3
    assert "corner" in done.stdout + done.stderr
