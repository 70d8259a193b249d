"""Utterances that a bundle carries, with what its files make of them, for an app's self-test."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from edgedistill.data.sound.decode import Samples
from edgedistill.data.speech.utterances import Utterances
from edgedistill.records.recognizer import RecognizerRecord, Said, Utterance
from edgedistill.runtimes import RUNTIMES
from edgedistill.transcribing.long import Settings, segments
from edgedistill.transcribing.recognizers import InRuntime

COUNT = 2
FOLDER = "golden"
_LEAST_SECONDS = 1.0


def golden_utterances(
    record: RecognizerRecord, split: Utterances, settings: Settings, folder: Path
) -> tuple[Utterance, ...]:
    """Of a split the shortest utterances of a second or more, none longer than the window, as WAV
    files in `folder`/golden, and what each pair of the record's files, which lie in `folder`, makes
    of them."""
    found: list[Utterance] = []
    (folder / FOLDER).mkdir(exist_ok=True)
    recognizers = {
        (encode.runtime, encode.precision): InRuntime(
            *(
                RUNTIMES[each.runtime].load(folder / each.file, program=each.program)
                for each in (encode, step)
            )
        )
        for encode, step in record.pairs()
    }
    for number, at in enumerate(_short(split)):
        sound = np.asarray(split.audio[slice(*split.offsets[at : at + 2])])
        name = f"{FOLDER}/{number}.wav"
        write_wav(folder / name, sound, settings.rate)
        said = tuple(
            Said(
                runtime=runtime,
                precision=precision,
                tokens=tuple(
                    token for each in segments(heard, [sound], settings) for token in each.tokens
                ),
            )
            for (runtime, precision), heard in recognizers.items()
        )
        found.append(Utterance(file=name, said=said))
    return tuple(found)


def _short(split: Utterances) -> list[int]:
    """Places of the shortest, those of less than a second last."""
    lengths = split.lengths
    fitting = [at for at in range(len(split)) if 0 < lengths[at] <= split.window]
    least = _LEAST_SECONDS * split.rate
    return sorted(fitting, key=lambda at: (lengths[at] < least, abs(lengths[at] - least)))[:COUNT]


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """A WAV file of (samples,) int16."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
