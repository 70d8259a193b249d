from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgedistill.data import prepare_speech
from edgedistill.recipe import Speech
from edgedistill.records import SpeechRecord


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def prepared(out: Path, reporter: Any) -> Callable[..., SpeechRecord]:
    """prepared(train=place, seconds=2): into `out`; seed=1 for another seed."""

    def run(seed: int = 0, **fields: Any) -> SpeechRecord:
        out.mkdir(exist_ok=True)
        return prepare_speech(Speech(**{"language": "en", **fields}), seed, out, reporter)

    return run
