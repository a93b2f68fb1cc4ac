"""Puts the commands together, and turns whatever they raise into one sentence and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from typer.core import TyperGroup

from channelsync.domain.errors import DomainError
from channelsync.runtime import config
from channelsync.runtime.cli.context import Invocation, invocation
from channelsync.runtime.cli.exit_codes import EPILOG, CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config_errors import BadWebhookSecret, ConfigInvalid
from channelsync.runtime.garbage import keeping_all
from channelsync.sdk.discovery import ConnectorProblem
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.redaction import redact_text
from channelsync.store.database_errors import DatabaseError, PublisherRunning
from channelsync.web.addresses import CannotListen

COMMAND_MODULES = (
    "config_commands",
    "run_commands",
    "status_command",
    "health_command",
    "doctor_command",
    "channels_commands",
    "secrets_commands",
    "tokens_commands",
    "backup_commands",
    "reconcile_commands",
    "rules_commands",
    "explain_commands",
    "listings_commands",
    "stock_commands",
    "items_commands",
    "ledger_commands",
    "runs_commands",
    "orders_commands",
    "schedule_commands",
    "findings_commands",
    "approvals_commands",
    "inbox_commands",
    "feeds_commands",
    "lab_commands",
    "sandbox_command",
    "strategies_command",
    "simulate_command",
)
"""Modules of this package, in the order of the help. Each has `register(app)`, which adds its commands."""

ENDINGS: Sequence[tuple[type[BaseException], ExitCode]] = (
    (ConfigInvalid, ExitCode.CONFIGURATION),
    (ConnectorProblem, ExitCode.CONFIGURATION),
    (CannotListen, ExitCode.CONFIGURATION),
    (BadWebhookSecret, ExitCode.CONFIGURATION),
    (PublisherRunning, ExitCode.LOCKED),
    (DatabaseError, ExitCode.DATABASE),
    (ChannelError, ExitCode.UNREACHABLE),
    (DomainError, ExitCode.REFUSED),
    (OSError, ExitCode.REFUSED),
)
"""How a command ends that raised one of these; the first that fits counts. Anything else is a bug."""


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Runs one command and returns its exit code. None: the arguments and environment of the process."""
    started = Invocation(environ if environ is not None else config.environment())
    try:
        all_commands().main(args=None if arguments is None else list(arguments), prog_name="channelsync", obj=started)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ExitCode.DONE)
    except Exception as error:  # noqa: BLE001 - the last place: a person reads what it prints, not a traceback
        return int(_told(error, started))
    return int(ExitCode.DONE)


@cache
def all_commands() -> TyperGroup:
    """`channelsync` with its commands, as they are run; made once a process."""
    with keeping_all():
        return typer.main.get_group(build_app())


def build_app() -> typer.Typer:
    """All commands, each with the exit codes under its help."""
    app = typer.Typer(
        name="channelsync",
        help="Keeps one truth of a seller's stock and makes every sales channel show the right quantity.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_global_options)
    for name in COMMAND_MODULES:
        import_module(f"channelsync.runtime.cli.{name}").register(app)
    _document_exit_codes(app)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"channelsync {version('channelsync')}\n")
        raise typer.Exit


def _global_options(
    context: typer.Context,
    config_path: Annotated[
        Path | None,
        typer.Option("--config", help=f"The configuration file; else ${config.PATH_VARIABLE}, else ./config.toml."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting for this command only: --set log.level=debug."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything, and show tracebacks of errors.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    started = invocation(context)
    started.debug = debug
    started.config_path = config_path or config.path_from(started.environ)
    for one in assignments or ():
        key, sign, value = one.partition("=")
        if not sign or not key:
            raise typer.BadParameter(f"{one!r} is not KEY=VALUE, such as log.level=debug", param_hint="--set")
        started.overrides[key.strip()] = value.strip()


def _document_exit_codes(app: typer.Typer) -> None:
    for command in app.registered_commands:
        command.epilog = EPILOG
    for group in app.registered_groups:
        group.epilog = EPILOG
        if group.typer_instance is not None:
            _document_exit_codes(group.typer_instance)


def _told(error: Exception, started: Invocation) -> ExitCode:
    """Prints what went wrong, without secrets, and says how the command ends."""
    output = Output()
    secrets = tuple(SecretStr(one) for one in started.secrets)
    if started.debug:
        sys.stderr.write(redact_text("".join(traceback.format_exception(error)), secrets))
    for cause in _causes(error):
        code = _ending(cause)
        if code is not None:
            problems = cause.problems if isinstance(cause, ConfigInvalid) else (cause,)
            for problem in problems:
                output.fail(redact_text(str(problem), secrets))
            return code
    first = next(_causes(error))
    said = redact_text(f"{type(first).__name__}: {first}", secrets)
    output.fail(f"channelsync met a case it does not know ({said}). Run the command again with --debug and report it.")
    return ExitCode.BUG


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error itself, or those that a group of tasks raised together."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    else:
        yield error


def _ending(error: BaseException) -> ExitCode | None:
    if isinstance(error, CommandFailed):
        return error.code
    return next((code for kind, code in ENDINGS if isinstance(error, kind)), None)
