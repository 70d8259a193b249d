from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tones import RATE, encoded, hiss, word

from edgedistill.data.sound.decode import as_floats, decode
from edgedistill.data.sound.duplicates import correlation, find
from edgedistill.data.sound.split import CLIP, SoundSplit

LENGTH = 6000


def split(*windows: np.ndarray) -> SoundSplit:
    samples = [np.rint(32767 * np.pad(each, (LENGTH - len(each), 0))) for each in windows]
    count = len(samples)
    return SoundSplit(
        np.concatenate(samples).astype(np.int16),
        np.arange(count + 1) * LENGTH,
        np.full(count, CLIP, np.int8),
        np.array([[number, 0, 0] for number in range(count)]),
        np.ones(count, np.float32),
        np.zeros(count, np.int64),
        None,
        RATE,
        LENGTH,
    )


def known() -> list[np.ndarray]:
    return [word(number, take) for number in range(8) for take in range(3)]


def found(reporter: Any, *held: np.ndarray) -> list[tuple[int, int, bool]]:
    twins = find({"train": split(*known()), "test": split(*held)}, reporter)
    assert all((each.first, each.second) == ("train", "test") for each in twins)
    return [(each.known, each.held, each.exact) for each in twins]


def again(samples: np.ndarray, kind: str, subtype: str | None = None) -> np.ndarray:
    return as_floats(decode(encoded(samples, kind=kind, subtype=subtype), RATE)[0])


def noisy(samples: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(samples))
    return samples + 0.1 * samples.std() * noise


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "quieter": lambda each: 0.3 * each,
    "earlier": lambda each: np.concatenate([each, np.zeros(400)]),
    "later, cut": lambda each: each[:-200],
    "upside down": lambda each: -each,
    "noise 20 dB below": noisy,
    "MP3": lambda each: again(each, "MP3"),
    "Opus": lambda each: again(each, "OGG", "OPUS"),
    "through 6 kHz": lambda each: as_floats(decode(encoded(
        as_floats(decode(encoded(each), 6000)[0]), 6000), RATE)[0]),
}  # fmt: skip


def test_the_same_samples_are_exact(reporter: Any) -> None:
    assert found(reporter, hiss(1, 0.5), known()[7]) == [(7, 1, True)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found(reporter: Any, change: str) -> None:
    assert found(reporter, CHANGES[change](known()[7]), hiss(1, 0.5)) == [(7, 0, False)]


def test_another_utterance_of_the_word_is_no_copy(reporter: Any) -> None:
    assert found(reporter, *(word(number, 7) for number in range(8))) == []


def test_silence_is_no_copy_of_silence(reporter: Any) -> None:
    nothing = np.zeros(LENGTH, np.float32)
    assert find({"train": split(nothing, word(0)), "test": split(nothing)}, reporter) == []


def test_all_pairs_of_splits_are_looked_at(reporter: Any) -> None:
    given = {
        "train": [word(0), word(1)],
        "validation": [word(1), word(2)],
        "test": [word(2), word(0)],
    }
    twins = find({name: split(*each) for name, each in given.items()}, reporter)
    assert [(each.first, each.second, each.known, each.held) for each in twins] == [
        ("train", "validation", 1, 0), ("train", "test", 0, 1), ("validation", "test", 1, 0)
    ]  # fmt: skip


def test_correlation_is_at_the_best_shift() -> None:
    one = np.pad(word(0), (1000, 1000)).astype(np.float32)
    assert correlation(one, np.roll(one, 700)) == pytest.approx(1, abs=1e-3)
    assert correlation(one, np.pad(word(1), (1000, 1000)).astype(np.float32)) < 0.5
    assert correlation(one, np.zeros_like(one)) == 0
