"""Ids of runs: readable, in the order of their beginning, and never the same twice."""

from __future__ import annotations

import secrets
from datetime import datetime


def new_run_id(now: datetime) -> str:
    """The id of a run: its time, readable, and enough chance that two never meet."""
    return f"r-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
