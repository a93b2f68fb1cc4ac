"""Every line of the process comes out of one renderer, without secrets and without forged lines."""

from __future__ import annotations

import io
import json
import logging
import warnings
from typing import Any

import pytest
import structlog

from channelsync.runtime.logging import Format, bound, configure, lost_lines, set_level

SECRET = "shhh/very+secret"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(form: Format = "json", stream: io.StringIO | None = None) -> io.StringIO:
    out = stream or io.StringIO()
    configure("info", form, [SECRET, "abc"], out)
    return out


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_our_lines_and_those_of_libraries_have_one_form() -> None:
    out = written()
    structlog.get_logger("channelsync.sync").info("orders taken in", orders=3)
    logging.getLogger("uvicorn.error").warning("stopped after %s seconds", 5)
    logging.getLogger("a.library").error("odd", extra={"attempt": 2})

    ours, server, library = lines(out)
    assert [list(line)[:4] for line in (ours, server, library)] == [["time", "level", "logger", "message"]] * 3
    assert (ours["logger"], ours["level"], ours["message"], ours["orders"]) == (
        "channelsync.sync",
        "info",
        "orders taken in",
        3,
    )
    assert (server["logger"], server["message"]) == ("uvicorn.error", "stopped after 5 seconds")
    assert (library["level"], library["attempt"]) == ("error", 2)
    assert ours["time"].endswith("Z")


def test_a_logger_that_brought_its_own_handler_writes_once() -> None:
    logger = logging.getLogger("uvicorn.access")
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    logger.propagate = False
    out = written()
    logger.info("GET / 200")

    assert [line["message"] for line in lines(out)] == ["GET / 200"]


def test_configuring_again_replaces_what_was_there() -> None:
    first, second = written(), written()
    logging.getLogger("x").info("once")

    assert first.getvalue() == ""
    assert len(lines(second)) == 1


def test_lines_below_the_level_and_chatter_of_libraries_are_left_out() -> None:
    out = written()
    structlog.get_logger("channelsync").debug("too fine")
    logging.getLogger("httpx").info("HTTP Request: GET https://shop/?token=x")
    logging.getLogger("httpx").warning("kept")

    assert [line["message"] for line in lines(out)] == ["kept"]


def test_run_channel_sku_and_event_are_carried_by_every_line_inside_the_block() -> None:
    out = written()
    with bound(run="r1", channel="shop-uk"), bound(sku="MUG", event_id="e1"):
        logging.getLogger("x").info("inside")
    structlog.get_logger("y").info("outside")

    inside, outside = lines(out)
    assert {key: inside[key] for key in ("run", "channel", "sku", "event_id")} == {
        "run": "r1",
        "channel": "shop-uk",
        "sku": "MUG",
        "event_id": "e1",
    }
    assert "run" not in outside


def raise_with(text: str) -> None:
    raise RuntimeError(text)


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_known_secret_is_masked_wherever_it_stands(form: Format) -> None:
    out = written(form)
    log = structlog.get_logger("x")
    said = f"answer: {SECRET}!"
    log.info(said, url="https://h/?a=shhh%2Fvery%2Bsecret", nested={"list": [f"<{SECRET}>"], SECRET: 1})
    logging.getLogger("lib").warning("with %s", SECRET)
    try:
        raise_with(f"refused {SECRET}")
    except RuntimeError:
        log.exception("failed")

    text = out.getvalue()
    assert "shhh" not in text
    assert text.count("[redacted]") >= 6
    assert "RuntimeError" in text


def test_a_value_whose_key_says_that_it_is_secret_is_masked_though_nobody_knows_it() -> None:
    out = written()
    structlog.get_logger("x").info("m", token="unknown", headers={"Authorization": "Basic abcdef"}, tokens_left=5)

    [line] = lines(out)
    assert line["token"] == "[redacted]"
    assert line["headers"] == {"Authorization": "[redacted]"}
    assert line["tokens_left"] == 5


