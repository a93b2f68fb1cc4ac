"""`channelsync init`, `config check`, `config example` and `db upgrade`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from channelsync.domain.rule_conflicts import conflicts
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.reload_command import reload
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_domain import rules_of
from channelsync.runtime.config_errors import ConfigInvalid
from channelsync.runtime.config_example import example_file, first_file
from channelsync.sdk.discovery import installed
from channelsync.sync.vault import new_key

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

KEY_FILE = "channelsync.key"
"""The vault's key, beside the configuration."""

_NEXT_STEPS = """\
Next:
  1. Describe your locations and channels in {path}.
  2. channelsync config check           names every mistake with its line
  3. channelsync channels connect NAME  asks for a channel's secrets, and checks the account
  4. channelsync listings pull          reads what the channels show
  5. channelsync listings match         says which SKU each listing is; with --apply it is so
  6. channelsync stock adopt            takes a channel's numbers for your stock, or import your own
  7. channelsync run --observe          predicts beside your present tool and writes nothing
  8. channelsync channels mode --all observe, then channelsync run
                                        to cut over: channels mode NAME live takes one live at a time"""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("init")(init)
    config = typer.Typer(help="Look at the configuration, and reload it.", no_args_is_help=True, rich_markup_mode=None)
    config.command("check")(check)
    config.command("example")(example)
    config.command("reload")(reload)
    app.add_typer(config, name="config")
    database = typer.Typer(help="Look after the database.", no_args_is_help=True, rich_markup_mode=None)
    database.command("upgrade")(upgrade)
    app.add_typer(database, name="db")


def init(
    context: typer.Context,
    path: Annotated[
        Path | None,
        typer.Option("--path", help="The file to write, or the folder for config.toml; else what --config says."),
    ] = None,
) -> None:
    """Write a commented config.toml and a key for the vault, and create the database. Never overwrites a file.

    The key, channelsync.key beside config.toml, seals the secrets that `channelsync channels connect` keeps. One that
    is there already is used.
    """
    started = invocation(context)
    target = path or started.config_path
    target = target / "config.toml" if target.is_dir() else target
    key = target.parent / KEY_FILE
    has_key = key.exists()
    _write_new(target, first_file(installed(), KEY_FILE))
    try:
        if not has_key:
            _write_new(key, f"{new_key()}\n")
        loaded = started.load(target)
        _, revision = awaited(_upgraded(loaded))
    except BaseException:
        target.unlink()  # so that the same command can be given again once the cause is gone
        if not has_key:
            key.unlink(missing_ok=True)
        raise
    output = Output()
    output.say(f"Wrote {target}.")
    if not has_key:
        output.say(f"Wrote {key}: it seals the secrets of your channels. Keep a copy of it away from the database.")
    output.say(f"Created the database {_shown(loaded)} at revision {revision}.")
    output.say(_NEXT_STEPS.format(path=target))


def _write_new(path: Path, text: str) -> None:
    """Only its owner may read it, for tokens may be put there. Raises CommandFailed when the file exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise CommandFailed(
            f"{path} is there already and was not touched. Edit it, or name another file with --path."
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the configuration; show every setting that holds, and where it came from."""
    started = invocation(context)
    output = Output(as_json=as_json)
    try:
        loaded = started.load()
    except ConfigInvalid as error:
        if not as_json:
            raise
        output.document(
            {"file": started.config_path, "valid": False, "problems": error.problems, "warnings": [], "settings": []}
        )
        raise typer.Exit(ExitCode.CONFIGURATION) from error
    warnings = [one.text for one in conflicts(rules_of(loaded.config, loaded.origins))]
    if as_json:
        output.document(
            {"file": loaded.path, "valid": True, "problems": [], "warnings": warnings, "settings": loaded.values}
        )
        return
    said = [one for one in loaded.values if one.value is not None]
    output.rows(said, ("key", "value", "origin"), title=f"Settings of {loaded.path}")
    for warning in warnings:
        output.say(f"warning: {warning}")
    output.say(f"{loaded.path} is valid. Connectors: {', '.join(installed().names) or 'none'}.")


def example() -> None:
    """Print config.example.toml: every setting with its meaning and default."""
    sys.stdout.write(example_file(installed()))


def upgrade(context: typer.Context, as_json: AsJson = False) -> None:
    """Bring the database's tables to this version. Does nothing when they are there."""
    loaded = invocation(context).load()
    before, after = awaited(_upgraded(loaded))
    output = Output(as_json=as_json)
    if as_json:
        output.document({"database": _shown(loaded), "before": before, "after": after})
    elif before == after:
        output.say(f"{_shown(loaded)} is at revision {after} already.")
    else:
        output.say(f"{_shown(loaded)} went from {before or 'nothing'} to revision {after}.")


async def _upgraded(loaded: Loaded) -> tuple[str | None, str | None]:
    """The revisions before and after."""
    from channelsync.store import migrations
    from channelsync.store.database import open_database

    async with open_database(loaded.config.database.url) as database:
        before = await migrations.current(database)
        await migrations.upgrade(database)
        return before, await migrations.current(database)


def _shown(loaded: Loaded) -> str:
    """The database's address without its password."""
    return str(next(one.value for one in loaded.values if one.key == "database.url"))
