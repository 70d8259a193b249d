"""How long labelling takes is reckoned from one layer of each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from torch import Tensor
from whisper_models import SHAPE

from edgedistill.transcribing import pace


def test_all_layers_take_as_long_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    def timed(once: Callable[[], Tensor], clock: pace.Clock) -> float:
        shapes.append(tuple(once().shape))
        return 0.5

    monkeypatch.setattr(pace, "_timed", timed)
    shape = replace(SHAPE, encoder_layers=3, decoder_layers=5)
    hours = pace.seconds_an_hour(shape, 4, "bf16")
    assert shapes == [(1, 50, 32), (4, 1, 32), (4, 1, shape.vocabulary)]
    # 3600 windows of a second, with four tokens each, in batches of four.
    assert hours == 3600 * 3 * 0.5 + 3600 / 4 * 4 * (5 * 0.5 + 0.5)


def test_time_goes_by() -> None:
    assert pace.seconds_an_hour(SHAPE, 2, "fp32") > 0
