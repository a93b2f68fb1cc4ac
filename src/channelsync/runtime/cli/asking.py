"""Asking at the terminal for what must not stand on a command line: secrets, and addresses that carry one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from pydantic import SecretStr

from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.secrets import LARGEST_SECRET, SecretMissing, read_secret_file


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def asked_secret(what: str, *, may_keep: bool) -> SecretStr | None:
    """A secret, typed without echo. may_keep: Enter alone keeps what is there, which is None."""
    said = _typed(f"{what} (Enter keeps the present one)") if may_keep else _typed_anew(what)
    return SecretStr(said) if said else None


def asked_or_read(what: str) -> SecretStr:
    """A secret, typed without echo; where nobody sits at a terminal, standard input. Raises CommandFailed."""
    return SecretStr(_typed_anew(what)) if can_ask() else _from_input(what)


def asked_text(what: str) -> str:
    """A line, typed with echo."""
    return str(typer.prompt(what, err=True)).strip()


def secrets_given(options: Sequence[str], names: Sequence[str]) -> dict[str, SecretStr]:
    """Secrets from `--secret NAME=@FILE` and `--secret NAME=-`, which reads standard input. Raises CommandFailed.

    A value itself is never taken: the command line of a process can be read by others, and shells keep it.
    """
    given: dict[str, SecretStr] = {}
    for one in options:
        name, sign, source = one.partition("=")
        if not sign or not (source == "-" or (source.startswith("@") and len(source) > 1)):
            raise CommandFailed(
                f"--secret {name}: write NAME=@FILE, or NAME=- for standard input; a secret is never given itself, "
                "for others can read command lines",
                ExitCode.USAGE,
            )
        if name not in names:
            known = ", ".join(names) or "none"
            raise CommandFailed(f"--secret {name}: the channel keeps no such secret; it keeps: {known}", ExitCode.USAGE)
        if name in given:
            raise CommandFailed(f"--secret {name} is given twice; leave one out", ExitCode.USAGE)
        given[name] = _read(name, source)
    _check_one_input(options)
    return given


def _check_one_input(options: Sequence[str]) -> None:
    if sum(one.endswith("=-") for one in options) > 1:
        raise CommandFailed("Only one --secret can be read from standard input; use files.", ExitCode.USAGE)


def _read(name: str, source: str) -> SecretStr:
    if source == "-":
        return _from_input(f"--secret {name}=-")
    try:
        return SecretStr(read_secret_file(Path(source[1:])))
    except SecretMissing as error:
        raise CommandFailed(f"--secret {name}: {error}", ExitCode.USAGE) from error


def _typed(what: str) -> str:
    return str(typer.prompt(what, hide_input=True, default="", show_default=False, err=True)).strip()


def _typed_anew(what: str) -> str:
    """Asks until something is typed."""
    while not (said := _typed(what)):
        pass
    return said


def _from_input(what: str) -> SecretStr:
    text = sys.stdin.read(LARGEST_SECRET + 1).rstrip("\r\n")
    if not text or len(text) > LARGEST_SECRET:
        raise CommandFailed(f"{what}: standard input is empty or too long", ExitCode.USAGE)
    return SecretStr(text)


def asked_for(names: Mapping[str, bool]) -> dict[str, SecretStr]:
    """Asks for secrets, by name; the value says whether one is there already. Raises CommandFailed without a terminal.

    Without one, what is there already is kept.
    """
    if not can_ask():
        lacking = [name for name, there in names.items() if not there]
        if lacking:
            raise CommandFailed(
                f"There is no terminal to ask at for {', '.join(lacking)}: hand each over with --secret NAME=@FILE, "
                "or one with --secret NAME=-.",
                ExitCode.USAGE,
            )
        return {}
    said = {name: asked_secret(name, may_keep=there) for name, there in names.items()}
    return {name: secret for name, secret in said.items() if secret is not None}
