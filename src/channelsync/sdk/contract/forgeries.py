"""What forgers try: made from one genuine delivery of any channel, without its secret."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from channelsync.sdk.contract.world import Delivery

ODD_VALUES = ("", "?", "v1,", "v1,=", "v1,!!!", "v1,\u00e9", "v0,AAAA", "9" * 40, "-1", "1e9", "nan", ", ,", "\x00")
"""What a header may hold that is no value of it."""

_LONG = 40
"""Characters: a header that is needed and so long holds a signature."""


def forgeries(genuine: Delivery, needed: Collection[str]) -> dict[str, tuple[Mapping[str, str], bytes]]:
    """Deliveries that are not genuine, by what was tried: headers and body.

    needed: the names of those headers without which the delivery is refused.
    """
    found: dict[str, tuple[Mapping[str, str], bytes]] = {
        f"body: {what}": (genuine.headers, body) for what, body in _bodies(genuine.body)
    }
    for name in needed:
        without = {one: value for one, value in genuine.headers.items() if one != name}
        found[f"{name}: not there"] = (without, genuine.body)
        for value in (*ODD_VALUES, *_like(genuine.headers[name])):
            found[f"{name}: {value[:60]!r}"] = ({**without, name: value}, genuine.body)
    found["no headers at all"] = ({}, genuine.body)
    found["nothing at all"] = ({}, b"")
    return found


def _like(value: str) -> Iterator[str]:
    """Values that look like a signature and are none; nothing for what is too short to be one."""
    if len(value) < _LONG:
        return
    middle = len(value) // 2
    yield value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    yield value[:middle]
    yield value.swapcase()
    yield value[::-1]
    yield "A" * len(value)
    yield value[:middle] + "\u00e9" + value[middle + 1 :]


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Bodies that were changed on their way, or made up."""
    for where, place in (("first", 0), ("middle", len(body) // 2), ("last", len(body) - 1)):
        yield f"{where} byte changed", body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
    yield "empty", b""
    yield "a blank more", body + b" "
    yield "a line end more", body + b"\n"
    yield "a zero byte more", body + b"\x00"
    yield "a blank before", b" " + body
    yield "a byte order mark before", b"\xef\xbb\xbf" + body
    yield "cut off", body[:-1]
    yield "half", body[: len(body) // 2]
    yield "twice", body + body
    yield "backwards", body[::-1]
    yield "in UTF-16", body.decode("utf-8", "replace").encode("utf-16")
    yield "an empty object", b"{}"
    yield "null", b"null"
    yield "a number beyond all bounds", b'{"id": 1' + b"0" * 400 + b"}"
    yield "NaN", b'{"id": NaN}'
    yield "nested deeply", b"[" * 100_000
    yield "a name twice", b'{"id": 1, "id": 2}'
    yield "no UTF-8", b'{"id": "\xff\xfe"}'
    yield "half a pair", b'{"id": "\\ud800"}'
    yield "large", b"\x00" * 900_000
