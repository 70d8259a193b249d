from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from edgedistill.errors import UserError
from edgedistill.recipe import Augment, Data, SoundAugment, load_recipe, parse_recipe


def data(**fields: Any) -> Data:
    return TypeAdapter(Data).validate_python({"source": "folder", "train": "a", **fields})


def mistake(**fields: Any) -> str:
    with pytest.raises(ValidationError) as told:
        TypeAdapter(Data).validate_python({"source": "folder", "train": "a"} | fields)
    return "; ".join(each["msg"] for each in told.value.errors())


def test_sound_gives_windows_of_samples() -> None:
    found = data(sound={"rate": 8000, "seconds": 1.25})
    assert found.arrays == {"samples": (10_000,)}
    assert isinstance(found.changes, SoundAugment)
    assert isinstance(data(image_size=32).changes, Augment)
    assert data(image_size=32).arrays is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_size", 32), ("resize", "fit"), ("channels", 1), ("convert_channels", False),
     ("caption", "a {}"), ("augment", {"flip": True})],
)  # fmt: skip
def test_fields_of_pictures_are_refused(name: str, value: Any) -> None:
    assert f"`{name}` is of pictures, and `sound` says that samples are none" in mistake(
        sound={}, **{name: value}
    )


def test_one_of_both_is_needed() -> None:
    assert "the key `image_size` is missing; or `sound`, where samples are recordings" in mistake()


def test_sources_of_pictures_alone() -> None:
    told = mistake(source="arrays", test="b", image_size=32, sound={})
    assert "`sound` goes with the sources folder, parquet, huggingface and manifest" in told


def test_the_least_decibels_come_first() -> None:
    told = mistake(sound={"augment": {"snr_db": [20, 5]}})
    assert "`snr_db: [20.0, 5.0]`: the least comes first" in told


def test_paths_of_recordings_are_found_from_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: r\ndata: {source: manifest, train: a.jsonl, sound: {negatives: [b, /c], "
        "noise: [~/d]}}\nteacher: {family: ds_cnn}\nstudent: {family: ds_cnn}\n"
        "stages: {teacher: {train: {}}}\n"
    )
    found = load_recipe(tmp_path / "r.yaml").data
    assert found.sound is not None
    assert found.sound.negatives == (tmp_path / "b", Path("/c"))
    assert found.sound.noise == (Path.home() / "d",)
    assert found.sound.augment.snr_db == (5.0, 20.0)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_tasks_of_other_labels(task: str) -> None:
    document = {
        "name": "r", "task": task, "data": {"source": "folder", "train": "a", "sound": {}},
        "teacher": {"family": "ds_cnn"}, "student": {"family": "ds_cnn"},
        "stages": {"teacher": {"train": {}}},
    }  # fmt: skip
    with pytest.raises(UserError) as told:
        parse_recipe(document, "r.yaml")
    assert f"`task: {task}` is not of sound, where a clip has one class" in told.value.message
