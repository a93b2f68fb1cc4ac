"""An endpoint as data: where it is, who may use it, what it takes and gives. Routes and description follow from it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection

from channelsync.sync.agent import Agent
from channelsync.sync.api_runs import Answered, Keyed, run_for_caller
from channelsync.sync.stock import By
from channelsync.sync.tokens import Caller, Scope
from channelsync.web.api.values import Nothing, Said

T = TypeVar("T")

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, before it is written."""

    body: Any
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of a caller. names: what the address names. key: the caller's; empty where none is asked for."""

    agent: Agent
    caller: Caller
    endpoint: Endpoint
    names: Mapping[str, str]
    said: Said
    key: str = ""

    async def look(self, work: Callable[[Connection], T]) -> T:
        """Reads from one state of the database."""
        return await self.agent.database.query(work, snapshot=True)

    async def change(self, command: str, work: Callable[[Connection, By], Answer], *, reason: str = "") -> Answered:
        """Does one change as a run of its own that names the token; see `sync.api_runs`."""

        def written(connection: Connection, by: By) -> Answered:
            done = work(connection, replace(by, reason=reason))
            return Answered(done.status, self.endpoint.written(done.body))

        keyed = Keyed(self.key, self.digest()) if self.key else None
        arguments = {**self.names, **({"reason": reason} if reason else {})}
        return await run_for_caller(self.agent, self.caller, command, written, arguments=arguments, keyed=keyed)

    def digest(self) -> str:
        """The same for the same request, whatever the order and the blanks in its body."""
        names = sorted(self.names.items())
        said = f"{self.endpoint.method} {self.endpoint.path} {names} {self.said.model_dump_json()}"
        return hashlib.sha256(said.encode()).hexdigest()


Run = Callable[[Call, Any], Awaitable[Answer | Answered]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint:
    """One method of one address. run: gets the call and what was said; its docstring is the description.

    said: the model of the parameters of a GET, or of the body of a POST. gives: the type of the answer's body.
    creates: it answers 201 where something new came to be. keyed: it needs an Idempotency-Key, for nothing in what it
    says tells a repeat from another one. misses: it may answer 404; refuses: it may answer 409.
    """

    method: Literal["GET", "POST"]
    path: str
    scope: Scope
    topic: str
    run: Run
    gives: Any
    said: type[Said] = Nothing
    creates: bool = False
    keyed: bool = False
    misses: bool = False
    refuses: bool = False
    example: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Writes answers."""
        return TypeAdapter(self.gives)

    def written(self, body: Any) -> bytes:
        """An answer's body, as JSON."""
        return self.adapter.dump_json(body)

    @property
    def name(self) -> str:
        """Unique among the endpoints."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return self._says.partition("\n\n")[0].replace("\n", " ").removesuffix(".")

    @property
    def description(self) -> str:
        """What else is to be known."""
        return self._says.partition("\n\n")[2].replace("\n", " ")

    @property
    def _says(self) -> str:
        return inspect.getdoc(self.run) or ""
