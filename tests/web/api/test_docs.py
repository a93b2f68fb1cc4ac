"""docs/api.md: every example is run, in order, and answers as the page says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from channelsync.sync.tokens import SCOPES
from channelsync.web.api.problems import KINDS
from channelsync.web.api.rates import Rates
from channelsync.web.api.routes import ENDPOINTS

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"```sh\n(?P<command>.*?)```\n\n```json\n(?P<answer>.*?)```", re.DOTALL)
RUN = re.compile(r"r-\d{8}-\d{6}-[0-9a-f]{6}")


def as_on_the_page(answer: str) -> str:
    """An answer with the ids of runs and entries, and the name of the token, that the page has."""
    said = RUN.sub("r-20260301-090000-a1b2c3", answer).replace("the-operate", "my-script")
    return re.sub(r'"id":"[0-9a-f]{32,}"', '"id":"5c0f..."', said)


def asked(command: str, token: str) -> dict[str, Any]:
    """What a curl command asks, as httpx takes it."""
    words = iter(shlex.split(command.replace("\\\n", " ").replace("$AGENT", "/api/v1").replace("$TOKEN", token)))
    asks: dict[str, Any] = {"method": "", "headers": {}}
    assert next(words) == "curl"
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            asks["headers"][name] = value
        elif word == "-d":
            asks["content"] = next(words).encode()
        elif word == "-X":
            asks["method"] = next(words)
        elif word != "-s":
            asks["url"] = word
    asks["method"] = asks["method"] or ("POST" if "content" in asks else "GET")
    return asks


async def test_every_example_answers_as_the_page_says(sqlite_api: Any) -> None:
    examples = list(EXAMPLE.finditer(PAGE))
    assert len(examples) == PAGE.count("```sh\n") >= 7
    for example in examples:
        answer = await sqlite_api.client.request(**asked(example["command"], sqlite_api.tokens["operate"]))
        said = as_on_the_page(answer.text)
        assert json.loads(said) == json.loads(example["answer"] or "null"), json.dumps(json.loads(said), indent=2)


def test_every_address_scope_and_status_is_on_the_page() -> None:
    for endpoint in ENDPOINTS:
        last = endpoint.path.rpartition("/")[2]
        assert endpoint.path in PAGE or f".../{last}" in PAGE, endpoint.path
    assert all(f"| `{scope}` |" in PAGE for scope in SCOPES)
    assert all(str(kind.status) in PAGE for kind in KINDS if kind.status != 500)


def test_the_rate_on_the_page_is_the_rate() -> None:
    rates = Rates(clock=None)  # type: ignore[arg-type]  # only its defaults are asked for
    assert f"{rates.per_minute} a minute, {rates.burst} at once" in PAGE
