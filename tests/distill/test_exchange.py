from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from made import data_record

from edgedistill.artifact import Artifact
from edgedistill.data.splits import image_writer
from edgedistill.distill.exchange import write_parquet
from edgedistill.distill.store import Layout, keep, opened
from edgedistill.distill.teachers import TeacherBatch, stored
from edgedistill.recipe import StoredTeacher


@pytest.mark.parametrize("labels", [np.array([0, 2, -1]), np.float32([[1, 0], [0.5, 1], [0, 0]])])
def test_labels_and_answers_come_out_as_they_went_in(tmp_path: Path, labels: np.ndarray) -> None:
    data, teach = tmp_path / "data", tmp_path / "teach"
    writer = image_writer(data / "train", (8, 8, 1))
    writer.add([np.zeros((3, 8, 8, 1), np.uint8)], labels, np.array([5, 6, 9]))
    writer.close()
    data_record(["a", "b"]).write(data)
    teach.mkdir()
    logits = np.float32([[1, 2], [3, 4], [5, 6]])
    with opened(tmp_path / "store", Layout(2), 1, 3, {}) as store:
        store.add(0, np.arange(3), logits)
        keep(store, teach)
    path = tmp_path / "answers.parquet"
    assert write_parquet(Artifact(teach, "teach", ""), Artifact(data, "data", ""), path) == 3
    table = pyarrow.parquet.read_table(path)
    assert table["sample"].to_pylist() == [5, 6, 9]
    assert table["label"].to_pylist() == labels.tolist()
    assert table["logits"].to_pylist() == logits.tolist()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("form", ["full", "half", "top_k"])
def test_validation_images_are_answered_for_too(tmp_path: Path, form: Any) -> None:
    data, teach = tmp_path / "data", tmp_path / "teach"
    for name, numbers in (("train", [5, 6, 9]), ("validation", [2, 7])):
        writer = image_writer(data / name, (8, 8, 1))
        count = len(numbers)
        writer.add([np.zeros((count, 8, 8, 1), np.uint8)], np.zeros(count, int), np.array(numbers))
        writer.close()
    data_record(["a", "b", "c"]).write(data)
    teach.mkdir()
    logits = np.float32([[3, 2, 1], [1, 2, 3], [1, 3, 2]])
    with opened(tmp_path / "store", Layout(3, form, 2), 2, 3, {}) as store:
        for view in range(2):
            store.add(view, np.arange(3), logits)
        keep(store, teach)
    np.save(teach / "validation.npy", logits[1:])
    path = tmp_path / "answers.parquet"
    assert write_parquet(Artifact(teach, "teach", ""), Artifact(data, "data", ""), path) == 8
    config = StoredTeacher(family="stored", path=path)
    asked = stored.StoredTeacher(config, ["a", "b", "c"])
    wanted = np.array([2, 5, 6, 7, 9])
    assert asked.covers(wanted, of_test=False)
    batch = TeacherBatch(wanted, wanted, False, {"pixels": np.zeros((5, 1, 8, 8), np.float32)})
    (answered,) = asked.predict(batch)
    assert answered.logits.argmax(axis=1).tolist() == [2, 0, 2, 1, 1]
