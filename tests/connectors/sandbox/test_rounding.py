"""A marketplace that rounds, as publishing is told of it."""

import pytest

from channelsync.lab.marketplace_rules import PRESETS
from channelsync_sandbox import CONNECTOR


@pytest.mark.parametrize(
    ("preset", "step", "step_shown"),
    [("plain", 1, False), ("rounds to 5", 5, False), ("shows multiples of 5", 5, True)],
)
def test_what_is_rounded_and_where_is_declared(preset: str, step: int, step_shown: bool) -> None:
    declared = PRESETS[preset].declares()
    settings = CONNECTOR.settings.model_validate({"base_url": "http://x", "refresh_token": "t", **declared})
    timing = CONNECTOR.capabilities(settings).timing

    assert (timing.step, timing.step_shown) == (step, step_shown)
