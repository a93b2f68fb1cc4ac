"""Keeps secrets out of what we write: error messages, log lines, reprs.

Two nets, because each has holes: what is *called* like a secret (a query parameter) is hidden by
its name, and what *is* a known secret is hidden wherever it turns up, also quoted or as base64. Secrets travel
as `pydantic.SecretStr`, which hides itself.
"""

import base64
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit, urlunsplit

from pydantic import SecretStr

HIDDEN = "[redacted]"

_SEEN_MAX = 64

_SECRET_NAME = re.compile(
    r"auth|cookie|token|secret|passw|pwd|api[-_]?key|access[-_]?key|signature|^sig$|hmac|credential|session"
    r"|^code$|^key$",
    re.IGNORECASE,
)
_SCHEME_AND_CREDENTIAL = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE)


def redact_url(url: str, secrets: Iterable[SecretStr] = ()) -> str:
    """The URL, fit for a log: without user name and password, secret parameters hidden, no fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:  # whatever a server put into its Location header
        return HIDDEN
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = "&".join(
        f"{quote_plus(name)}={HIDDEN if _SECRET_NAME.search(name) else quote_plus(value)}" for name, value in pairs
    )
    host = parts.netloc.rpartition("@")[2]
    return redact_text(urlunsplit((parts.scheme, host, parts.path, query, "")), secrets)


def redact_text(text: str, secrets: Iterable[SecretStr] = ()) -> str:
    """The text without any of these secrets, plain, URL-quoted or as base64, and without bearer credentials."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret.get_secret_value())}
    # The longest first: where one secret contains another, no piece of the longer one stays.
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    return _SCHEME_AND_CREDENTIAL.sub(rf"\1 {HIDDEN}", text)


class KnownSecrets:
    """The secrets of one channel as they come up: the configured ones, and the newest of those seen in calls."""

    def __init__(self, configured: Iterable[SecretStr] = ()) -> None:
        self._configured = tuple(configured)
        self._seen: dict[SecretStr, None] = {}

    def add(self, value: object) -> None:
        """Remembers a `SecretStr`, and the token in "Bearer token" by itself; anything else is no secret."""
        if not isinstance(value, SecretStr):
            return
        words = value.get_secret_value().split()
        token = [SecretStr(words[1])] if len(words) == 2 else []
        for part in (value, *token):
            self._seen.pop(part, None)
            self._seen[part] = None
        while len(self._seen) > _SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def text(self, text: str) -> str:
        """The text, redacted."""
        return redact_text(text, (*self._configured, *self._seen))

    def url(self, url: str) -> str:
        """The URL, redacted."""
        return self.text(redact_url(url))


@lru_cache(maxsize=256)
def _spellings(value: str) -> frozenset[str]:
    if not value:
        return frozenset()
    plain = base64.b64encode(value.encode()).decode()
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    escaped = {json.dumps(value)[1:-1], repr(value)[1:-1]}
    return frozenset({value, plain, plain.rstrip("=")} | quoted | escaped)
