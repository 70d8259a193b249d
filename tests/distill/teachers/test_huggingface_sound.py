from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asking import CLASSES, answers, batch, context
from hearing import LENGTH, RATE, Floats, heard, hearing

from edgedistill.distill.teachers import Teacher, open_teacher
from edgedistill.distill.teachers.huggingface_sound import resampled
from edgedistill.errors import UserError
from edgedistill.recipe import HuggingFaceTeacher

pytest.importorskip("transformers")

Made = tuple[Any, Any]
"""A model and its extractor."""

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def named(labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def kept(model: Any, extractor: Any, folder: Path) -> Made:
    model.eval().save_pretrained(folder)
    extractor.save_pretrained(folder)
    return model, extractor


def waves(folder: Path, rate: int = RATE, labels: tuple[str, ...] = CLASSES) -> Made:
    """Wav2Vec2, which takes raw samples, with weights drawn anew."""
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForSequenceClassification,
    )

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        **SMALL, **named(labels), intermediate_size=16, conv_dim=(8, 8), conv_kernel=(10, 3),
        conv_stride=(5, 2), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        classifier_proj_size=8,
    )  # fmt: skip
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=rate, do_normalize=True)
    return kept(Wav2Vec2ForSequenceClassification(config), extractor, folder)


def spectrogram(folder: Path) -> Made:
    """AST, which takes mel bands (time, bands)."""
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(0)
    config = ASTConfig(
        **SMALL, **named(CLASSES), intermediate_size=16, max_length=32, num_mel_bins=16
    )
    extractor = ASTFeatureExtractor(sampling_rate=16_000, num_mel_bins=16, max_length=32)
    return kept(ASTForAudioClassification(config), extractor, folder)


def whisper(folder: Path) -> Made:
    """Whisper's encoder, which takes mel bands (bands, time) of a second here."""
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForAudioClassification,
    )

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16,
        num_mel_bins=16, max_source_positions=50, classifier_proj_size=8, vocab_size=20,
        decoder_start_token_id=1, pad_token_id=0, bos_token_id=1, eos_token_id=2, **named(CLASSES),
    )  # fmt: skip
    extractor = WhisperFeatureExtractor(feature_size=16, chunk_length=1)
    return kept(WhisperForAudioClassification(config), extractor, folder)


def teacher(folder: Path, backend: str = "auto", **changes: Any) -> Teacher:
    config = HuggingFaceTeacher.model_validate(
        {"family": "huggingface", "name": str(folder), "backend": backend}
    )
    return open_teacher(config, hearing(**changes))


def expected(made: Made, sound: Floats) -> Any:
    """Logits, each window by itself."""
    model, extractor = made
    rows = []
    for each in sound:
        given = extractor(each, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        with torch.no_grad():
            rows.append(model(given[model.main_input_name]).logits.numpy()[0])
    return np.array(rows)


def test_raw_samples_are_heard_as_its_extractor_says(tmp_path: Path) -> None:
    made, asked = waves(tmp_path), heard()
    found = answers(teacher(tmp_path), asked)
    assert np.allclose(found, expected(made, asked.sound), atol=1e-5)
    assert found.std(axis=0).min() > 0


@pytest.mark.parametrize("write", [spectrogram, whisper])
def test_mel_bands_are_made_by_its_extractor(tmp_path: Path, write: Any) -> None:
    made, asked = write(tmp_path), heard(3, 4000)
    found = answers(teacher(tmp_path, length=4000, rate=16_000), asked)
    assert np.allclose(found, expected(made, asked.sound), atol=1e-5)


def test_sound_of_another_rate_is_resampled(tmp_path: Path) -> None:
    made, asked = waves(tmp_path, rate=16_000), heard()
    twice = np.array([resampled(each, RATE, 16_000) for each in asked.sound])
    assert twice.shape == (5, 2 * LENGTH)
    # What was there before is there still, at every second place.
    assert np.abs(twice[:, ::2] - asked.sound)[:, 100:-100].max() < 0.05
    found = answers(teacher(tmp_path), asked)
    assert np.allclose(found, expected(made, twice), atol=1e-4)


def test_its_classes_are_put_into_the_datas_order(tmp_path: Path) -> None:
    made, asked = waves(tmp_path, labels=("_unknown_", "YES", "_silence_")), heard()
    found = answers(teacher(tmp_path, classes=("yes", "unknown", "silence")), asked)
    assert np.allclose(found, expected(made, asked.sound)[:, [1, 0, 2]], atol=1e-5)


def refusal(ask: Any) -> UserError:
    with pytest.raises(UserError) as raised:
        ask()
    return raised.value


def test_other_classes_are_refused(tmp_path: Path) -> None:
    waves(tmp_path, labels=("yes", "no", "up"))
    assert refusal(lambda: teacher(tmp_path)).message == (
        f"{tmp_path}: its 3 classes (yes, no, up) are not the data's 3 (bird, cat, ship)"
    )


def test_a_classifier_of_pictures_is_refused(tmp_path: Path) -> None:
    from test_huggingface import write

    write(tmp_path)
    assert refusal(lambda: teacher(tmp_path)).message.startswith(f"{tmp_path}: cannot be loaded: ")
    waves(tmp_path / "heard")
    config = HuggingFaceTeacher(family="huggingface", name=str(tmp_path / "heard"))
    told = refusal(lambda: answers(open_teacher(config, context()), batch()))
    assert told.message.startswith(f"{tmp_path / 'heard'}: cannot be loaded: ")


def test_windows_that_are_too_short_are_refused(tmp_path: Path) -> None:
    waves(tmp_path)
    told = refusal(lambda: answers(teacher(tmp_path, length=8), heard(2, 8)))
    assert told.message.startswith(f"{tmp_path}: cannot run on the data's windows of sound: ")
    assert "`data.sound.seconds`" in told.hint


def test_openvino_is_for_pictures(tmp_path: Path) -> None:
    assert refusal(lambda: teacher(tmp_path, "openvino")).message == (
        f"{tmp_path}: `backend: openvino` is for classifiers of pictures"
    )


def test_pickles_are_refused_with_the_way_to_convert_them(tmp_path: Path) -> None:
    waves(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    told = refusal(lambda: teacher(tmp_path))
    assert "are pickles, which can run any code when loaded; refused" in told.message
    assert "AutoFeatureExtractor, AutoModelForAudioClassification as Model" in told.hint
