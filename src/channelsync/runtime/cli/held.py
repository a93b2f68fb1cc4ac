"""What commands say whose changes are held on a channel, and how they end then."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.sync.guard import HeldPlan


def end_held(output: Output, held: Sequence[HeldPlan], *, dry_run: bool = False) -> None:
    """Says what is held; then the command has ended, with its own exit code. Nothing held: it goes on."""
    if not held:
        return
    for one in held:
        if dry_run:
            output.say(f"{one.channel}: would be held for approval ({'; '.join(one.reasons)}).")
        else:
            output.say(f"held: {one}")
    if not dry_run:
        output.say("Everything else is done: the ledger and the other channels go on.")
    raise typer.Exit(ExitCode.HELD)
