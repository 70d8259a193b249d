from __future__ import annotations

import numpy as np
import pytest
from tones import RATE, word

from edgedistill.data.sound.window import clip_window, rooms, spoken, tiled
from edgedistill.recipe.sound import Cut


def placed(before: float, after: float) -> np.ndarray:
    """A word of 0.4 s with silence before and after it, in seconds; int16."""
    silence = [np.zeros(round(each * RATE)) for each in (before, after)]
    return np.rint(32767 * np.concatenate([silence[0], word(0), silence[1]])).astype(np.int16)


@pytest.mark.parametrize(("cut", "seconds"), [("end", 0.8), ("middle", 0.4), ("spoken", 0.32)])
def test_the_window_of_a_longer_clip(cut: Cut, seconds: float) -> None:
    # Of 1.8 s; the word is over at 1.1, most of it a little before, and the window ends later.
    (found,) = clip_window(placed(0.7, 0.7), 8000, cut, RATE)
    assert abs(found - seconds * RATE) <= RATE / 100


@pytest.mark.parametrize("again", [0.2, 0.6, 1.5])
@pytest.mark.parametrize("before", [False, True])
def test_a_knock_is_not_the_word(again: float, before: bool) -> None:
    """As loud as the word, a hundredth of a second long, in the quiet before or after it."""
    clip = placed(1.8, 1.8)
    at = round((1.8 - again if before else 2.2 + again) * RATE)
    knocked = clip.copy()
    knocked[at : at + RATE // 100] = np.random.default_rng(0).integers(-9999, 9999, RATE // 100)
    (quiet,), (found,) = (clip_window(each, 8000, "spoken", RATE) for each in (clip, knocked))
    assert abs(found - quiet) <= RATE / 50


def test_the_window_of_what_is_spoken_stays_in_the_clip() -> None:
    assert clip_window(placed(0.0, 2.0), 8000, "spoken", RATE).tolist() == [0]
    assert clip_window(placed(2.0, 0.0), 8000, "spoken", RATE).tolist() == [2.4 * RATE - 8000]


def test_noise_that_goes_on_is_not_what_is_spoken() -> None:
    clip = placed(0.7, 1.0).astype(float)
    noise = np.random.default_rng(0).normal(0, 0.1 * np.abs(clip).max(), len(clip))
    start, end = spoken((clip / 2 + noise / 2).astype(np.int16), RATE)
    assert abs(start / RATE - 0.7) < 0.1
    assert abs(end / RATE - 1.1) < 0.1


def test_a_long_clip_is_held_against_its_best_stretch() -> None:
    """Two words, three seconds apart: a window has one."""
    twice = np.concatenate([placed(1.0, 1.0), placed(2.0, 1.0)])
    start, end = spoken(twice, RATE, RATE)
    assert end - start < 0.5 * RATE
    start, end = spoken(twice, RATE)
    assert end - start > 3 * RATE


def test_where_nothing_stands_out_all_of_it_is_spoken() -> None:
    steady = np.random.default_rng(0).normal(0, 3000, 2 * RATE).astype(np.int16)
    assert spoken(steady, RATE) == (0, 2 * RATE)
    assert spoken(steady[:3], RATE) == (0, 3)


@pytest.mark.parametrize(("cut", "start"), [("end", -4800), ("middle", -2400), ("spoken", -4800)])
def test_a_shorter_clip_begins_with_silence(cut: Cut, start: int) -> None:
    assert clip_window(placed(0, 0), 8000, cut, RATE).tolist() == [start]


def test_a_silent_clip_has_a_window() -> None:
    assert clip_window(np.zeros(9000, np.int16), 8000, "spoken", RATE).tolist() == [1000]


def test_windows_side_by_side() -> None:
    assert tiled(25, 10).tolist() == [0, 10]
    assert tiled(30, 10).tolist() == [0, 10, 20]
    assert tiled(10, 10).tolist() == [0]
    assert tiled(7, 10).tolist() == [-3]


def test_views_come_to_all_of_a_recording() -> None:
    lengths = np.array([25, 7, 40])
    starts, recordings = np.array([0, 10, -3, 0, 30]), np.array([0, 0, 1, 2, 2])
    found = rooms(starts, recordings, lengths, 10)
    # The first of each is moved up to the next, the last up to the end; windows were left out.
    assert found.tolist() == [10, 5, 0, 30, 0]
