from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.batch_norm import measure


@pytest.mark.slow
def test_a_short_training_is_worth_what_its_weights_are(quickly: None, tmp_path: Path) -> None:
    found = measure(tmp_path, 0, ("ptq",))
    assert found["float"] > 70
    assert not found["warned"]
    assert found["float"] >= found["float_estimated_outside"] - 2
    assert found["ptq"] >= found["ptq_estimated_outside"] - 2
    # Five kinds, as many of each.
    assert found["float_as_training_left"] < 30
    assert found["ptq_as_training_left"] < 30
