from __future__ import annotations

import numpy as np
import pytest
from tones import RATE, hiss, word

from edgedistill.data import View
from edgedistill.data.sound import augment
from edgedistill.data.sound.split import CLIP, NEGATIVE, NOISE, SoundSplit
from edgedistill.recipe import SoundAugment

STILL = SoundAugment(shift_ms=0, gain_db=0, speed=0, noise=0)
LENGTH = 4000


def split(*recordings: tuple[np.ndarray, int], start: int = 0, room: int = 0) -> SoundSplit:
    """A window of each recording, and the kind of each."""
    samples = [np.rint(32767 * each).astype(np.int16) for each, _ in recordings]
    count = len(recordings)
    return SoundSplit(
        np.concatenate(samples),
        np.cumsum([0, *map(len, samples)]),
        np.array([kind for _, kind in recordings], np.int8),
        np.array([[number, start, room] for number in range(count)]),
        np.ones(count, np.float32),
        np.arange(count),
        None,
        RATE,
        LENGTH,
    )


def looks(sounds: SoundSplit, config: SoundAugment, view: int = 0, seed: int = 0) -> np.ndarray:
    return sounds.inputs(np.arange(len(sounds)), View(config, seed, view))["samples"]


def many(number: int = 20) -> SoundSplit:
    return split(*[(word(each, seconds=0.7), CLIP) for each in range(number)], start=800)


def moved(one: np.ndarray, other: np.ndarray) -> int:
    """By how many samples `other` lags behind."""
    return int(np.argmax(np.correlate(other, one, "full"))) - len(one) + 1


def test_no_change_leaves_the_samples_as_they_are() -> None:
    sounds = many()
    np.testing.assert_array_equal(looks(sounds, STILL), sounds.inputs(np.arange(20))["samples"])


def test_a_view_is_drawn_from_seed_id_and_view_alone() -> None:
    sounds = split((word(0, seconds=0.7), CLIP), (word(1, seconds=0.7), CLIP), (hiss(0), NOISE))
    config = SoundAugment(noise=1.0, time_mask_ms=100, band_mask=0.3)
    whole = looks(sounds, config, view=3)
    alone = sounds.inputs(np.array([1]), View(config, 0, 3))["samples"]
    np.testing.assert_array_equal(whole[1], alone[0])
    for other in (looks(sounds, config, view=4), looks(sounds, config, view=3, seed=1)):
        assert all(np.abs(a - b).max() > 0.01 for a, b in zip(whole, other, strict=True))
    assert whole.dtype == np.float32
    assert whole.shape == (3, LENGTH)


def test_shift_moves_both_ways_within_its_bound() -> None:
    sounds = many()
    before = sounds.inputs(np.arange(20))["samples"]
    config = STILL.model_copy(update={"shift_ms": 50})
    lags = [moved(a, b) for a, b in zip(before, looks(sounds, config), strict=True)]
    assert min(lags) < -100
    assert max(lags) > 100
    assert max(map(abs, lags)) <= 400


def test_gain_is_drawn_both_ways_within_its_bound() -> None:
    sounds = many()
    before = sounds.inputs(np.arange(20))["samples"]
    after = looks(sounds, STILL.model_copy(update={"gain_db": 6}))
    gains = 20 * np.log10(after.std(axis=1) / before.std(axis=1))
    assert gains.min() < -2
    assert gains.max() > 2
    assert np.abs(gains).max() <= 6.01


def test_what_is_too_loud_stays_within_bounds() -> None:
    config = STILL.model_copy(update={"gain_db": 40})
    assert np.abs(looks(many(), config)).max() == 1


def test_speed_moves_the_pitch() -> None:
    at = np.arange(9000) / RATE
    sounds = split(*[(0.5 * np.sin(2 * np.pi * 500 * at), CLIP)] * 20)
    found = looks(sounds, STILL.model_copy(update={"speed": 0.2}))
    pitches = np.abs(np.fft.rfft(found * np.hanning(LENGTH), axis=1)).argmax(axis=1) * RATE / LENGTH
    assert 400 <= pitches.min() < 450
    assert 550 < pitches.max() <= 600


