"""Which connectors are installed. They are found by the entry point group `channelsync.connectors` only.

A connector is imported when a channel of the configuration names it, so that one which lacks a library harms
nobody who does not use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files

from channelsync.sdk.channel import Connector

GROUP = "channelsync.connectors"
OURS = "channelsync"
"""The distribution that the built-in connectors come with."""


class ConnectorProblem(Exception):
    """An installed connector cannot be used; the message says why and what to install or remove."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The installed connectors by name. `loaders` import them; `examples` read their example.toml, if they have one.

    ours: the names of those that come with channelsync itself.
    """

    loaders: Mapping[str, Callable[[], Connector]]
    examples: Mapping[str, Callable[[], str | None]]
    ours: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self.loaders))

    def connector(self, name: str) -> Connector:
        """The connector of this name. Raises KeyError for an unknown name, ConnectorProblem for a broken one."""
        return self.loaders[name]()

    def example(self, name: str) -> str | None:
        """The connector's example.toml: one [[channel]] with all its settings; None when it ships none."""
        return self.examples[name]()


@cache
def installed() -> Catalogue:
    """The connectors of this environment, looked up once a process. Raises ConnectorProblem when two have one name."""
    return catalogue_of(entry_points(group=GROUP))


def catalogue_of(found: Iterable[EntryPoint]) -> Catalogue:
    """A catalogue of these entry points. Raises ConnectorProblem when two have one name."""
    by_name: dict[str, EntryPoint] = {}
    for entry in found:
        other = by_name.setdefault(entry.name, entry)
        if other is not entry and (other.value, _distribution(other)) != (entry.value, _distribution(entry)):
            raise ConnectorProblem(
                f"two connectors are called {entry.name!r}: {other.value} from {_distribution(other)} and "
                f"{entry.value} from {_distribution(entry)}; uninstall one of them"
            )
    return Catalogue(
        loaders={name: partial(_load, entry) for name, entry in by_name.items()},
        examples={name: partial(_example, entry) for name, entry in by_name.items()},
        ours=frozenset(name for name, entry in by_name.items() if _distribution(entry) == OURS),
    )


def catalogue_with(*connectors: Connector) -> Catalogue:
    """A catalogue of connectors that are at hand already, for the lab and for tests."""
    return Catalogue(
        loaders={one.name: partial(_same, one) for one in connectors},
        examples={one.name: _no_example for one in connectors},
    )


def _load(entry: EntryPoint) -> Connector:
    try:
        loaded = entry.load()
    except ImportError as error:
        raise ConnectorProblem(
            f"the connector {entry.name!r} cannot be imported ({error}); install {_requirement(entry)}"
        ) from error
    except AttributeError as error:
        raise ConnectorProblem(
            f"the connector {entry.name!r} has no {entry.value}; update {_distribution(entry)}"
        ) from error
    except Exception as error:
        raise ConnectorProblem(
            f"the connector {entry.name!r} fails when it is imported ({type(error).__name__}: {error}); "
            f"update or remove {_distribution(entry)}"
        ) from error
    if not isinstance(loaded, Connector):
        raise ConnectorProblem(
            f"the connector {entry.name!r} is a {type(loaded).__name__}, not a channelsync.sdk Connector; "
            f"update or remove {_distribution(entry)}"
        )
    if loaded.name != entry.name:
        raise ConnectorProblem(
            f"the connector {entry.name!r} calls itself {loaded.name!r}; update or remove {_distribution(entry)}"
        )
    return loaded


def _example(entry: EntryPoint) -> str | None:
    try:
        found = files(entry.module).joinpath("example.toml")
        return found.read_text(encoding="utf-8") if found.is_file() else None
    except ImportError:
        return None


def _requirement(entry: EntryPoint) -> str:
    """What to hand to pip: the distribution with the extra that brings the connector's libraries."""
    return f"{_distribution(entry)}[{','.join(entry.extras) or entry.name}]"


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown package"


def _same(connector: Connector) -> Connector:
    return connector


def _no_example() -> None:
    return None
