"""Logs: one renderer for our lines and every library's, without secrets and without forged lines.

Keys of every line: time (UTC), level, logger, message; where they are bound also run, channel, sku, event_id.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from channelsync.runtime.secrets import HiddenTexts
from channelsync.sdk.redaction import HIDDEN, redact_text

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

SHORTEST_SECRET = 4
"""Characters. A shorter secret is not looked for inside texts: it would mask half of every line."""

_TELLING_KEY = re.compile(
    r"(^|[_\-.])(password|passwd|secret|token|api_?key|authorization|cookie|signature|private_?key)$",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_FIRST = ("time", "level", "logger", "message")
_ACCESS_ARGUMENTS = 5
_TRACES = frozenset({"exception", "stack"})

_CHATTY = ("alembic", "httpx", "httpcore", "apscheduler", "asyncio", "sqlalchemy")
"""Loggers held to warnings: below that they tell of every call, with URLs that carry tokens."""


class Redactor:
    """Masks secrets in every value of a line.

    The known secrets are masked wherever they stand, inside longer texts too. A text whose key says that it
    is a secret is masked whole, known or not.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = secrets if isinstance(secrets, HiddenTexts) else HiddenTexts(secrets)
        self._learn()

    def _learn(self) -> None:
        """Secrets of the vault come up while the process runs."""
        self._changes = self._secrets.changes
        self._known = tuple(SecretStr(one) for one in sorted(self._secrets) if len(one) >= SHORTEST_SECRET)
        # Most texts of a line are those of the line before: logger, channel, SKU, message.
        self.text: Callable[[str], str] = lru_cache(maxsize=4096)(self._redacted)

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        if self._changes != self._secrets.changes:
            self._learn()
        return {key: self._masked(key, value) for key, value in line.items()}

    def _redacted(self, text: str) -> str:
        return redact_text(text, self._known)

    def _masked(self, key: Any, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value if self.text(str(value)) == str(value) else HIDDEN
        if isinstance(key, str) and _TELLING_KEY.search(key):
            return HIDDEN
        if isinstance(value, Mapping):
            return {self.text(str(inner)): self._masked(inner, held) for inner, held in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._masked(None, held) for held in value]
        return self.text(value if isinstance(value, str) else str(value))


def configure(level: Level, form: Format, secrets: Iterable[str], stream: TextIO | None = None) -> None:
    """Sends every log line of the process, ours and the libraries', to one stream in one form.

    form: "auto" is for people when the stream is a terminal, else JSON, one object a line.
    secrets: texts that no line may contain; what joins them later is hidden too where they are `HiddenTexts`.
    stream: None means standard error, for standard output belongs to what a command prints.
    Calling it again replaces what was set before.
    """
    # None: it was closed before we began.
    out: TextIO = stream or sys.stderr or _Nowhere()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
    ]
    _LOST.untold = 0  # another stream need not tell what was lost of the last one
    handler = _Sink(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            pass_foreign_args=True,
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared, _request_told],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(form, out, Redactor(secrets)),
            ],
        )
    )
    _replace_handlers(handler, level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def lost_lines() -> int:
    """How many lines could not be written since the process began: the stream was closed, or the disk full."""
    return _LOST.lines


def set_level(level: Level) -> None:
    """From now on lines below this are not written; all else about the logs stays."""
    logging.getLogger().setLevel(level.upper())


@dataclass(slots=True)
class _Lost:
    """Lines that could not be written: all, and those of which no line has told yet."""

    lines: int = 0
    untold: int = 0


_LOST = _Lost()


class _Nowhere(io.StringIO):
    """Takes no line: every one is lost."""

    def write(self, _text: str) -> int:
        """Refuses."""
        raise OSError("there is no standard error")


class _Sink(logging.StreamHandler[TextIO]):
    """Writes lines, and goes on when it cannot: nobody fails because of a log. The next line tells of lost ones."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line; where that works again, first how many were lost."""
        lost, before = _LOST.untold, _LOST.lines
        if lost:
            _LOST.untold = 0
            said = f"log.lost: {lost} lines could not be written before this one"
            super().emit(logging.LogRecord(__name__, logging.WARNING, __file__, 0, said, None, None))
            if _LOST.lines > before:  # still not; the line about lost ones is none of them
                _LOST.lines, _LOST.untold = before, lost
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in the standard library
        """Counts a line that could not be written. Whoever called the log hears nothing of it."""
        _LOST.lines += 1
        _LOST.untold += 1


def _request_told(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """uvicorn's line of a request in keys of its own. The query is left out: it may hold what proves who asks."""
    told = line.pop("positional_args", None)
    if line.get("logger") != "uvicorn.access" or not isinstance(told, tuple) or len(told) != _ACCESS_ARGUMENTS:
        return line
    client, method, path, _, status = told
    asked = {"client": client, "method": method, "path": _path(path), "status": status}
    return {**line, "message": "http.request", **asked}


def _path(path: object) -> str:
    return str(path).partition("?")[0]


def _rendering(form: Format, out: TextIO, redactor: Redactor) -> list[Processor]:
    """The last processors: a secret is masked after everything was added and before anything is written."""
    is_terminal = out.isatty()
    if form == "json" or (form == "auto" and not is_terminal):
        return [redactor, structlog.processors.JSONRenderer(serializer=_to_json)]
    console = structlog.dev.ConsoleRenderer(
        colors=is_terminal,
        event_key="message",
        timestamp_key="time",
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [_one_line_each, redactor, console]


def _to_json(line: EventDict, **_options: Any) -> str:
    """ASCII only: line ends, escape codes and Unicode's own line ends inside values arrive escaped."""
    first = {key: line[key] for key in _FIRST if key in line}
    return json.dumps({**first, **line}, default=str)


def _one_line_each(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Escapes control characters, so that a channel's text can neither start a line nor move the cursor.

    Traces keep their lines, each indented, so that none of them looks like a line of the log.
    """
    shown: dict[str, Any] = {}
    for key, value in line.items():
        if key in _TRACES:
            shown[key] = "\n".join(f"  {_escaped(row, _CONTROL_BUT_LINES)}" for row in str(value).split("\n"))
        elif value is None or isinstance(value, bool | int | float):
            shown[key] = value
        else:
            shown[_escaped(key, _CONTROL)] = _escaped(str(value), _CONTROL)
    return shown


def _escaped(text: str, characters: re.Pattern[str]) -> str:
    return characters.sub(lambda found: ascii(found[0])[1:-1], text)


def _replace_handlers(handler: logging.Handler, level: Level) -> None:
    """One handler at the root; loggers that brought their own (uvicorn) hand their lines up to it."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


@contextmanager
def bound(
    *, run: str | None = None, channel: str | None = None, sku: str | None = None, event_id: str | None = None
) -> Iterator[None]:
    """Every line written inside the block, by whatever module, carries what is given. None binds nothing."""
    given = {"run": run, "channel": channel, "sku": sku, "event_id": event_id}
    with structlog.contextvars.bound_contextvars(**{key: value for key, value in given.items() if value}):
        yield
