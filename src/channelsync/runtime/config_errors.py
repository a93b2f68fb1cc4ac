"""What is wrong in a configuration: every fault at once, each with its place and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault of a configuration.

    what: what is wrong, naming key and table.
    where: the place as the seller finds it: "config.toml line 14", "environment variable X".
    todo: what to do about it.
    where is empty when `what` says it already.
    key: the setting with its tables, "channel.shop-uk.mode"; empty when the whole file is meant.
    line: the line in the file, from 1; None when the fault stands elsewhere, or nowhere in particular.
    """

    what: str
    where: str
    todo: str
    key: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.what}{', ' if self.where else ''}{self.where}: {self.todo}"


class ConfigInvalid(Exception):
    """The configuration has faults; `problems` holds all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(sorted(problems, key=lambda one: one.line or 0))
        super().__init__("\n".join(map(str, self.problems)))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` most likely meant; None when no name is near."""
    by_folded = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the nearest known one, else all of them."""
    names = sorted(set(known))
    near = nearest(word, names)
    if near is not None:
        return f"did you mean {near!r}?"
    if not names:
        return "there is none to choose from"
    return f"known are {', '.join(names)}"


class BadWebhookSecret(Exception):
    """A channel's webhooks could be signed by anybody; nothing is started before that is put right."""
