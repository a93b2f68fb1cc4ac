"""Text from outside, as both databases take it."""

from __future__ import annotations

_LONGEST = 500


def storable(text: str, longest: int = _LONGEST) -> str:
    """The text without what a database refuses: NUL and halves of characters are written out, the rest is cut off."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()[:longest]


def told_briefly(error: BaseException) -> str:
    """What an error is and its first line, as it can be stored; what follows may show a whole statement."""
    lines = str(error).splitlines()
    return storable(f"{type(error).__name__}: {lines[0] if lines else 'no more is known'}")
