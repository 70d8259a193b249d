"""Adds one of each to the tables, and uses it; prints what came of it as JSON.

Run in a process of its own: a recipe's types are made from the tables as it is imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from edgedistill.runtime_table import TABLE, RuntimeEntry

TABLE["toy"] = RuntimeEntry(
    "toy", ".toy", "nothing", "json", "numpy", ("numpy",), *["toy_runtime"] * 3
)

import toy_family  # noqa: E402
import toy_loss  # noqa: E402
import toy_task  # noqa: E402
import toy_teacher  # noqa: E402

from edgedistill.families.models import FAMILIES  # noqa: E402
from edgedistill.families.teachers import TEACHERS  # noqa: E402
from edgedistill.losses import LOSSES  # noqa: E402
from edgedistill.tasks import TASKS  # noqa: E402

LOSSES.append(toy_loss.Nearest)
TASKS["ages"] = toy_task.Ages()
FAMILIES.append(toy_family.Flat)
TEACHERS.append(toy_teacher.Oracle)

from edgedistill.recipe import parse_recipe  # noqa: E402


def recipe(**changes: Any) -> Any:
    document = {
        "name": "toy", "data": {"source": "digits"},
        "teacher": {"family": "oracle"},
        "student": {"family": "flat", "gain": 2},
        "stages": {"distill": {"losses": [{"kind": "nearest"}, {"kind": "labels"}]}},
    }  # fmt: skip
    return parse_recipe({**document, **changes}, "toy")


def loss() -> Any:
    import torch

    from edgedistill.distill.objective import Objective

    found = recipe()
    value = Objective(
        found.stages.distill.losses[:1], torch.nn.Identity(), None, (torch.zeros(1, 2),)
    )((torch.tensor([[1.0, 3.0]]),), torch.tensor([0]), torch.tensor([[0.0, 0.0]]))
    return value.item()


def task() -> Any:
    import numpy as np
    import torch

    found = recipe(task="ages", stages={"distill": {"losses": [{"kind": "labels"}]}})
    ages = TASKS[found.task]
    outputs, labels = np.log([[30.0], [40.0]]), np.array([[30.0], [80.0]])
    lost = ages.label_loss(torch.tensor(outputs), torch.tensor(labels), 0.0)
    return [ages.quality(outputs, labels), round(lost.sum().item(), 4), ages.audited]


def family() -> Any:
    import torch

    from edgedistill.models import build
    from edgedistill.signature import image_inputs

    module = build(recipe().student, 10, image_inputs(1, 8, 8))
    return list(module(torch.zeros(2, 1, 8, 8)).shape)


def teacher() -> Any:
    import numpy as np

    from edgedistill.distill.teachers import TeacherBatch, TeacherContext, open_teacher
    from edgedistill.signature import image_inputs

    context = TeacherContext(Path(), ("a", "b"), image_inputs(1, 8, 8))
    ids = np.arange(3)
    batch = TeacherBatch(ids, ids, False, {"pixels": np.zeros((3, 1, 8, 8), np.float32)})
    (found,) = open_teacher(recipe().teacher, context).predict(batch)
    return found.logits.argmax(axis=1).tolist()


def runtime() -> Any:
    from tempfile import TemporaryDirectory

    from edgedistill.runtimes import RUNTIMES, Spec, features, runtime_of
    from edgedistill.stages import STAGES
    from edgedistill.target import Target, load_target

    plain = load_target("linux-x64").model_dump()
    target = Target.model_validate({**plain, "runtimes": ["toy"], "kernel": None})
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.toy")
        written = RUNTIMES[target.primary].write(None, path, Spec("fp32", ("a",)))  # type: ignore[arg-type]
        answered = runtime_of(path).load(path)(7)  # type: ignore[arg-type]
        counted = runtime_of(path).inspect(path)["operators"]
    watched = features._watch("toy", path)
    return [written, answered, counted, watched, "numpy" in STAGES["export"].libraries]


def device() -> Any:
    from edgedistill.devices import (
        DEVICES,
        DeviceEntry,
        Job,
        Protocol,
        in_turn,
        in_words,
        open_device,
    )

    DEVICES["toy"] = DeviceEntry("toy", "", "of the tests", "toy_device")
    job = Job(Path("model.toy"), "toy", Path("inputs.npz"), Protocol(runs=6))
    with open_device("toy") as opened:
        (record,) = in_turn(opened, [job], rounds=2)
        return [len(record.samples_ms), record.peak_memory_mb, in_words(opened.identity())]


ALL = (loss, task, family, teacher, runtime, device)

if __name__ == "__main__":
    print(json.dumps({each.__name__: each() for each in ALL}))
