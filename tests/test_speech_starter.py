"""`edgedistill init` with a Whisper as teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import whisper_models
from tone_net import write_wav

from edgedistill.errors import UserError
from edgedistill.recipe import TranscriptionRecipe, load_recipe
from edgedistill.starter import write_recipe
from edgedistill.starter.speech import is_whisper

RATE = 16_000


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for number in range(5):
        write_wav(tmp_path / "speech" / "a" / f"{number}.wav", np.zeros(7 * RATE), RATE)
    return tmp_path / "speech"


def test_a_folder_gives_a_recipe_that_can_be_read(recordings: Path, tmp_path: Path) -> None:
    teacher = whisper_models.save(tmp_path / "teacher")
    notes = write_recipe(tmp_path / "recipe.yaml", str(teacher), None, str(recordings),
                         "android-arm64")  # fmt: skip
    found = load_recipe(tmp_path / "recipe.yaml")
    assert isinstance(found, TranscriptionRecipe)
    assert found.data.seconds == 8
    assert (found.student.encoder_ffn, found.student.decoder_ffn) == (0.75, 0.75)
    assert found.teacher.name == str(teacher)
    assert found.data.train == (recordings,)
    assert any("language" in note for note in notes)


def test_a_name_on_the_hub_is_taken_as_it_is(recordings: Path, tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.yaml", "openai/whisper-small", None, str(recordings),
                 "android-arm64")  # fmt: skip
    found = load_recipe(tmp_path / "recipe.yaml")
    assert isinstance(found, TranscriptionRecipe)
    assert found.teacher.name == "openai/whisper-small"


def test_what_is_no_sound_leaves_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match="none of 1 recordings"):
        write_recipe(tmp_path / "recipe.yaml", "openai/whisper-small", None,
                     str(tmp_path / "speech"), "android-arm64")  # fmt: skip
    assert not (tmp_path / "recipe.yaml").exists()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("openai/whisper-small", True), ("distil-whisper/distil-large-v3", True),
        ("someone/whisper-fine-tuned", True), ("huggingface:openai/whisper-small", False),
        ("timm:resnet18", False), (None, False), ("ds_cnn:64", False),
    ],
)  # fmt: skip
def test_a_whisper_is_known_by_its_name(name: str | None, wanted: bool) -> None:
    assert is_whisper(name) is wanted
