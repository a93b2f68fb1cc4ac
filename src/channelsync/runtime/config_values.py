"""The kinds of values that settings have beyond TOML's own: durations, names, SKUs, time zones, shares."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.fernet import Fernet
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr, StringConstraints

from channelsync.sync.when import civil_from
from channelsync.web.addresses import Listen, checked_proxy

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_DATABASE = re.compile(r"sqlite:///.|postgres(ql)?://[^/]*/.")
_ADDRESS = re.compile(r"(https://[A-Za-z0-9.:\[\]-]+|http://(127\.0\.0\.1|localhost)(:\d{1,5})?)(/[A-Za-z0-9._~/-]*)?")
_DURATION = re.compile(r"(\d{1,7})([smhd])")


def parse_duration(value: Any) -> timedelta:
    """ "90s", "5m", "12h" or "7d". A bare number is refused, for nobody knows its unit. Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('should be a number with its unit in quotes: "90s", "5m", "12h" or "7d"')
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds == 0:
        raise ValueError("should be 1s or more")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The duration in the largest unit that is whole."""
    seconds = int(value.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def _checked_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("should be a name of the time zone database, such as Europe/London or UTC") from error
    return name


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("should be letters, digits, - and _, a letter or digit first, 63 at most")
    return name


def _checked_database(url: str) -> str:
    if not _DATABASE.match(url):
        raise ValueError("should be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")
    return url


def _checked_address(address: str) -> str:
    if address and not _ADDRESS.fullmatch(address):
        raise ValueError("should be https://HOST or https://HOST/PATH, as others reach it; http:// only for 127.0.0.1")
    return address.rstrip("/")


def _checked_listen(listen: str) -> str:
    return str(Listen.parse(listen)) if listen else ""


def _lines(value: Any) -> Any:
    """A text, as environment variables and secret files hold it, is one key a line."""
    return tuple(value.split()) if isinstance(value, str) else value


def _checked_key(key: SecretStr) -> SecretStr:
    try:
        Fernet(key.get_secret_value().encode())
    except ValueError:
        raise ValueError("should be a key as `channelsync secrets key` makes it") from None
    return key


def _checked_sku(sku: str) -> str:
    if sku != sku.strip() or not sku.isprintable():
        raise ValueError("has blanks at its ends or characters that cannot be seen; remove them")
    return sku


def sku_form(sku: str) -> str:
    """What is left of a SKU without case, blanks and Unicode form. Two SKUs of one form are taken for a slip."""
    return "".join(unicodedata.normalize("NFKC", sku).casefold().split())


def _checked_zone_or_none(name: str) -> str:
    return _checked_zone(name) if name else name


def _checked_civil(text: str) -> str:
    if text:
        civil_from(text, "UTC")
    return text


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
Name = Annotated[str, AfterValidator(_checked_name)]
ListenOn = Annotated[str, AfterValidator(_checked_listen)]
Proxy = Annotated[str, AfterValidator(checked_proxy)]
PublicUrl = Annotated[str, AfterValidator(_checked_address)]
VaultKey = Annotated[SecretStr, AfterValidator(_checked_key)]
VaultKeys = Annotated[tuple[VaultKey, ...], BeforeValidator(_lines)]
DatabaseUrl = Annotated[str, AfterValidator(_checked_database)]
Sku = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_checked_sku)]
TimeZone = Annotated[str, AfterValidator(_checked_zone)]
TimeZoneOrNone = Annotated[str, AfterValidator(_checked_zone_or_none)]
CivilTime = Annotated[str, AfterValidator(_checked_civil)]
Units = Annotated[int, Field(strict=True, ge=0, le=10**12)]
Whole = Annotated[int, Field(strict=True, ge=0, le=10**6)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
