"""`channelsync doctor`: what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import SecretStr

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config_errors import ConfigInvalid
from channelsync.runtime.doctor import diagnose
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import installed
from channelsync.sdk.redaction import redact_text
from channelsync.sync.doctor import Diagnosis, wrong

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_COLUMNS = ("what", "level", "found", "advice")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor")(examine)


def examine(
    context: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Read a SQLite file whole, and check every index and reference.")
    ] = False,
    only_wrong: Annotated[bool, typer.Option("--only-wrong", help="Leave out what is fine.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at everything that can be wrong, and say what to do: configuration, files, disk, database, clocks, channels.

    It asks no channel and writes nothing, and works whether a daemon runs or not; `channelsync channels check` asks the
    channels themselves. notice: to be known. wrong: something does not work. Ends with 1 when anything is wrong.
    """
    started = invocation(context)
    try:
        loaded = started.load()
    except ConfigInvalid as error:
        points: Sequence[Diagnosis] = [wrong("configuration", str(one), "Correct the file.") for one in error.problems]
    else:
        points = awaited(diagnose(loaded, installed(), SystemClock(), full=full))
    secrets = tuple(SecretStr(one) for one in started.secrets)
    rows = [
        Diagnosis(
            what=one.what,
            level=one.level,
            found=redact_text(one.found, secrets),
            advice=redact_text(one.advice, secrets),
        )
        for one in points
        if one.level != "fine" or not only_wrong
    ]
    output = Output(as_json=as_json)
    output.rows(rows, _COLUMNS, title="Doctor")
    bad = sum(one.level == "wrong" for one in rows)
    if bad:
        output.say(f"Wrong: {bad}.")
        raise typer.Exit(ExitCode.FOUND_WRONG)
