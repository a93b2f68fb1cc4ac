"""The command line: `channelsync`, its commands, what they print and how they end."""

from __future__ import annotations

from channelsync.runtime.garbage import keeping_all

with keeping_all():
    from channelsync.runtime.cli.app import main

__all__ = ["main"]
