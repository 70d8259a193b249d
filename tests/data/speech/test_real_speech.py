"""Read speech as people said it, where it is at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import DATA
from edgedistill.data import open_utterances
from edgedistill.records import SpeechRecord

PLACE = DATA / "read_speech"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not PLACE.is_dir(), reason="the read speech is not at hand"),
]
Prepared = Callable[..., SpeechRecord]


def test_speakers_and_transcripts(out: Path, prepared: Prepared) -> None:
    record = prepared(train=PLACE / "test.parquet")
    assert sum(record.counts.values()) == sum(record.with_text.values()) == 80
    assert sum(record.speakers.values()) == 8
    assert record.by_speaker
    assert not record.left_out
    assert sum(record.hours.values()) == pytest.approx(0.1714, abs=1e-3)


def test_commands_are_parted_in_pauses(out: Path, prepared: Prepared) -> None:
    record = prepared(train=PLACE / "commands.parquet", test=PLACE / "test.parquet", seconds=7)
    assert record.parted > 50
    split = open_utterances(out, "train")
    assert split.seconds.max() <= 7
    quieter = []
    for at, name in enumerate(split.names):
        if not name.endswith(" at 0.0 s"):
            continue
        whole = np.concatenate([split.samples(at), split.samples(at + 1)])
        frames = whole[: len(whole) // 160 * 160].reshape(-1, 160)
        power = (frames**2).mean(axis=1)
        place = min(len(split.samples(at)) // 160, len(power) - 1)
        quieter.append(float(np.mean(power < power[place])))
    assert np.median(quieter) < 0.3
