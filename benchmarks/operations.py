"""`python -m benchmarks.operations [NAME ...] [--quick]`: the daemon as people run it; writes
build/figures/operations.json. See `benchmarks.running`."""

from __future__ import annotations

import sys

from benchmarks import neighbours, receiver, scale, startup
from benchmarks.running import Group

OPERATIONS = Group(
    name="operations",
    program="python -m benchmarks.operations",
    description="Measures the daemon as people run it.",
    benchmarks={
        "receiver": receiver.figures,
        "scale": scale.figures,
        "neighbours": neighbours.figures,
        "startup": startup.figures,
    },
)

if __name__ == "__main__":
    sys.exit(OPERATIONS.main(sys.argv[1:]))
