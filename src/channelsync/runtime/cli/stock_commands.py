"""`channelsync stock ...`: what is there, looked at, changed, imported and adopted."""

from __future__ import annotations

import typer

from channelsync.runtime.cli.stock_change_commands import register_changes
from channelsync.runtime.cli.stock_import_commands import register_imports
from channelsync.runtime.cli.stock_view_commands import register_views


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="See and change what is on hand, reserved and withheld.", no_args_is_help=True, rich_markup_mode=None
    )
    register_views(group)
    register_changes(group)
    register_imports(group)
    app.add_typer(group, name="stock")
