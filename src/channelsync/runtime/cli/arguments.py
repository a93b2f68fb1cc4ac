"""What arguments of commands mean: files, times, units by SKU."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

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


def file_bytes(path: Path) -> bytes:
    """What is in a file, or for `-` what is put in. Raises CommandFailed."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    existing_file(path)
    return path.read_bytes()


def existing_file(path: Path) -> None:
    """Raises CommandFailed where there is no such file."""
    if path.is_dir():
        raise CommandFailed(f"{path} is a folder. Name a file in it.")
    if not path.exists():
        raise CommandFailed(f"There is no file {path}. Correct its name, or go to its folder: this is {Path.cwd()}.")


def moment(text: str, time_zone: str = "") -> datetime | None:
    """A time in UTC, from ISO 8601; None for an empty text. Raises CommandFailed.

    time_zone: of a time that names none; empty: it must name one.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None and not time_zone:
            raise CommandFailed(f"{text!r} has no time zone; write it as 2026-03-01T09:00:00Z", ExitCode.USAGE)
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(time_zone))).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CommandFailed(f"{text!r} is no time such as 2026-03-01T09:00:00Z", ExitCode.USAGE) from error