def test_a_secret_of_three_characters_does_not_eat_the_log() -> None:
    out = written()
    logging.getLogger("x").info("abcabc")

    assert lines(out)[0]["message"] == "abcabc"


FORGED = 'sold\n{"level":"info","message":"all is well"}\r\x1b[2J\u2028next\u202eder'


def test_a_channels_text_cannot_forge_a_json_line() -> None:
    out = written()
    logging.getLogger("x").info(FORGED, extra={"title": FORGED})

    assert len(out.getvalue().split("\n")) == 2
    assert out.getvalue().isascii()
    assert lines(out)[0]["title"] == FORGED


def test_a_channels_text_cannot_forge_a_line_on_a_terminal_nor_steer_it() -> None:
    out = written("console")
    structlog.get_logger("x").info(FORGED, **{"title": FORGED, "a\nkey": "v"})
    try:
        raise_with(FORGED)
    except RuntimeError:
        structlog.get_logger("x").exception("failed")

    first, *others = out.getvalue().splitlines()
    assert "all is well" in first
    for character in "\x1b\u2028\u202e\r":
        assert character not in out.getvalue()
    trace = [line for line in others if "failed" not in line]
    assert all(not line or line.startswith("  ") for line in trace)


def test_auto_is_json_in_a_pipe_and_for_people_on_a_terminal() -> None:
    pipe, terminal = written("auto"), written("auto", Terminal())
    logging.getLogger("x").info("hello")
    assert pipe.getvalue() == ""
    assert not terminal.getvalue().startswith("{")

    pipe = written("auto")
    logging.getLogger("x").info("hello")
    assert lines(pipe)[0]["message"] == "hello"


def test_warnings_of_the_interpreter_are_log_lines() -> None:
    out = written()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    assert "DeprecationWarning: old" in lines(out)[0]["message"]


class Disk(io.StringIO):
    """A stream that may be full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_lines_that_cannot_be_written_hurt_nobody_and_the_next_one_tells_how_many() -> None:
    disk, before = Disk(), lost_lines()
    written("json", disk)
    disk.full = True
    for number in range(3):
        structlog.get_logger("a").info("lost", number=number)
    disk.full = False
    structlog.get_logger("a").info("found")
    structlog.get_logger("a").info("and on")

    assert [line["message"] for line in lines(disk)] == [
        "log.lost: 3 lines could not be written before this one",
        "found",
        "and on",
    ]
    assert lost_lines() - before == 3


def test_a_closed_stream_hurts_nobody() -> None:
    out = written()
    out.close()
    logging.getLogger("x").warning("nobody hears it")


def test_a_process_without_standard_error_logs_nothing_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    before = lost_lines()
    monkeypatch.setattr("sys.stderr", None)
    configure("info", "auto", [])
    logging.getLogger("x").warning("nobody hears it")
    assert lost_lines() == before + 1


def test_a_request_is_told_in_keys_of_its_own_and_without_its_query() -> None:
    out = written()
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "10.0.0.1:5", "GET", "/webhooks/shop?challenge_code=abc", "1.1", 200
    )
    logging.getLogger("uvicorn.access").info("of another shape")

    told, other = lines(out)
    assert {key: told[key] for key in ("message", "client", "method", "path", "status")} == {
        "message": "http.request",
        "client": "10.0.0.1:5",
        "method": "GET",
        "path": "/webhooks/shop",
        "status": 200,
    }
    assert "challenge_code" not in out.getvalue()
    assert other["message"] == "of another shape"
    assert "positional_args" not in out.getvalue()


def test_the_level_alone_can_be_changed() -> None:
    out = written()
    set_level("error")
    logging.getLogger("x").warning("too fine now")
    set_level("debug")
    logging.getLogger("x").debug("fine enough")

    assert [line["message"] for line in lines(out)] == ["fine enough"]
