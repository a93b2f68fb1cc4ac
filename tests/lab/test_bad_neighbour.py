"""One bad marketplace of six holds up nobody else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from channelsync.lab.bad_neighbour import BAD, p99_of_others, play
from channelsync.lab.faults import FaultKind

LENGTH = timedelta(minutes=4)


@pytest.fixture(scope="module")
def well() -> dict[str, list[float]]:
    return play(None, LENGTH)


@pytest.mark.parametrize("kind", [FaultKind.NO_ANSWER, FaultKind.SERVER_ERROR, FaultKind.DRIP])
def test_a_marketplace_in_trouble_delays_its_own_pushes_and_nobody_elses(
    well: dict[str, list[float]], kind: FaultKind
) -> None:
    troubled = play(kind, LENGTH)

    assert max(troubled[BAD]) > max(well[BAD]) * 2
    assert {name: len(waited) for name, waited in troubled.items()} == {n: len(w) for n, w in well.items()}
    assert p99_of_others(troubled) <= p99_of_others(well) * 1.1
