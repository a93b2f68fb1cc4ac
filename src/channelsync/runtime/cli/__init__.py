"""The command line: `channelsync`, its commands, what they print and how they end."""

from __future__ import annotations

from channelsync.runtime.cli.app import main

__all__ = ["main"]
