from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import data_record

from edgedistill.artifact import Artifact
from edgedistill.data.splits import image_writer
from edgedistill.models import build, describe, save
from edgedistill.recipe import Augment, ResidualModel, Training
from edgedistill.signature import image_inputs
from edgedistill.stages import Context, control

SHAPE = 2, image_inputs(3, 8, 8)
SMALL = ResidualModel(family="resnet_cifar", depth=8, widths=(4, 4, 4))


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Artifact]:
    """Twenty images, and a student that was distilled for 60 passes and pruned for 40 more."""
    for name in ("train", "validation"):
        writer = image_writer(tmp_path / "data" / name, (8, 8, 3))
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (20, 8, 8, 3), np.uint8)
        writer.add([images], np.arange(20) % 2, np.arange(20))
        writer.close()
    data_record(["a", "b"], 8, 3).write(tmp_path / "data")
    save(build(SMALL, *SHAPE), tmp_path / "student" / "model", describe(SMALL, *SHAPE))
    metrics = {"distill": {"samples_seen": 60.0}, "prune": {"samples_seen": 40.0, "undone": False}}
    made = {
        name: Artifact(tmp_path / "student", name, "", metrics[name])
        for name in ("distill", "prune")
    }
    return {"data": Artifact(tmp_path / "data", "data", ""), **made}


class Silent:
    def say(self, text: str) -> None: ...

    def tick(self, *_: Any) -> None: ...


def passes(inputs: dict[str, Artifact], folder: Path) -> float:
    folder.mkdir()
    config = control.Config(
        train=Training(batch_size=10, precision="fp32"), augment=Augment(), workers=0
    )
    done = control.run(config, inputs, Context(folder, 0, False, Silent(), folder))
    return float(done["samples_seen"])


def test_the_control_trains_for_as_many_passes_as_the_student_that_ships(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    assert passes(inputs, tmp_path / "pruned") == 100
    inputs["prune"].metrics["undone"] = True
    assert passes(inputs, tmp_path / "undone") == 60
    del inputs["prune"]
    assert passes(inputs, tmp_path / "whole") == 60
