"""Utterances that a bundle carries."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import whisper_models
from recognizer_bundles import GUARDS, bundled, made_up, record, vocabulary

from edgedistill.data.speech.utterances import Utterances
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.package.app import INT8_EDITS, AppSpoken
from edgedistill.package.golden import of_speech
from edgedistill.records.recognizer import VOCABULARY, Said, Utterance
from edgedistill.transcribing.golden import golden_utterances, write_wav
from edgedistill.transcribing.long import Settings


def split() -> Utterances:
    """One of half a second, one of a window, and one that is too long."""
    lengths = (RATE // 2, RATE, 3 * RATE)
    sound = np.concatenate([whisper_models.window(seed)[:RATE] for seed in range(5)])
    audio = np.rint(20_000 * sound).astype(np.int16)[: sum(lengths)]
    none = (None,) * len(lengths)
    return Utterances(audio, np.cumsum([0, *lengths]), none, none, ("a", "b", "c"), RATE,
                      whisper_models.SHAPE.samples)  # fmt: skip


def test_they_are_short_and_decode_in_a_package_as_in_the_bundle(tmp_path: Path) -> None:
    programs = whisper_models.folded(whisper_models.whisper())
    told = record({"onnxruntime": whisper_models.written(programs, "onnxruntime", tmp_path)})
    vocabulary().write(tmp_path / VOCABULARY)
    settings = Settings(
        language="en", rate=RATE, window=whisper_models.SHAPE.samples,
        rules=whisper_models.RULES, guards=GUARDS, vocabulary=vocabulary(),
    )  # fmt: skip
    golden = golden_utterances(told, split(), settings, tmp_path)
    assert [each.file for each in golden] == ["golden/0.wav", "golden/1.wav"]
    with wave.open(str(tmp_path / "golden" / "0.wav"), "rb") as file:
        assert (file.getnframes(), file.getframerate()) == (RATE, RATE)
    bundle = bundled(tmp_path, type(told)(**{**vars(told), "golden": golden}), tmp_path / "bundle")
    found, files = of_speech(bundle, "onnxruntime", "fp32")
    assert not found.made_up
    assert found.edits == 0  # of floats
    assert set(files) == {"golden/0.wav", "golden/1.wav"}
    assert any(each.tokens for each in found.utterances)
    for each, utterance in zip(found.utterances, golden, strict=True):
        heard = bundle.transcribe(bundle.path / each.file)
        tokens = tuple(token for segment in heard.segments for token in segment.tokens)
        assert each.tokens == utterance.said[0].tokens == tokens
        assert each.text == heard.text


def test_of_an_int8_files_tokens_a_share_may_be_edits(tmp_path: Path) -> None:
    told = made_up(tmp_path / "files", "onnxruntime")
    said = Said(runtime="onnxruntime", precision="int8", tokens=(65, 66))
    golden = Utterance(file="golden/0.wav", said=(said,))
    (tmp_path / "files" / "golden").mkdir()
    write_wav(tmp_path / "files" / golden.file, np.zeros(RATE, np.int16), RATE)
    bundle = bundled(tmp_path / "files", replace(told, golden=(golden,)), tmp_path / "bundle")
    found, _ = of_speech(bundle, "onnxruntime", "int8")
    assert (found.utterances[0].text, found.edits) == ("AB", INT8_EDITS)


def test_a_bundle_without_any_is_given_a_sound(tmp_path: Path) -> None:
    programs = whisper_models.folded(whisper_models.whisper())
    told = record({"onnxruntime": whisper_models.written(programs, "onnxruntime", tmp_path)})
    vocabulary().write(tmp_path / VOCABULARY)
    bundle = bundled(tmp_path, told, tmp_path / "bundle")
    found, files = of_speech(bundle, "onnxruntime", "fp32")
    assert isinstance(found, AppSpoken)
    assert found.edits == 0
    assert found.made_up
    assert list(files) == ["golden/0.wav"]
