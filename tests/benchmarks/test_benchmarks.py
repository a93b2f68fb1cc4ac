"""The benchmarks run; what they measure is for `make bench`."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.contenders import Load
from benchmarks.intake_workers import workers

from channelsync.lab.figures import FOLDER
from channelsync.store.embedded_postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments: str, group: str = "benchmarks") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", group, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.processes
def test_a_quick_look_measures_the_reconcile_plan_and_leaves_the_figures_alone() -> None:
    figures = ROOT / FOLDER / "bench.json"
    before = figures.read_bytes() if figures.exists() else None
    done = benchmarks("--quick", "reconcile")
    assert done.returncode == 0, done.stderr
    for name in ("reconcile_plan", "reconcile_growth", "reconcile_memory"):
        assert name in done.stdout
    assert (figures.read_bytes() if figures.exists() else None) == before


@pytest.mark.processes
def test_a_name_that_no_benchmark_has_is_refused_with_those_that_there_are() -> None:
    done = benchmarks("intakes")
    assert done.returncode == 2
    assert "there is no intakes; there are intake, reconcile, calls, latency" in done.stderr


@pytest.mark.processes
@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("receiver", ["receiver_sqlite_to_bare", "receiver_daemon_drained", "receiver_postgresql_burst_p99"]),
        ("scale", ["scale_1_workers", "scale_2_workers", "scale_told_twice", "scale_taken_over_after"]),
        ("neighbours", ["neighbours_of_one_that_hangs", "neighbours_of_one_that_drips"]),
        ("startup", ["startup_to_first_push", "startup_then_stop"]),
    ],
)
def test_a_quick_look_measures_operations(name: str, figures: list[str]) -> None:
    done = benchmarks("--quick", name, group="benchmarks.operations")
    assert done.returncode == 0, done.stderr
    for figure in figures:
        assert figure in done.stdout


@pytest.mark.processes
@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["ours", "floor"])
async def test_two_processes_that_book_on_one_postgresql_count_every_order(
    postgresql_server: EmbeddedPostgres, kind: str
) -> None:
    database = f"shared_{kind}"
    postgresql_server.create_database(database)
    async with workers(kind, postgresql_server.url(database), skus=10) as several:
        assert await several.rate(Load(senders=4, skus=10, seconds=0.2)) > 0
        assert all(worker.booked for worker in several.workers)
