"""Long audio, made of a split's recordings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.listening.mixing import LongAudio, Mixing, Recordings, speech_level

RATE = 1000


def tone(seconds: float, hertz: float, level: float = 0.5) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return np.round(32767 * level * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def recordings(noise: bool = True) -> Recordings:
    return Recordings(
        rate=RATE,
        keywords=[(tone(0.5, 100), 0), (tone(0.7, 120), 1), (tone(0.4, 140), 0)],
        others=[tone(8, 50), tone(25, 60), tone(3, 70)],
        noise=[tone(1, 30, 0.1)] if noise else [],
    )


def mixing(seed: int = 0, minutes: float | None = None) -> Mixing:
    return Mixing(seed=seed, snr_db=(10.0, 10.0), pause=2.0, minutes=minutes)


def test_all_recordings_are_played_and_every_keyword_is_spoken_once() -> None:
    found = LongAudio(recordings(), mixing())
    whole = np.concatenate(list(found))
    assert len(whole) == found.samples and whole.dtype == np.float32
    pauses = found.samples - 36 * RATE - sum(each.end - each.start for each in found.spoken)
    assert 3 * 2.5 * RATE <= pauses <= 3 * 3.0 * RATE
    assert sorted((each.clip, each.label) for each in found.spoken) == [(0, 0), (1, 1), (2, 0)]
    for each in found.spoken:
        clip = recordings().keywords[each.clip][0] / 32768
        heard = whole[each.start : each.end]
        assert np.corrcoef(clip, heard)[0, 1] > 0.9
    gaps = np.diff([(each.start, each.end) for each in found.spoken], axis=0)
    assert all(
        later.start - before.end >= 2.5 * RATE
        for before, later in zip(found.spoken, found.spoken[1:], strict=False)
    ), gaps


def test_it_is_drawn_from_the_seed() -> None:
    first, again, other = (LongAudio(recordings(), mixing(seed)) for seed in (1, 1, 2))
    assert first.spoken == again.spoken != other.spoken
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one, two)


@given(st.integers(0, 50), st.integers(-100, 60_000), st.integers(0, 9_000))
def test_a_cut_is_what_is_played_there(seed: int, start: int, length: int) -> None:
    found = LongAudio(recordings(), mixing(seed))
    whole = np.concatenate(list(found))
    assert np.array_equal(
        found.cut(start, start + length), whole[max(0, start) : max(0, start + length)]
    )


@pytest.mark.parametrize("noise", [True, False])
def test_a_keyword_is_so_many_decibels_above_what_it_is_spoken_over(noise: bool) -> None:
    found = LongAudio(recordings(noise), mixing())
    whole = np.concatenate(list(found))
    for each in found.spoken:
        clip = recordings().keywords[each.clip][0].astype(np.float32) / 32768
        bed = whole[each.start : each.end] - clip.astype(np.float32)
        ratio = speech_level(clip.astype(np.float32), RATE) / speech_level(bed, RATE)
        assert 20 * np.log10(ratio) == pytest.approx(10.0, abs=0.5)


def test_only_so_many_minutes_are_played() -> None:
    found = LongAudio(recordings(), mixing(minutes=0.2))
    plain = LongAudio(recordings(), mixing())
    assert plain.samples - found.samples == 24 * RATE
    assert len(found.spoken) == 3


def test_without_other_recordings_keywords_are_spoken_in_silence() -> None:
    alone = Recordings(RATE, recordings().keywords, [])
    found = LongAudio(alone, mixing())
    whole = np.concatenate(list(found))
    assert len(found.spoken) == 3
    for each in found.spoken:
        assert not whole[each.end : each.end + 1000].any()
        assert np.allclose(whole[each.start : each.end],
                           alone.keywords[each.clip][0] / 32768, atol=1e-6)  # fmt: skip


def test_where_stretches_meet_nothing_clicks() -> None:
    whole = np.concatenate(list(LongAudio(recordings(), mixing())))
    steepest = 0.5 * 2 * np.pi * 140 / RATE
    assert np.abs(np.diff(whole)).max() < 1.3 * steepest
