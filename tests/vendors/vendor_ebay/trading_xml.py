"""The XML of the Trading API: requests as trees without namespaces, answers from nested mappings."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "urn:ebay:apis:eBLBaseComponents"
VERSION = "1193"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount with its currency as an attribute."""

    value: str
    currency: str


@dataclass(frozen=True, slots=True)
class TradingFlaw:
    """One of `Errors`. parameters: by ParamID."""

    code: int
    short: str
    long: str
    parameters: tuple[tuple[str, str], ...] = ()
    classification: str = "RequestError"

    def content(self) -> dict[str, Any]:
        """As XML says it."""
        told: dict[str, Any] = {
            "ShortMessage": self.short,
            "LongMessage": self.long,
            "ErrorCode": self.code,
            "SeverityCode": "Error",
        }
        if self.parameters:
            told["ErrorParameters"] = [Parameter(name, value) for name, value in self.parameters]
        return told | {"ErrorClassification": self.classification}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an error is about."""

    name: str
    value: str


class TradingError(Exception):
    """A call that fails as a whole."""

    def __init__(self, *flaws: TradingFlaw) -> None:
        super().__init__(str([flaw.code for flaw in flaws]))
        self.flaws = flaws


def bad_input(tag: str, more: str = "") -> TradingError:
    """37: eBay's answer to most of what is wrong or missing in a request."""
    long = f"Input data for tag <{tag}> is invalid or missing. Please check API documentation. {more}".strip()
    return TradingError(TradingFlaw(37, "Input data is invalid.", long, (("0", tag),)))


def read_request(body: bytes, call: str) -> ET.Element:
    """The root of a request, names without their namespace. Raises TradingError for what is not this call's XML."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - from the tests themselves
    except ET.ParseError as error:
        raise TradingError(TradingFlaw(5, "XML Parse error.", f"XML Error Text: {error}.")) from None
    if root.tag != f"{{{NAMESPACE}}}{call}Request":
        raise TradingError(TradingFlaw(5, "XML Parse error.", f"XML Error Text: {root.tag} is not {call}Request."))
    for node in root.iter():
        node.tag = node.tag.partition("}")[2] or node.tag
    return root


def text_of(node: ET.Element, path: str) -> str | None:
    """The text under a path; None where there is nothing."""
    found = node.findtext(path)
    return found.strip() if found is not None else None


def flag_of(node: ET.Element, path: str, *, default: bool = False) -> bool:
    """A truth value under a path."""
    text = text_of(node, path)
    return default if text is None else text.lower() in ("true", "1")


def number_of(node: ET.Element, path: str, default: int) -> int:
    """A number under a path. Raises TradingError for what is none."""
    text = text_of(node, path)
    if text is None or not text:
        return default
    if not text.lstrip("-").isdecimal():
        raise bad_input(path.rpartition("/")[2])
    return int(text)


def written(call: str, time: str, ack: str, flaws: Sequence[TradingFlaw], content: Mapping[str, Any]) -> bytes:
    """An answer's body."""
    told: dict[str, Any] = {"Timestamp": time, "Ack": ack}
    if flaws:
        told["Errors"] = [flaw.content() for flaw in flaws]
    told |= {"Version": VERSION, "Build": f"E{VERSION}_CORE_API_19110890_R1", **content}
    inner = "".join(_element(name, value) for name, value in told.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{call}Response xmlns="{NAMESPACE}">{inner}</{call}Response>'.encode()
    )


def _element(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "".join(_element(name, each) for each in value)
    match value:
        case Mapping():
            attribute, inner = "", "".join(_element(each, under) for each, under in value.items())
        case Money():
            attribute, inner = f" currencyID={quoteattr(value.currency)}", escape(value.value)
        case Parameter():
            attribute, inner = f" ParamID={quoteattr(value.name)}", f"<Value>{escape(value.value)}</Value>"
        case bool():
            attribute, inner = "", "true" if value else "false"
        case _:
            attribute, inner = "", escape(str(value))
    return f"<{name}{attribute}>{inner}</{name}>"
