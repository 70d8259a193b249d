from __future__ import annotations

from edgedistill.artifact import open_sealed, seal
from edgedistill.data import fingerprint
from edgedistill.recipe import Augment, DigitsData
from edgedistill.records import DataRecord
from edgedistill.stages import STAGES, Context
from edgedistill.stages.data import Config


class Silent:
    def say(self, text: str) -> None:
        pass

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        pass


def test_stage_leaves_splits_and_their_description(tmp_path):
    data = DigitsData(source="digits", image_size=8, limit=50)
    config = Config(data=data, task="classification", fingerprint=fingerprint(data))
    metrics = STAGES["data"].run(
        config, {}, Context(tmp_path, 0, True, Silent(), tmp_path / "answers")
    )
    seal(tmp_path, "data", metrics, {})
    artifact = open_sealed(tmp_path)
    assert metrics["counts"] == {"train": 40, "validation": 10, "test": 359}
    assert DataRecord.read(artifact).counts == metrics["counts"]
    assert artifact.file("train/images.npy").exists()


def _config(data):
    return Config(data=data, task="classification", fingerprint="x").model_dump()


def test_augmentation_and_workers_are_not_part_of_the_key():
    first = DigitsData(source="digits")
    second = DigitsData(source="digits", augment=Augment(shift=2), workers=2)
    configs = [_config(data) for data in (first, second)]
    assert configs[0] == configs[1]
    third = DigitsData(source="digits", validation=0.2)
    assert _config(third) != configs[0]
