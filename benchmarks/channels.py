"""`python -m benchmarks.channels [--scale S] [--only day|contract]`: the channels' figures.

That is the demo's day on Shopify, WooCommerce, Amazon and eBay at once, and how many tests of the contract each
connector passes.

Their connectors against the vendors' test servers of the tests, which hold every request to the vendor's own schema.
The environment variable CHANNELSYNC_CONTRACTS names the folder of those schemas. Writes build/figures/channels.json,
and ends with 1 when a figure is not what it should be.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
from rich.console import Console

from benchmarks.contract_tests import contract_figures
from benchmarks.running import WIDTH, table
from channelsync.lab.figures import read_figures, write_figures

SERVERS = Path(__file__).parents[1] / "tests" / "vendors"
"""Where the test servers and the day are."""


def main(arguments: Sequence[str]) -> int:
    """Plays the day and tells what it came to; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.channels", description="A day on four real channels.")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 is a tenth of the day's baskets")
    parser.add_argument("--seed", type=int, default=1, help="of buyers' fates, faults and human slips")
    parser.add_argument("--only", choices=("day", "contract"), help="leave the other figures as they are")
    told = parser.parse_args(arguments)
    contracts = os.environ.get("CHANNELSYNC_CONTRACTS")
    if not contracts:
        parser.error("set CHANNELSYNC_CONTRACTS to the folder of the vendors' contracts, e.g. with shopify/ in it")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    sys.path.insert(0, str(SERVERS))
    before = read_figures().get("channels", [])
    day = [figure for figure in before if not figure.name.startswith("contract_")]
    contract = [figure for figure in before if figure.name.startswith("contract_")]
    if told.only != "contract":
        from vendor_day.day import DayOptions, play_day
        from vendor_day.figures import channel_figures

        day = channel_figures(play_day(DayOptions(contracts=Path(contracts), scale=told.scale, seed=told.seed)))
    if told.only != "day":
        contract = list(contract_figures())
    figures = [*day, *contract]
    Console(width=max(WIDTH, Console().width)).print(table(figures))
    write_figures("channels", figures)
    return int(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
