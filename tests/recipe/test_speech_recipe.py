from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgedistill.document import problems
from edgedistill.recipe import Speech
from edgedistill.recipe.paths import with_absolute_paths
from edgedistill.recipe.speech import LANGUAGES


def mistake(**fields: Any) -> str:
    with pytest.raises(ValidationError) as told:
        Speech(**{"train": "a", "language": "en", **fields})
    return problems(told.value, Speech, "r")


def test_one_place_or_several() -> None:
    found = Speech(train="a", test=["b", "c"], language="de")  # type: ignore[arg-type]
    assert (found.train, found.test) == ((Path("a"),), (Path("b"), Path("c")))
    assert (found.rate, found.seconds, found.window) == (16_000, 30.0, 480_000)
    moved = with_absolute_paths(found, Path("/data"))
    assert (moved.train, moved.test) == ((Path("/data/a"),), (Path("/data/b"), Path("/data/c")))
    assert Speech.model_validate(found.model_dump()) == found


def test_noise_is_one_place_or_several_too() -> None:
    found = Speech(train="a", noise="wind", language="de")  # type: ignore[arg-type]
    assert found.noise == (Path("wind"),)
    assert with_absolute_paths(found, Path("/data")).noise == (Path("/data/wind"),)
    assert mistake(noise=["b", "b"]).startswith("r: noise: `b` is listed twice")


def test_what_is_asked_for_by_name() -> None:
    found = Speech(train="a", language="en", text="text", speaker=None)  # type: ignore[arg-type]
    moved = with_absolute_paths(found, Path("/data"))
    assert [moved.asked_for(field) for field in ("text", "speaker", "audio")] == [
        True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"train": []}, "train: needs at least 1 (got 0)"),
        ({"train": ["a", "a"]}, "train: `a` is listed twice"),
        ({"train": 3}, "train: should be a path (got 3)"),
        ({"test": ["b", "a"]}, "`a` is in `train` and in `test`"),
        ({"seconds": 30.5}, "seconds: input should be less than or equal to 30 (got 30.5)"),
        ({"seconds": 0.5}, "seconds: input should be greater than or equal to 1 (got 0.5)"),
        ({"validation": 0}, "validation: input should be greater than 0 (got 0)"),
        ({"language": "eng"}, "language: `eng` is none of Whisper's languages; did you mean `en`?"),
        ({"text": " "}, "text: should be a name, and is empty"),
    ],
)
def test_mistakes_are_told(fields: dict[str, Any], told: str) -> None:
    assert mistake(**fields).startswith(f"r: {told}")


def test_the_languages_are_whispers() -> None:
    whisper = pytest.importorskip("transformers.models.whisper.tokenization_whisper")
    assert tuple(sorted(whisper.LANGUAGES)) == LANGUAGES
