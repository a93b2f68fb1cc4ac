"""How many tests of the connectors' contract each connector passes: pytest runs them, and this counts.

A test counts when its class inherits from the contract (`channelsync.sdk.contract`), wherever it stands below
tests/connectors/<connector>. It is run as `python -m benchmarks.contract_tests CONNECTOR FILE` in a process of its own,
which writes what it counted to FILE.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from channelsync.lab.figures import Figure

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[1]
CONNECTORS = ("amazon", "ebay", "files", "shopify", "woocommerce")


class Counting:
    """A plugin of pytest: leaves out all but the contract, and counts how its tests end."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keeps the tests of classes that inherit from the contract."""
        from channelsync.sdk.contract.base import ContractBase

        kept = [item for item in items if issubclass(getattr(item, "cls", None) or object, ContractBase)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts a test once: when it ran, or where it did not come to that."""
        if report.when == "call" or report.outcome != "passed":
            self.counted[report.outcome] += 1


def contract_figures(connectors: tuple[str, ...] = CONNECTORS) -> Iterator[Figure]:
    """Of each connector how many tests of the contract it passes; none may fail."""
    for name in connectors:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "counted.json"
            command = [sys.executable, "-m", "benchmarks.contract_tests", name, str(file)]
            subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
            counted = json.loads(file.read_text(encoding="utf-8"))
        skipped = counted.get("skipped", 0)
        unit = f"tests of the contract; {skipped} ask what the channel has not"
        yield Figure(name=f"contract_passed_{name}", value=counted.get("passed", 0), unit=unit, aim=">= 1")
        yield Figure(name=f"contract_failed_{name}", value=counted.get("failed", 0), unit="tests", aim="= 0")


def main(connector: str, file: str) -> int:
    """Runs one connector's tests of the contract."""
    import pytest

    counting = Counting()
    code = pytest.main(["-q", "-p", "no:cacheprovider", f"tests/connectors/{connector}"], plugins=[counting])
    Path(file).write_text(json.dumps(counting.counted), encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