def test_a_faster_view_ends_where_it_ended() -> None:
    click = np.zeros(LENGTH, np.float32)
    click[-100:] = 0.5
    found = looks(split(*[(click, CLIP)] * 20), STILL.model_copy(update={"speed": 0.2}))
    assert (np.abs(found[:, -50:]) > 0.4).all()


def test_noise_lies_so_far_below_the_clip() -> None:
    config = STILL.model_copy(update={"noise": 1.0, "snr_db": (10.0, 10.0)})
    sounds = split((word(0, seconds=0.5), CLIP), (word(1, seconds=0.5), NEGATIVE), (hiss(0), NOISE))
    before = sounds.inputs(np.arange(3))["samples"]
    added = looks(sounds, config) - before
    for place in (0, 1):
        snr = 10 * np.log10((before[place] ** 2).mean() / (added[place] ** 2).mean())
        assert abs(snr - 10) < 0.1
    assert not added[2].any()  # nothing is mixed into noise


def test_a_share_of_the_views_is_noisy() -> None:
    sounds = split(*[(word(each, seconds=0.5), CLIP) for each in range(60)], (hiss(0), NOISE))
    added = looks(sounds, STILL.model_copy(update={"noise": 0.5})) - looks(sounds, STILL)
    assert 15 < np.count_nonzero(added.any(axis=1)) < 45


def test_without_recordings_of_noise_none_is_mixed_in() -> None:
    sounds = many()
    config = STILL.model_copy(update={"noise": 1.0})
    np.testing.assert_array_equal(looks(sounds, config), looks(sounds, STILL))


def test_a_short_noise_is_repeated() -> None:
    sounds = split((word(0, seconds=0.5), CLIP), (hiss(0, 0.1), NOISE))
    added = looks(sounds, STILL.model_copy(update={"noise": 1.0})) - looks(sounds, STILL)
    assert np.abs(added[0, -800:]).max() > 0.001


def test_a_stretch_of_time_is_silenced() -> None:
    found = looks(many(), STILL.model_copy(update={"time_mask_ms": 200}))
    widths = (found == 0).sum(axis=1)
    assert widths.max() > 800
    assert widths.max() <= 1601
    assert len(np.unique(widths)) > 10


def test_a_band_is_taken_out() -> None:
    sounds = split(*[(hiss(each), CLIP) for each in range(20)])
    before = np.abs(np.fft.rfft(looks(sounds, STILL), axis=1))
    after = np.abs(np.fft.rfft(looks(sounds, STILL.model_copy(update={"band_mask": 0.4})), axis=1))
    gone = after < 0.01 * before
    assert gone.any(axis=1).sum() > 15
    assert gone.mean(axis=1).max() < 0.7
    kept = np.where(gone, 0, before - after)
    assert np.abs(kept).max() < 0.1 * before.max()


@pytest.mark.parametrize("room", [1, 5000])
def test_what_has_room_begins_anywhere_in_it(room: int) -> None:
    ramp = np.linspace(0.1, 0.9, LENGTH + 6000).astype(np.float32)
    found = looks(split(*[(ramp, NEGATIVE)] * 40, room=room), STILL)
    starts = np.rint((found[:, 0] - ramp[0]) / (ramp[1] - ramp[0]))
    assert starts.min() >= 0
    assert starts.max() <= room + 1
    assert len(np.unique(starts)) > (1 if room == 1 else 30)


def test_resampling_keeps_a_smooth_signal() -> None:
    at = np.arange(4400) / RATE
    signal = np.sin(2 * np.pi * 300 * at).astype(np.float32)
    found = augment.resampled(signal, 4000)
    wanted = np.sin(2 * np.pi * 330 * np.arange(4000) / RATE)
    np.testing.assert_allclose(found[5:-5], wanted[5:-5], atol=2e-3)
