"""Shopify's search syntax: `updated_at:>='2026-11-21T10:00:00Z' AND (status:open OR -test:true)`.

Terms are joined by AND (written or not), OR and NOT (or `-`), and grouped by brackets; a term is `field:value`, with
:>, :>=, :<, :<= for ranges, `*` for any value and as the end of a prefix, values quoted or not. A field that the
search does not know is ignored, with a warning in `extensions.search` [shopify.dev, Shopify API search syntax].
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

Value = str | int | bool | datetime | None
Found = Value | Iterable[Value]

T = TypeVar("T")
Read = Mapping[str, Callable[[T], "Found"]]

_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<word>(?:[A-Za-z_][\w.]*\s*:\s*(?:<=|>=|<|>)?\s*)?"""
    r"""(?:"[^"]*"|'[^']*'|[^\s()"']+)|-(?=\()|[A-Za-z_][\w.]*:))"""
)
_TERM = re.compile(r"(?P<no>-?)(?:(?P<field>[A-Za-z_][\w.]*)\s*:\s*(?P<how><=|>=|<|>)?\s*)?(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison. field: empty for a word that may stand anywhere. how: "" for equal."""

    field: str
    how: str
    value: str


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: "and", "or" or "not" of parts, or a "term"."""

    kind: str
    parts: tuple[Query, ...] = ()
    term: Term | None = None

    def terms(self) -> Iterable[Term]:
        """All comparisons in it."""
        if self.term is not None:
            yield self.term
        for part in self.parts:
            yield from part.terms()


def parsed(text: str | None) -> Query:
    """A query; an empty one matches everything."""
    tokens: list[str] = []
    at = 0
    text = (text or "").strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            break
        tokens.append(found.group().strip())
        at = found.end()
    tokens.reverse()
    parts = []
    while tokens:
        parts.append(_either(tokens))
        if tokens:
            tokens.pop()  # a bracket that closes nothing
    return Query("and", tuple(parts))


def _either(tokens: list[str]) -> Query:
    parts = [_all(tokens)]
    while tokens and tokens[-1] == "OR":
        tokens.pop()
        parts.append(_all(tokens))
    return parts[0] if len(parts) == 1 else Query("or", tuple(parts))


def _all(tokens: list[str]) -> Query:
    parts: list[Query] = []
    while tokens and tokens[-1] not in (")", "OR"):
        if tokens[-1] == "AND":
            tokens.pop()
        else:
            parts.append(_one(tokens))
    return Query("and", tuple(parts))


def _one(tokens: list[str]) -> Query:
    token = tokens.pop()
    if token in ("NOT", "-"):
        return Query("not", (_one(tokens),)) if tokens else Query("and")
    if token == "(":
        inner = _either(tokens)
        if tokens:
            tokens.pop()
        return inner
    found = _TERM.fullmatch(token)
    assert found is not None
    term = Term(found["field"] or "", found["how"] or "", _unquoted(found["value"]))
    one = Query("term", term=term)
    return Query("not", (one,)) if found["no"] else one


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def matches(query: Query, thing: T, read: Read[T]) -> bool:
    """Whether a thing is found."""
    match query.kind:
        case "and":
            return all(matches(part, thing, read) for part in query.parts)
        case "or":
            return any(matches(part, thing, read) for part in query.parts)
        case "not":
            return not matches(query.parts[0], thing, read)
    term = query.term
    assert term is not None
    if term.field and term.field not in read:
        return True
    if not term.field:
        return any(_fits(each(thing), term) for each in read.values())
    return _fits(read[term.field](thing), term)


def unknown_fields(query: Query, read: Mapping[str, object]) -> list[str]:
    """Fields that the search does not know."""
    return [term.field for term in query.terms() if term.field and term.field not in read]


def least(query: Query, field: str) -> datetime | None:
    """The earliest time of a field that the query can find, where it says one; None: it does not."""
    if query.kind != "and":
        return _least_of(query, field)
    found = [at for part in query.parts if (at := least(part, field)) is not None]
    return max(found, default=None)


def _least_of(query: Query, field: str) -> datetime | None:
    term = query.term
    if term is None or term.field != field or term.how not in (">", ">="):
        return None
    return _time(term.value)


def _fits(found: Found, term: Term) -> bool:
    if found is None or isinstance(found, str | int | bool | datetime):
        return _one_fits(found, term)
    return any(_one_fits(each, term) for each in found)


def _one_fits(found: Value, term: Term) -> bool:
    if term.value == "*" and not term.how:
        return found is not None
    if found is None:
        return False
    match found:
        case bool():
            fits = str(found).lower() == term.value.lower()
        case datetime():
            wanted = _time(term.value)
            fits = wanted is not None and _compared(found.timestamp(), wanted.timestamp(), term.how)
        case int():
            fits = term.value.lstrip("-").isdecimal() and _compared(found, int(term.value), term.how)
        case _ if term.value.endswith("*"):
            fits = found.lower().startswith(term.value[:-1].lower())
        case _:
            fits = found.lower() == term.value.lower()
    return fits


_HOW: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "": operator.eq,
}


def _compared(found: float, wanted: float, how: str) -> bool:
    return _HOW[how](found, wanted)


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
