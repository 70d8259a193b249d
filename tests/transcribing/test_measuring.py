from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recognizer_bundles import record
from whisper_models import RULES, SHAPE, folded, whisper, written

from edgedistill.errors import UserError
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.transcribing.decoding import Guards
from edgedistill.transcribing.measuring import Subject, forced, measure, subject_of


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("measured")
    paths = written(folded(whisper()), "onnxruntime", folder)
    told = record({"onnxruntime": paths})
    return subject_of(told, told.pairs()[0], folder)


def test_figures_are_of_every_round_and_memory_of_a_run_of_its_own(subject: Subject) -> None:
    ticks: list[str] = []
    sounds = [np.full(SHAPE.samples // 2, 900, np.int16), np.full(RATE, 900, np.int16)]
    (row,) = measure([subject], sounds, 1, 1, lambda done, all_, what: ticks.append(what))
    assert row.sound_seconds == pytest.approx(SHAPE.samples / 2 / RATE + 1)
    assert len(row.seconds) == 1
    assert row.real_time_factor == row.seconds[0] / row.sound_seconds
    assert row.cold_load_ms > 0 and row.warm_load_ms > 0 and row.tokens_per_second > 0
    assert row.peak_memory_mb is None or 0 < row.peak_memory_mb < 1000
    assert [each.rsplit(" ", 1)[1] for each in ticks] == ["s", "MB"]


def test_a_file_that_is_none_is_told(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(UserError, match=r"bad\.onnx"):
        measure([replace(subject, encode=path)], [np.zeros(8, np.int16)], 1, 1)


def test_forced_the_end_is_never_said(subject: Subject) -> None:
    fixed = forced(subject, 7)
    assert fixed.rules.limit == len(RULES.prompt) + 7
    assert RULES.end in fixed.rules.suppressed
    assert fixed.guards == Guards()
    assert forced(subject, 10_000).rules.limit == RULES.limit
