"""How a command ended, as a number that scripts can rely on. The table below is the documentation."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command; a meaning never changes once it is released."""

    DONE = 0
    FOUND_WRONG = 1
    USAGE = 2
    CONFIGURATION = 3
    REFUSED = 4
    UNREACHABLE = 5
    DATABASE = 6
    LOCKED = 7
    HELD = 8
    BUG = 70
    INTERRUPTED = 130


MEANING: dict[ExitCode, str] = {
    ExitCode.DONE: "done; nothing is wrong",
    ExitCode.FOUND_WRONG: "done, and something is wrong: a check, a comparison or a proof failed",
    ExitCode.USAGE: "the command line is wrong; nothing was done",
    ExitCode.CONFIGURATION: "the configuration is wrong or missing; nothing was done",
    ExitCode.REFUSED: "refused: short of units, bad rows, a guard, a file that is there or is not",
    ExitCode.UNREACHABLE: "a channel could not be reached, or wants the seller to act",
    ExitCode.DATABASE: "the database cannot be used, or needs `channelsync db upgrade`",
    ExitCode.LOCKED: "another process holds the publisher's lock",
    ExitCode.HELD: "done, and what it would change on a channel is held until somebody approves it",
    ExitCode.BUG: "an error of channelsync itself: run again with --debug and report it",
    ExitCode.INTERRUPTED: "interrupted from the keyboard",
}

EPILOG = "\b\nExit codes:\n" + "\n".join(f"{code.value:>5}  {text}" for code, text in MEANING.items())
"""Shown under the help of every command. The first character keeps the lines as they are."""


class CommandFailed(Exception):
    """A command cannot do what it was asked; the message says what happened and what to do."""

    def __init__(self, message: str, code: ExitCode = ExitCode.REFUSED) -> None:
        self.code = code
        super().__init__(message)
