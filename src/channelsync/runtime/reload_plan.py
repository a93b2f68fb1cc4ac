"""What a reload of the configuration would do: which settings take effect, and which must wait for a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from channelsync.runtime.config import Loaded
from channelsync.runtime.config_models import ChannelConfig, Config

NEEDS_RESTART = ("database", "web", "secrets", "log.format", "limits.lease")
"""Settings and groups that a running daemon holds on to: connections, ports, keys and leases are built on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What a reload does.

    loaded: the configuration as it holds from then on. changed: the settings that take effect, by full name, but those
    of channels that come or go. waiting: settings that differ in the file and need a restart. added, removed, reopened:
    channels.
    """

    loaded: Loaded
    changed: tuple[str, ...]
    waiting: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    reopened: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether nothing takes effect."""
        return not (self.changed or self.added or self.removed or self.reopened)


def reload_of(old: Loaded, new: Loaded) -> Reload:
    """Compares the configuration in use with the one that was just read."""
    effective = _effective(old, new)
    differing = tuple(_differing(old, new))
    waiting = tuple(one for one in differing if _needs_restart(one))
    before = {one.name: one for one in old.config.channels}
    after = {one.name: one for one in new.config.channels}
    added = tuple(name for name in after if name not in before)
    removed = tuple(name for name in before if name not in after)
    both = [name for name in after if name in before]
    theirs = tuple(f"channel.{name}." for name in (*added, *removed))
    return Reload(
        loaded=effective,
        changed=tuple(one for one in differing if one not in waiting and not one.startswith(theirs)),
        waiting=waiting,
        added=added,
        removed=removed,
        reopened=tuple(name for name in both if _opens_otherwise(old, new, before[name], after[name])),
    )


def _effective(old: Loaded, new: Loaded) -> Loaded:
    """The new configuration, with the old values of what needs a restart. Old secrets stay hidden in the log."""
    held, wanted = old.config, new.config
    config = wanted.model_copy(
        update={
            "database": held.database,
            "web": held.web,
            "secrets": held.secrets,
            "log": wanted.log.model_copy(update={"format": held.log.format}),
            "limits": wanted.limits.model_copy(update={"lease": held.limits.lease}),
        }
    )
    old.secrets.join(new.secrets)
    shown = {one.key: one for one in old.values}
    values = tuple(shown.get(one.key, one) if _needs_restart(one.key) else one for one in new.values)
    return replace(new, config=config, secrets=old.secrets, values=values)


def _differing(old: Loaded, new: Loaded) -> Iterator[str]:
    """The full names of all settings that differ; of secrets, whose values are not shown, the group."""
    before, after = ({one.key: one.value for one in loaded.values} for loaded in (old, new))
    found = [key for key in dict.fromkeys((*after, *before)) if before.get(key) != after.get(key)]
    yield from found
    for owner in dict.fromkeys((*new.wanted, *old.wanted)):
        if old.wanted.get(owner) != new.wanted.get(owner):
            yield owner.replace(" ", ".")
    for name, info in Config.model_fields.items():
        group = info.alias or name
        same = getattr(old.config, name) == getattr(new.config, name)
        if not same and not any(key == group or key.startswith(f"{group}.") for key in found):
            yield group


def _needs_restart(key: str) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in NEEDS_RESTART)


def _opens_otherwise(old: Loaded, new: Loaded, before: ChannelConfig, after: ChannelConfig) -> bool:
    """Whether a channel must be closed and opened again: its connection is made of other things now."""
    return (
        before.connector != after.connector
        or before.settings != after.settings
        or old.stored.get(before.name) != new.stored.get(after.name)
    )
