"""One call of the REST APIs after token and description were checked, and what handlers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson

from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace_http import Request
from vendor_ebay.errors import Answer
from vendor_ebay.oauth import Grant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A call. arguments: of the path. now: the lab's true time. fault: spoils rows and pages."""

    request: Request
    arguments: Mapping[str, str]
    grant: Grant
    now: datetime
    fault: Fault | None

    @property
    def query(self) -> Mapping[str, str]:
        """The query's parameters."""
        return self.request.query

    def json(self) -> dict[str, Any]:
        """The body; empty where there is none."""
        found = orjson.loads(self.request.body) if self.request.body else {}
        return found if isinstance(found, dict) else {}

    def met(self, kind: FaultKind) -> bool:
        """Whether this call meets such a fault."""
        return self.fault is not None and self.fault.kind is kind

    def spoilt(self, rows: list[T]) -> list[T]:
        """The rows of a page, some of them twice where the fault says so."""
        return [*rows, *rows[:2]] if self.met(FaultKind.ROWS_TWICE) else rows

    def results(self, rows: list[T]) -> list[T]:
        """The rows of a batch's answer, half of them missing where the fault says so."""
        return rows[1::2] if self.met(FaultKind.ROWS_MISSING) else rows


Handler = Callable[[Call], Answer]


def whole_number(text: str | None, default: int) -> int | None:
    """A number in a query; None for what is none."""
    if text is None:
        return default
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def batch_answer(rows: Sequence[dict[str, Any]]) -> Answer:
    """The answer to a batch: 207 where a row failed."""
    failed = any(row["statusCode"] >= 300 for row in rows)
    return Answer(207 if failed else 200, {"responses": list(rows)})


def row_flaws(*flaws: Any) -> list[dict[str, Any]]:
    """Errors of a row of a batch."""
    return [flaw.row() for flaw in flaws]
