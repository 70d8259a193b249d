from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from made import data_record
from pydantic_core import PydanticSerializationError

from edgedistill.artifact import Artifact
from edgedistill.errors import UserError
from edgedistill.records import DataRecord, Duplicates, Twin
from edgedistill.signature import image_inputs


def read(folder: Path) -> DataRecord:
    return DataRecord.read(Artifact(folder, "data", ""))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    twin = Twin(True, ("a", (0.5, 1.0)), train="1.png", test="2.png")
    record = data_record(duplicates=Duplicates({"train/test": 1}, {"train/test": 0}, (twin,)))
    record.write(tmp_path)
    assert read(tmp_path) == record
    assert record.inputs == image_inputs(3, 8, 8)


def test_no_number_stays_no_number(tmp_path: Path) -> None:
    twin = Twin(True, ((math.nan,), None))
    data_record(duplicates=Duplicates({}, {}, (twin,))).write(tmp_path)
    (value,) = read(tmp_path).duplicates.examples[0].classes[0]
    assert math.isnan(float(value))


def test_every_mistake_of_a_file_is_named(tmp_path: Path) -> None:
    data_record().write(tmp_path)
    path = tmp_path / "data.json"
    written = json.loads(path.read_text())
    del written["task"]
    path.write_text(json.dumps(written | {"unlabelled": "3", "colour": 1}))
    with pytest.raises(UserError) as caught:
        read(tmp_path)
    assert caught.value.message == (
        f"{path}: `task` is missing; `unlabelled` Input should be a valid integer; "
        "`colour` is an unknown key"
    )


def test_a_value_of_another_type_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(PydanticSerializationError, match="Expected `int`"):
        replace(data_record(), unlabelled="3").write(tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
