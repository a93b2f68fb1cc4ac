"""What arguments of commands mean: times, units by SKU."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode


def units_by_sku(given: Sequence[str]) -> dict[str, int]:
    """Units by SKU, from texts such as MUG=2. Raises CommandFailed."""
    units: dict[str, int] = {}
    for one in given:
        sku, sign, number = one.rpartition("=")
        if not sign or not sku or not number.isascii() or not number.isdigit():
            raise CommandFailed(
                f"{one!r} is not SKU=UNITS with a whole number from 0 on, such as MUG=2", ExitCode.USAGE
            )
        if sku in units:
            raise CommandFailed(f"{sku} is named twice; add the units up", ExitCode.USAGE)
        units[sku] = int(number)
    return units


def moment(text: str) -> datetime | None:
    """A time, from ISO 8601 with its time zone; None for an empty text. Raises CommandFailed."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandFailed(f"{text!r} is no time such as 2026-03-01T09:00:00Z", ExitCode.USAGE) from error
    if at.tzinfo is None:
        raise CommandFailed(f"{text!r} has no time zone; write it as 2026-03-01T09:00:00Z", ExitCode.USAGE)
    return at
