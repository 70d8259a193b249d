"""What a recipe says of listening."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tone_net

from edgedistill.errors import UserError
from edgedistill.recipe import parse_recipe
from edgedistill.tasks import TASKS
from edgedistill.tasks.keywords import heard_classes

PICTURES: dict[str, Any] = {
    "name": "digits",
    "data": {"source": "digits", "image_size": 8},
    "teacher": {"family": "resnet_cifar", "depth": 14},
    "student": {"family": "resnet_cifar", "depth": 8},
    "stages": {"teacher": {"train": {}}},
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "keywords"}, "`task: keywords` is of sound; give `data.sound`"),
        ({"stages": {"teacher": {"train": {}}, "listen": {"minutes": 5}}},
         "`stages.listen` is for `task: keywords`"),
        ({"contract": {"max_misses": 3}}, "`contract.max_misses` is for `task: keywords`"),
        ({"contract": {"max_false_accepts_per_hour": 1}},
         "`contract.max_false_accepts_per_hour` is for `task: keywords`"),
        ({"contract": {"max_hop_ms": 1}}, "`contract.max_hop_ms` is for `task: keywords`"),
    ],
)  # fmt: skip
def test_listening_is_of_keywords_in_sound(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        parse_recipe({**PICTURES, **changes}, "recipe.yaml")


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        ({"snr_db": [20, 5]}, "the least comes first"),
        ({"smoothing_ms": []}, "smoothing_ms"),
        ({"refractory_ms": [-1]}, "refractory_ms"),
        ({"minutes": 0}, "minutes"),
    ],
)
def test_settings_that_make_no_sense_are_told(
    tmp_path: Path, listen: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        tone_net.recipe(tmp_path, stages={"teacher": {"train": {}}, "listen": listen})


def test_keywords_are_the_classes_that_are_neither_unknown_nor_silence() -> None:
    labels = ("on", "off", "unknown", "silence")
    assert heard_classes(labels, (2, 3)) == (0, 1)
    assert heard_classes(labels[:3], (2, None)) == (0, 1)
    assert heard_classes(labels[:2], (None, None)) == (0, 1)
    assert "`listening` says" in TASKS["keywords"].reading(1.5)
