"""What advice reckons with, beside what the device counts of the two files.

Students with random weights: as they are, and as the advice would have them.

    python -m benchmarks.advice emulator:cortex-a76
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.common import write
from benchmarks.cost_model import exported, told
from edgedistill.advice.what_if import Basis, WhatIf, what_if
from edgedistill.cache import default_root
from edgedistill.costs import open_prices
from edgedistill.devices import open_device
from edgedistill.families.models import ResidualModel
from edgedistill.models import build, describe, save
from edgedistill.recipe import parse_recipe
from edgedistill.records import DataRecord, Duplicates, Pictures
from edgedistill.scratch import scratch_folder
from edgedistill.target import load_target

TARGET = load_target("android-arm64")
DEPTH, SIZE = 8, 32


def data() -> DataRecord:
    """Colour pictures of the size that the files are counted with."""
    return DataRecord(
        task="classification", classes=tuple("0123456789"), labels=tuple("0123456789"),
        captions=tuple("0123456789"), pictures=Pictures((SIZE, SIZE), "crop", 3), arrays=(),
        own_test=True, counts={}, unlabelled=0, class_counts={},
        duplicates=Duplicates({}, {}, ()), skipped=(),
    )  # fmt: skip


def student(*widths: int) -> ResidualModel:
    """Of so many channels in its three groups."""
    fields = {"family": "resnet_cifar", "depth": DEPTH, "widths": widths, "shortcut": "conv"}
    return ResidualModel.model_validate(fields)


def asked(folder: Path, model: ResidualModel, basis: Basis) -> WhatIf:
    """What is reckoned of an untrained student."""
    described = model.model_dump(mode="json")
    content = {
        "name": "advice", "data": {"source": "digits"}, "teacher": described, "student": described,
        "stages": {"teacher": {"train": {}}},
    }  # fmt: skip
    recipe = parse_recipe(content, "recipe")
    made = build(model, 10, data().inputs)
    save(made, folder / str(model.widths), describe(model, 10, data().inputs))
    return what_if(recipe, TARGET, folder / str(model.widths), data(), True, basis)


def main() -> None:
    import torch

    name = sys.argv[1] if len(sys.argv) > 1 else "emulator:cortex-a76"
    device = open_device(name)
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    with scratch_folder() as folder:
        prices = open_prices(device, TARGET, "int8", default_root(), print)
        basis = Basis.of(TARGET, True, prices, prices.where)

        def counted(*widths: int) -> float:
            path = folder / f"{widths}.tflite"
            exported(build(student(*widths), 10, data().inputs).eval(), SIZE, path)
            found, *_ = told(device, path, TARGET.threads)
            return found / (1.0 if device.how == "emulated" else 1e3)

        def row(change: str, now: tuple[int, ...], then: tuple[int, ...], gain: float) -> None:
            before = counted(*now)
            real = before - counted(*then)
            rows.append({
                "change": change, "now": before, "reckoned": gain, "counted": real,
                "off": 100 * (gain - real) / before,
            })  # fmt: skip
            print(rows[-1])

        ragged, nearly, narrow = (18, 36, 64), (16, 32, 60), (16, 24, 48)
        found = asked(folder, student(*ragged), basis)
        assert found.narrowed is not None
        row("18 and 36 channels become 16 and 32", ragged, (16, 32, 64),
            found.cost - found.narrowed)  # fmt: skip
        found = asked(folder, student(*nearly), basis)
        (last,) = (each for each in found.widths if each.layer.endswith("shortcut.0"))
        row("60 channels around the last block become 64", nearly, (16, 32, 64),
            found.cost - last.higher.cost)  # fmt: skip
        found = asked(folder, student(*narrow), basis)
        (wider,) = found.students.values()
        row("a student half as wide again", narrow, (24, 40, 72), found.cost - wider)
    write("advice", rows, seeds=[0], device=prices.where, unit=basis.unit)


if __name__ == "__main__":
    main()
