"""`python -m benchmarks [NAME ...] [--quick]`: measures, prints a table, writes build/figures/bench.json.

See `benchmarks.running`; `python -m benchmarks.operations` is the other group.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from benchmarks import calls, intake, latency, reconcile_plan
from benchmarks.running import Group


def _missing(names: Sequence[str]) -> str:
    if "intake" in names and find_spec("oscar") is None:
        return "intake is compared with django-oscar, which is not installed: `make bench` installs it"
    return ""


BENCH = Group(
    name="bench",
    program="python -m benchmarks",
    description="Measures what is promised of speed.",
    benchmarks={
        "intake": intake.figures,
        "reconcile": reconcile_plan.figures,
        "calls": calls.figures,
        "latency": latency.figures,
    },
    missing=_missing,
)

if __name__ == "__main__":
    sys.exit(BENCH.main(sys.argv[1:]))
