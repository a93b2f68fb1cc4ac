"""Amazon's own models, as the judge of what comes in and what goes out."""

from __future__ import annotations

from pathlib import Path

from vendor_common.openapi import Contract, Tolerated

MODELS = (
    "orders_2026-01-01",
    "listingsItems_2021-08-01",
    "feeds_2021-06-30",
    "reports_2021-06-30",
    "fbaInventory",
    "sellers",
    "notifications",
)
"""The models that this server serves."""

TOLERATED = (
    Tolerated(
        "header content-type: it is missing",
        "Amazon takes JSON bodies without saying that they are: its own clients leave it out.",
    ),
)


def read_models(contracts: Path, *more: str) -> Contract:
    """The models below `contracts` (the folder that holds a folder for every vendor). more: others of their names."""
    folder = contracts / "amazon" / "models"
    return Contract.read(*(folder / f"{name}.json" for name in (*MODELS, *more)), tolerated=TOLERATED, closed=True)
