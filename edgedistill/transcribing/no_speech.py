"""Sounds in which nothing is said, and the words that a recognizer makes up of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgedistill.data.sound.decode import FULL, Samples
from edgedistill.records.speech_audit import Kind
from edgedistill.transcribing.decoding import Guards, Recognizer
from edgedistill.transcribing.long import Settings, segments
from edgedistill.transcripts.normalize import Normalize

SECONDS = 120
"""Of each sound."""
_NOISE, _TONE = 0.05, 0.2
"""Of full scale: about -26 and -17 decibels, as loud as speech."""
_LOWEST, _EACH_SECONDS, _STEPS = 110.0, 5, 24


def sounds(rate: int, seed: int) -> dict[Kind, Samples]:
    """(samples,) int16 each: silence, white noise, and tones of `_EACH_SECONDS`, each a third above
    the one before, through four octaves."""
    times = np.arange(SECONDS * rate) / rate
    noise = np.random.default_rng(seed).standard_normal(len(times))
    hertz = _LOWEST * 2.0 ** (times // _EACH_SECONDS % _STEPS / 6)
    return {
        "silence": np.zeros(len(times), np.int16),
        "white noise": _scaled(_NOISE * noise),
        "tones": _scaled(_TONE * np.sin(2 * np.pi * hertz * times)),
    }


def _scaled(samples: np.ndarray) -> Samples:
    whole: Samples = np.rint(samples * FULL).clip(-FULL, FULL - 1).astype(np.int16)
    return whole


def words_said(
    recognizer: Recognizer, sound: Samples, settings: Settings, normalize: Normalize
) -> tuple[int, int]:
    """Words of a sound (samples,) int16 with the settings' guards, and without any, where silence
    is decoded too; counted as error rates count them."""

    def words(settings: Settings, silence: bool) -> int:
        found = segments(recognizer, [sound], settings, silence)
        return sum(len(normalize(each.text).split()) for each in found)

    return words(settings, False), words(replace(settings, guards=Guards()), True)
