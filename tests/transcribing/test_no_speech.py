from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from recognizer_bundles import vocabulary
from whisper_models import RULES, SHAPE, whisper

from edgedistill.models.whisper.spectrum import RATE
from edgedistill.transcribing import no_speech
from edgedistill.transcribing.decoding import Guards
from edgedistill.transcribing.long import Settings
from edgedistill.transcribing.recognizers import InTorch


@pytest.fixture
def settings() -> Settings:
    return Settings(
        language="en", rate=RATE, window=SHAPE.samples, rules=RULES, guards=Guards(),
        vocabulary=vocabulary(),
    )  # fmt: skip


def test_sounds_are_as_long_as_they_say_and_the_same_each_time() -> None:
    found = no_speech.sounds(RATE, 1)
    assert {len(each) for each in found.values()} == {no_speech.SECONDS * RATE}
    assert not found["silence"].any()
    assert 0.04 < found["white noise"].std() / 32768 < 0.06
    spectrum = np.abs(np.fft.rfft(found["tones"][:RATE].astype(np.float64)))
    assert spectrum.argmax() == 110
    again = no_speech.sounds(RATE, 1)
    assert all(np.array_equal(found[kind], again[kind]) for kind in found)


def test_silence_says_nothing_unless_it_is_decoded(settings: Settings) -> None:
    silence = np.zeros(2 * SHAPE.samples, np.int16)
    guarded, plain = no_speech.words_said(InTorch(whisper()), silence, settings, str)
    assert guarded == 0 < plain


def test_guards_are_those_of_the_settings(settings: Settings) -> None:
    noise = no_speech.sounds(RATE, 1)["white noise"][: SHAPE.samples]
    strict = replace(settings, guards=Guards(no_speech=0.0))
    guarded, plain = no_speech.words_said(InTorch(whisper()), noise, strict, str)
    assert guarded == 0 < plain
