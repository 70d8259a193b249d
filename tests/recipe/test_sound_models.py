"""What recipes say of models of sound, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from edgedistill.errors import UserError
from edgedistill.families.sound import FrontEndSettings
from edgedistill.recipe import Model, parse_recipe


def mistake(**fields: Any) -> str:
    with pytest.raises(ValidationError) as told:
        TypeAdapter(Model).validate_python(fields)
    return "; ".join(each["msg"].removeprefix("Value error, ") for each in told.value.errors())


def test_the_last_band_ends_below_half_the_rate() -> None:
    assert FrontEndSettings().range_hz == (60, 7600)
    assert FrontEndSettings(rate=8000).range_hz == (60, 3800)
    assert FrontEndSettings(rate=48_000, highest_hz=20_000).range_hz == (60, 20_000)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"family": "ds_cnn", "front_end": {"rate": 8000, "highest_hz": 5000}},
         "bands from 60 to 5000 Hz, of sound with 8000 samples a second: `highest_hz` is above "
         "`lowest_hz`, and at most half the rate"),
        ({"family": "ds_cnn", "time_kernel": 2, "time_stride": 3},
         "`time_kernel` is 2 and `time_stride` 3: frames between would be heard by nobody"),
        ({"family": "bc_resnet", "front_end": {"bands": 64}},
         "`front_end.bands` is 64, which three halvings do not divide into 5 `sub_bands`; take a "
         "multiple of 40"),
        ({"family": "keyword_transformer", "width": 64, "heads": 3},
         "`width: 64` is no multiple of `heads: 3`"),
    ],
)  # fmt: skip
def test_models_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    assert mistake(**fields) == message


def test_models_hear_at_the_rate_of_the_data() -> None:
    document = {
        "name": "words",
        "data": {"source": "folder", "train": "a", "sound": {"rate": 8000}},
        "teacher": {"family": "keyword_transformer", "front_end": {"rate": 8000}},
        "student": {"family": "ds_cnn"},
        "stages": {"teacher": {"train": {}}},
    }
    with pytest.raises(UserError) as error:
        parse_recipe(document, "r.yaml")
    assert error.value.message == (
        "r.yaml: `student.front_end.rate` is 16000, and `data.sound.rate` 8000; give both the same"
    )
    parse_recipe(document, "r.yaml", ["student.front_end.rate=8000"])
