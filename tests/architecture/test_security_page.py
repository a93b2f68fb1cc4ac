"""docs/security.md: every item that concerns us has a row, every proof is there, every number is the code's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from channelsync.runtime.config_feeds import FeedConfig
from channelsync.runtime.config_models import WebConfig
from channelsync.sdk.breaker import Breaker
from channelsync.sdk.calls import HttpSettings, Timeouts
from channelsync.sdk.outbound import SECONDS_MAX
from channelsync.sdk.retries import Backoff
from channelsync.store import database, postgresql, sqlite
from channelsync.sync import inbox, receiving
from channelsync.web import body, feeds, receiver, server
from channelsync.web.api import reading

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
CHECKLIST, _, LIMITS = PAGE.partition("## Connections and time")
ROWS = [line for line in CHECKLIST.splitlines() if line.startswith("| ") and not line.startswith("| item")]
LINK = re.compile(r"\[(?P<name>\w+)\]\(\.\./(?P<path>tests/[\w/.]+)\)(?P<functions>(?:,? `\w+`)*)")

ITEMS = (
    *(
        "2.2.1",
        "2.3.3",
        "2.3.4",
        "2.3.5",
        "2.4.1",
        "4.1.1",
        "4.1.3",
        "4.1.4",
        "4.1.5",
        "4.2.1",
        "4.3",
        "13.4.5",
        "16.5.1",
        "16.5.3",
        "16.5.4",
    ),
    *("13.1.2", "13.1.3", "13.2.6", "13.2.4", "16.5.2", "13.3.1", "13.3.4"),
    *(
        "7.2.3",
        "7.2.4",
        "7.3.1",
        "7.3.2",
        "7.4.1",
        "7.4.5",
        "7.5.3",
        "13.2.3",
        "16.2.2",
        "16.2.5",
        "16.3.1",
        "16.3.2",
        "16.3.3",
        "16.3.4",
        "16.4.1",
        "V3",
    ),
)
"""Those of OWASP ASVS 5.0 that concern a receiver, an API, calls that go out, secrets and logs."""

WITHOUT_A_TEST = {"4.3"}
"""There is nothing of the kind."""


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def test_every_item_has_one_row() -> None:
    named = [item for row in ROWS for item in re.findall(r"(?<![\w.])(?:\d+(?:\.\d+)+|V3)(?![\w.])", cells(row)[0])]
    assert sorted(set(ITEMS) - set(named)) == []
    assert [item for item in set(named) if named.count(item) > 1] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: cells(row)[0][:40])
def test_every_row_says_how_it_is_met_and_names_tests_that_are_there(row: str) -> None:
    item, how, proof = (*cells(row), "")[:3]
    assert how
    links = list(LINK.finditer(proof))
    assert links or item.split()[0] in WITHOUT_A_TEST or "above" in proof
    assert not re.sub(r"the two above", "", LINK.sub("", proof)).strip(", "), "a proof is a link, and names of tests"
    for link in links:
        path = ROOT / link["path"]
        assert path.stem == link["name"]
        tests = re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
        for wanted in re.findall(r"`(\w+)`", link["functions"]):
            assert any(wanted in test for test in tests), f"{path.name} has no test {wanted}"


def default(function: object, name: str) -> object:
    """The default of a parameter."""
    assert callable(function)
    return inspect.signature(function).parameters[name].default


WEB, TIMES, BACKOFF = WebConfig(), Timeouts(), Backoff()
HTTP = HttpSettings(channel="x", base_url="https://x.example", user_agent="x")
FEED_BYTES = FeedConfig.model_fields["bytes_max"].default
SAID = [
    f"{server.CONNECTIONS_MAX} connections |",
    f"{server.HEAD_WITHIN:g} for the head of a request, {body.BODY_WITHIN:g} for its body, "
    f"{feeds.BODY_WITHIN:g} for the body of a feed",
    f"{WEB.body_limit} bytes of a webhook (setting), {reading.BODY_MAX} of a request to the API, "
    f"{FEED_BYTES} of a feed's file (setting)",
    f"{receiver.BODIES_AT_ONCE} webhooks of full length, and {feeds.AT_ONCE} files of feeds",
    f"{WEB.api_rate} requests a minute for each token (setting)",
    f"{server.KEEP_ALIVE} without a request on a connection that is kept; {server.FINISH_WITHIN} for requests",
    f"{receiving.VERIFIED_WITHIN:g} to fetch the key that verifies one, {receiving.KEPT_WITHIN:g} to make it durable",
    f"{inbox.WAITING_MAX} that wait to be written",
    f"{HTTP.connections_max} connections | a call waits {TIMES.pool:g} for one",
    f"{TIMES.connect:g} to connect, {TIMES.read:g} for a read or a write, {TIMES.total:g} for a call",
    f"{TIMES.budget:g} for the rate budget",
    f"{BACKOFF.attempts} attempts, {BACKOFF.first:g} to {BACKOFF.longest:g} between them, longer where the channel "
    f"says so, up to {BACKOFF.retry_after_max:g}",
    f"{HTTP.body_bytes_max} bytes of an answer",
    f"{default(Breaker, 'failures_max')} failures in a row | nothing is sent for {default(Breaker, 'cooldown'):g}, "
    f"then for twice as long each time, up to {default(Breaker, 'cooldown_max'):g}",
    f"{SECONDS_MAX:g} for a message with all of it",
    f"{default(database.open_database, 'pool_size')} connections of a process, {postgresql.CONNECT_SECONDS} to connect",
    f"{postgresql._SESSION['lock_timeout'].removesuffix('s')} for a lock, {postgresql.LONGEST_SECONDS} for a unit",
    f"{database.ATTEMPTS} attempts at a unit of work",
    f"one writer, {default(database.open_database, 'pool_size')} readers; {sqlite.BUSY_TIMEOUT_MS // 1000} for "
    f"another process's write, {database.ATTEMPTS} attempts",
]


@pytest.mark.parametrize("said", SAID)
def test_every_limit_on_the_page_is_the_codes(said: str) -> None:
    assert said in LIMITS
