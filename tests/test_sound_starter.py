"""`edgedistill init` where it is pointed at sound."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

from edgedistill.data.sources import open_source
from edgedistill.errors import UserError
from edgedistill.models import preview
from edgedistill.recipe import Recipe, load_recipe
from edgedistill.signature import sound_inputs
from edgedistill.starter import write_recipe


def clip(seed: int, seconds: float = 0.6, rate: int = 16000, before: float = 0.0) -> np.ndarray:
    silence = np.zeros(round(before * rate))
    tone = np.sin(np.arange(round(seconds * rate)) * (0.1 + 0.01 * seed))
    return np.concatenate([silence, 0.3 * tone])


def save(path: Path, samples: np.ndarray, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


def encoded(samples: np.ndarray, rate: int = 16000) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="FLAC")
    return stream.getvalue()


def folders(root: Path, rate: int = 16000, before: float = 0.0) -> Path:
    for name in ("no", "yes"):
        for take in range(5):
            save(root / name / f"{take}.wav", clip(take, 0.6, rate, before), rate)
    return root


def written(
    data: Path, teacher: str | None = None, student: str | None = None
) -> tuple[Recipe, list[str]]:
    out = data.parent / "r.yaml"
    out.unlink(missing_ok=True)
    notes = write_recipe(out, teacher, None, str(data), "android-arm64", student)
    return load_recipe(out), notes


def test_a_folder_of_recordings(tmp_path: Path) -> None:
    recipe, notes = written(folders(tmp_path / "words"))
    assert (recipe.name, recipe.task) == ("words", "keywords")
    assert recipe.data.source == "folder"
    sound = recipe.data.sound
    assert sound is not None
    assert (sound.rate, sound.seconds, sound.cut) == (16000, 0.9, "spoken")
    assert (recipe.teacher.family, recipe.student.family) == ("ds_cnn", "ds_cnn")
    assert notes == [
        "student: ds_cnn:64, suggested for 10 clips; --student names another",
        "no recordings without these words were found: give hours of them under "
        "`data.sound.negatives`, or whatever is said is taken for one of the words",
    ]
    # It can be built: the window is a whole number of steps.
    preview(recipe.student, 2, sound_inputs(sound.length))
    preview(recipe.teacher, 2, sound_inputs(sound.length))


def test_the_window_is_as_long_as_what_is_said(tmp_path: Path) -> None:
    recipe, _ = written(folders(tmp_path / "words", before=1.5))
    assert recipe.data.sound is not None
    assert 0.7 <= recipe.data.sound.seconds <= 0.8


@pytest.mark.parametrize(("rate", "heard"), [(8000, 8000), (11025, 16000), (44100, 16000)])
def test_models_hear_the_rate_of_the_recordings(tmp_path: Path, rate: int, heard: int) -> None:
    recipe, _ = written(folders(tmp_path / "words", rate))
    assert recipe.data.sound is not None
    assert recipe.data.sound.rate == heard
    assert recipe.student.family == "ds_cnn"
    assert recipe.student.front_end.rate == heard
    preview(recipe.student, 2, sound_inputs(recipe.data.sound.length))


@pytest.mark.parametrize("within", ["", "train"])
def test_negatives_and_noise_beside_the_classes_are_none(tmp_path: Path, within: str) -> None:
    root = tmp_path / "words"
    place = folders(root / within)
    for number in range(3):
        save(place / "_background_noise_" / f"{number}.wav", clip(number, 2.0))
        save(root / "negatives" / f"{number}.wav", clip(number, 2.0))
    recipe, notes = written(root)
    sound = recipe.data.sound
    assert sound is not None
    assert [path.resolve() for path in sound.noise] == [place / "_background_noise_"]
    assert [path.resolve() for path in sound.negatives] == [root / "negatives"]
    assert open_source(recipe.data).classes == ("no", "yes", "unknown", "silence")
    assert len(notes) == 1


def test_a_test_folder_is_seen(tmp_path: Path) -> None:
    folders(tmp_path / "words" / "train")
    folders(tmp_path / "words" / "test")
    recipe, _ = written(tmp_path / "words")
    assert recipe.data.source == "folder"
    assert recipe.data.test is not None
    assert recipe.data.test.name == "test"


def a_table(path: Path, **columns: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = [encoded(clip(take)) for take in range(6)]
    table = {"id": [str(n) for n in range(6)], "audio": audio, "label": ["no", "yes"] * 3}
    pq.write_table(pa.table({**table, **columns}), path)
    return path


@pytest.mark.parametrize("named", ["folder", "file"])
def test_parquet(tmp_path: Path, named: str) -> None:
    file = a_table(tmp_path / "d" / "words.parquet", speaker=["a", "b", "c"] * 2)
    recipe, _ = written(file if named == "file" else file.parent)
    assert recipe.data.source == "parquet"
    assert (recipe.data.audio, recipe.data.label) == ("audio", "label")
    assert recipe.data.speaker == "speaker"
    assert recipe.data.test is None
    assert recipe.name == ("words" if named == "file" else "d")


def test_parquet_with_a_test_set_and_negatives(tmp_path: Path) -> None:
    for name in ("train", "test", "negatives"):
        a_table(tmp_path / "d" / f"{name}.parquet")
    recipe, _ = written(tmp_path / "d")
    assert recipe.data.source == "parquet"
    assert recipe.data.test is not None
    assert recipe.data.sound is not None
    assert [path.name for path in recipe.data.sound.negatives] == ["negatives.parquet"]


def test_a_manifest(tmp_path: Path) -> None:
    folders(tmp_path)
    lines = [
        {"audio_filepath": f"{text}/{take}.wav", "text": text, "speaker": take}
        for text in ("no", "yes") for take in range(5)
    ]  # fmt: skip
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, lines)))
    recipe, _ = written(tmp_path / "all.jsonl")
    assert recipe.data.source == "manifest"
    assert (recipe.data.path, recipe.data.label) == ("audio_filepath", "text")
    assert recipe.data.speaker == "speaker"


@pytest.mark.parametrize(
    ("given", "family"),
    [
        ("ds_cnn:276", "ds_cnn"),
        ("bc_resnet:1.5", "bc_resnet"),
        ("keyword_transformer", "keyword_transformer"),
        ("huggingface:some/model", "huggingface"),
        ("own:net", "function"),
    ],
)
def test_teachers(tmp_path: Path, given: str, family: str) -> None:
    (tmp_path / "own.py").write_text("def net(classes, inputs): ...\n")
    recipe, _ = written(folders(tmp_path / "words"), given)
    assert recipe.teacher.family == family
    assert (recipe.stages.teacher.train is None) == (family == "huggingface")


@pytest.mark.parametrize("given", ["resnet_cifar:20", "ds_cnn", "ds_cnn:x", "bc_resnet:", ""])
def test_models_of_pictures_are_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(UserError) as told:
        written(folders(tmp_path / "words"), "ds_cnn:64", given)
    assert told.value.message == f"--student {given}: no model of sound"
    assert told.value.hint.startswith("ds_cnn:WIDTH, bc_resnet:SCALE, ")


def test_pictures_need_a_teacher(tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        write_recipe(tmp_path / "r.yaml", None, None, "digits", "android-arm64")
    assert told.value.message == "--teacher: which model answers?"


def test_sound_without_labels(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"audio": [encoded(clip(0))], "who": ["x"]}), file)
    with pytest.raises(UserError) as told:
        written(file)
    assert told.value.message == f"{file}: no label among audio, who"


def test_several_tables(tmp_path: Path) -> None:
    for name in ("a", "b"):
        a_table(tmp_path / "d" / f"{name}.parquet")
    with pytest.raises(UserError) as told:
        written(tmp_path / "d")
    assert told.value.message == (
        f"--data {tmp_path}/d: a.parquet, b.parquet: which is trained on, and which tests?"
    )


def test_what_cannot_be_heard(tmp_path: Path) -> None:
    for name in ("no", "yes"):
        (tmp_path / "words" / name).mkdir(parents=True)
        (tmp_path / "words" / name / "a.wav").write_bytes(b"not sound")
    with pytest.raises(UserError) as told:
        written(tmp_path / "words")
    assert told.value.message == "no recording could be read"


def test_the_text_says_what_to_do_next(tmp_path: Path) -> None:
    written(folders(tmp_path / "words"))
    text = (tmp_path / "r.yaml").read_text()
    assert "# 10 clips of 2 classes (no, yes), 16000 Hz, up to 0.6 s long." in text
    assert yaml.safe_load(text)["data"]["sound"]["negatives"] == []
    assert "# max_false_accepts_per_hour: 1" in text
