from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tones import RATE

from edgedistill.artifact import JsonObject
from edgedistill.data import prepare
from edgedistill.recipe import Data

SOUND = {"rate": RATE, "seconds": 0.5}


@pytest.fixture
def sound_data() -> Callable[..., Data]:
    """sound_data(train=folder, sound={"cut": "middle"}): a recipe's `data` of a folder, or of
    another `source`."""

    def make(sound: dict[str, Any] | None = None, **fields: Any) -> Data:
        form = {**SOUND, **(sound or {})}
        return TypeAdapter(Data).validate_python({"source": "folder", **fields, "sound": form})

    return make


@pytest.fixture
def prepared(tmp_path: Path, reporter: Any) -> Callable[..., JsonObject]:
    """prepared(data, seed=1): into `tmp_path / "out"`."""

    def run(data: Data, seed: int = 0) -> JsonObject:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        return prepare(data, "classification", seed, out, reporter)

    return run
