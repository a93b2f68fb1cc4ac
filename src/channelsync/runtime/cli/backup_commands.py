"""`channelsync backup create|verify|restore`: a copy of the database, its proof, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from channelsync.runtime.backups import backup_folder
from channelsync.runtime.cli.arguments import existing_file
from channelsync.runtime.cli.context import Invocation, awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import user_of
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import database_file, publisher_lock, worker_name
from channelsync.sdk.clock import SystemClock
from channelsync.store.archive import BackupDamaged, BackupRefused, Manifest, open_archive
from channelsync.store.database import open_database
from channelsync.store.sqlite_check import damage, put_back, set_aside
from channelsync.sync.backup import (
    Created,
    Proven,
    Restored,
    Restoring,
    create_backup,
    file_name,
    restore_backup,
    verify_backup,
)
from channelsync.sync.run_ids import new_run_id

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A backup, as `backup create` made it.")]

_NEXT = """\
Next:
  1. channelsync verify            proves the ledger of the restored database
  2. channelsync run               reads the orders since the backup before it writes any quantity
  3. channelsync channels connect  where a channel no longer takes the tokens that the backup holds"""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="Back the database up, prove a backup, restore one.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("create")(create)
    group.command("verify")(verify)
    group.command("restore")(restore)
    app.add_typer(group, name="backup")


def create(
    context: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|FOLDER", help="Where to write it; default: the folder of [backup], else this folder."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Back the database up while everything runs: one file, as of one moment, for SQLite and PostgreSQL alike.

    The file can be restored into either of them. It holds orders and the ledger in plain text, and the secrets of
    channels sealed: it is worth nothing without the keys of [secrets], which it does not hold. Only you may read it.
    """
    loaded = invocation(context).load()
    with _plain_refusals():
        created = awaited(_created(loaded, target))
    output = Output(as_json=as_json)
    if as_json:
        output.document({"path": created.path, "bytes": created.bytes, **_summary(created.manifest, created.digest)})
    else:
        output.document(_summary(created.manifest, created.digest), title=str(created.path))
        output.say("Keep it on another machine, and the keys of [secrets] somewhere else again.")


async def _created(loaded: Loaded, target: Path | None) -> Created:
    now = SystemClock().now()
    path = target or backup_folder(loaded) or Path()
    if target is None or path.is_dir():
        path = path / file_name(now)
    async with open_database(loaded.config.database.url) as database:
        return await create_backup(database, path, version=version("channelsync"), now=now)


def verify(file: File, as_json: AsJson = False) -> None:
    """Prove a backup: every byte is as it was written, it can be restored, and its ledger adds up.

    It is restored into a file that is thrown away (in the folder that TMPDIR names), so it needs neither the
    configuration nor the database. Ends with 1 when anything is wrong.
    """
    existing_file(file)
    output = Output(as_json=as_json)
    try:
        proven = awaited(verify_backup(file))
    except BackupDamaged as error:
        output.fail(str(error))
        raise typer.Exit(ExitCode.FOUND_WRONG) from error
    _tell_proof(output, file, proven)
    if not proven.proof.clean:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _tell_proof(output: Output, file: Path, proven: Proven) -> None:
    summary = _summary(proven.manifest, proven.digest)
    if output.as_json:
        output.document({"path": file, "clean": proven.proof.clean, **summary, "problems": proven.proof.problems})
        return
    output.document(summary, title=str(file))
    for one in proven.proof.problems:
        output.fail(f"{one.about} {one.subject}: {one.what}")
    sound = "It is whole, and its ledger adds up."
    output.say(sound if proven.proof.clean else "It is whole, but what was backed up does not add up.")


def restore(
    context: typer.Context,
    file: File,
    replace: Annotated[
        bool, typer.Option("--replace", help="Though the database is not empty; what is there is kept in a backup.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the database: all of it, or nothing is changed.

    Stop the daemon and every other process first; it is refused while one works on the database. An older backup is
    brought to this version. Tokens of channels that are newer in the database than in the backup stay, and revoked
    tokens of the API stay revoked. A damaged SQLite file is put aside under another name. Afterwards no quantity is
    written before the orders since the backup were read.
    """
    existing_file(file)
    started = invocation(context)
    loaded = started.load()
    with _plain_refusals(), publisher_lock(loaded.config):
        restored, aside = _restored(started, loaded, file, replace=replace)
    output = Output(as_json=as_json)
    safety = restored.safety or aside
    if as_json:
        summary = _summary(restored.manifest, "")
        summary.pop("digest")
        output.document({"path": file, **summary, "kept": safety, "secrets_kept": restored.secrets_kept})
        return
    output.say(f"Restored {file} of {restored.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC, {restored.manifest.rows} rows.")
    if safety is not None:
        output.say(f"What was there is in {safety}.")
    if restored.secrets_kept:
        output.say(f"{restored.secrets_kept} secrets of channels are newer than the backup and were kept.")
    output.say(_NEXT)


def _restored(started: Invocation, loaded: Loaded, file: Path, *, replace: bool) -> tuple[Restored, Path | None]:
    """What was restored, and where a damaged file is now; None: it was not damaged."""
    path = database_file(loaded.config)
    wrong = damage(path) if path is not None else ""
    if path is None or not wrong:
        return awaited(_into_database(started, loaded, file, replace=replace)), None
    if not replace:
        raise BackupRefused(f"{path} is damaged ({wrong}); --replace puts it aside and restores the backup.")
    with open_archive(file) as archive:
        archive.check()
    aside = set_aside(path, SystemClock().now())
    try:
        return awaited(_into_database(started, loaded, file, replace=replace)), aside
    except BaseException:
        put_back(path, aside)
        raise


async def _into_database(started: Invocation, loaded: Loaded, file: Path, *, replace: bool) -> Restored:
    now = SystemClock().now()
    run = new_run_id(now)
    how = Restoring(
        replace=replace,
        safety=(backup_folder(loaded) or file.parent) / f"before-restore-{now:%Y%m%d-%H%M%S}.zip",
        version=version("channelsync"),
        run=run,
        actor=user_of(started),
    )
    async with open_database(loaded.config.database.url, worker=worker_name(run)) as database:
        return await restore_backup(database, file, how, now=now)


def _summary(manifest: Manifest, digest: str) -> dict[str, object]:
    return {
        "made_at": manifest.made_at,
        "version": manifest.version,
        "revision": manifest.revision,
        "database": manifest.database,
        "rows": manifest.rows,
        "ledger_entries": manifest.ledger.entries,
        "ledger_digest": manifest.ledger.digest,
        "digest": digest,
    }


@contextmanager
def _plain_refusals() -> Iterator[None]:
    try:
        yield
    except (BackupRefused, BackupDamaged) as error:
        raise CommandFailed(str(error)) from error
