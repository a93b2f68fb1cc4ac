"""The OpenAPI document: current, valid and true. What it allows is answered as it says, what it does not is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from channelsync.store.database import open_database
from channelsync.web.api.endpoints import PREFIX
from channelsync.web.api.routes import ENDPOINTS
from channelsync.web.openapi import document

FILE = Path(__file__).parents[3] / "docs" / "openapi.json"
DOCUMENT = json.loads(document())
SCHEMA = schemathesis.openapi.from_dict({name: one for name, one in DOCUMENT.items() if name != "security"})
"""Who is let in is another matter, and another test's."""

EXAMPLES = 12
"""Cases for each endpoint in every run of the tests."""

SOAK_EXAMPLES = 100
"""The same in `make soak`: two minutes for all endpoints. They are drawn alike each time, so that it always ends."""

KNOWN: dict[str, Any] = {
    "sku": "MUG",
    "order": "1",
    "run": "test",
    "plan": "none",
    "channel": "shop",
    "listing": "MUG",
    "location": "main",
    "source": "main",
    "target": "shop-floor",
    "id": 1,
}
"""Names of what is there; chance alone would hardly meet any."""

CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)


def test_the_file_in_the_docs_is_current() -> None:
    current = FILE.read_bytes() == document()
    assert current, "write it anew: .venv/bin/python -m channelsync.web.openapi > docs/openapi.json"


def test_every_endpoint_says_what_it_does_and_whom_it_lets_in() -> None:
    for endpoint in ENDPOINTS:
        assert endpoint.summary, endpoint.path
        operation = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
        assert f"Scope: {endpoint.scope}." in operation["description"]
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)


def test_every_example_is_what_its_schema_allows() -> None:
    for endpoint in ENDPOINTS:
        if endpoint.method == "POST":
            endpoint.said.model_validate_json(json.dumps(endpoint.example))


def test_every_schema_is_one() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        OAS31Validator.check_schema(schema)
        assert "$defs" not in json.dumps(schema), name


async def test_the_document_is_served_to_everybody(sqlite_api: Any) -> None:
    answer = await sqlite_api.get("/openapi.json", "")
    assert answer.content == document()


class Caller:
    """Calls the real application, from code that is not asynchronous."""

    def __init__(self, runner: asyncio.Runner, api: Any) -> None:
        self._runner, self.api = runner, api

    def call(self, case: Any) -> Any:
        """Sends a case with the token of an admin."""
        sent = case.as_transport_kwargs(base_url=f"http://agent{PREFIX}")
        made_up = {name.lower(): value for name, value in (sent["headers"] or {}).items()}
        sent["headers"] = {**made_up, **self.api.headers("admin")}
        sent["content"] = sent.pop("data", None)
        for name in ("cookies", "files", "auth"):
            sent.pop(name, None)
        return self._runner.run(self.api.client.request(**{name: one for name, one in sent.items() if one is not None}))


@pytest.fixture(scope="module")
def caller(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory, open_api: Any) -> Iterator[Caller]:
    """The application on a database of its own, for all cases, proved at the end."""
    path = tmp_path_factory.mktemp("described") / "channelsync.db"
    copyfile(migrated_sqlite_file, path)
    with asyncio.Runner() as runner:
        database = open_database(f"sqlite:///{path}", inline=True)
        opened = open_api(runner.run(database.__aenter__()))
        api = runner.run(opened.__aenter__())
        runner.run(_fill(api))
        yield Caller(runner, api)
        runner.run(opened.__aexit__())
        runner.run(database.__aexit__(None, None, None))


async def _fill(api: Any) -> None:
    """Something to find: units, a listing, an order, a finding."""
    await api.shelve({"MUG": 100_000, "BOWL": 5})
    await api.lists("MUG", "nothing")
    await api.post("/orders", {"order": "1", "lines": [{"sku": "MUG", "units": 2}, {"sku": "BOWL", "units": 9}]})


def _with_known(value: Any, draw: Any) -> Any:
    """The same with some of its names exchanged for names of what is there.

    A whole number is written without a point: 1.0 is an integer to JSON Schema, and no number of units to us.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {
            name: KNOWN[name]
            if name in KNOWN and not isinstance(one, list | dict) and draw()
            else _with_known(one, draw)
            for name, one in value.items()
        }
    return [_with_known(one, draw) for one in value] if isinstance(value, list) else value


OPERATIONS = [
    pytest.param(SCHEMA[endpoint.path][endpoint.method], endpoint, id=f"{endpoint.method} {endpoint.path}")
    for endpoint in ENDPOINTS
]


def _reaches(case: Any) -> bool:
    """Whether a case reaches its endpoint: clients and servers take dots away from an address."""
    return not {".", ".."} & {str(one) for one in (case.path_parameters or {}).values()}


def _allowed(caller: Caller, operation: Any, examples: int) -> None:
    """Whatever the description allows is answered as it says; what it refuses is there for a reason of its own."""

    @settings(
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
        derandomize=True,
    )
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE), data=st.data())
    def calls(case: Any, data: Any) -> None:
        def draw() -> bool:
            return bool(data.draw(st.booleans()))

        case.path_parameters = _with_known(case.path_parameters, draw)
        case.query = _with_known(case.query, draw)
        case.body = _with_known(case.body, draw)
        assume(_reaches(case))
        answer = caller.call(case)
        case.validate_response(answer, checks=list(CHECKS))
        made_up_cursor = answer.status_code == 400 and "cursor" in (case.query or {})
        key_again = answer.status_code == 422 and answer.json()["type"].endswith(":key-used")
        assert answer.status_code in (200, 201, 404, 409) or made_up_cursor or key_again, answer.text

    calls()


def _not_allowed(caller: Caller, operation: Any, examples: int) -> None:
    """Whatever it does not allow is refused."""

    @settings(
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
        derandomize=True,
    )
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def calls(case: Any) -> None:
        assume(_reaches(case))
        before = caller.api.agent.changed.is_set()
        answer = caller.call(case)
        case.validate_response(answer, checks=[*CHECKS, checks.negative_data_rejection])
        assert caller.api.agent.changed.is_set() == before

    calls()


@pytest.mark.parametrize(("operation", "endpoint"), OPERATIONS)
def test_what_the_description_allows_is_answered_as_it_says(caller: Caller, operation: Any, endpoint: Any) -> None:
    _allowed(caller, operation, EXAMPLES)


@pytest.mark.parametrize(("operation", "endpoint"), OPERATIONS)
def test_what_the_description_does_not_allow_is_refused(caller: Caller, operation: Any, endpoint: Any) -> None:
    if endpoint.method == "GET" and endpoint.said.__name__ == "Nothing" and "{id}" not in endpoint.path:
        pytest.skip("nothing can be said wrongly here")
    _not_allowed(caller, operation, EXAMPLES)


@pytest.mark.soak
@pytest.mark.parametrize(("operation", "endpoint"), OPERATIONS)
def test_the_description_is_true_at_length(caller: Caller, operation: Any, endpoint: Any) -> None:
    _allowed(caller, operation, SOAK_EXAMPLES)
    if endpoint.method == "POST":
        _not_allowed(caller, operation, SOAK_EXAMPLES)
