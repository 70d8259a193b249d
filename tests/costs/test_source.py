from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgedistill.compress.cost import measure, priced
from edgedistill.compress.fold import fold
from edgedistill.compress.prune import importance, prune
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.costs import PriceSource
from edgedistill.devices import Job, open_device
from edgedistill.errors import UserError
from edgedistill.models import build
from edgedistill.recipe import ResidualModel
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.signature import image_inputs
from edgedistill.target import load_target

CORE = "emulator:cortex-a76"
TARGET = load_target("android-arm64").model_copy(update={"device": CORE})
EXAMPLE = torch.zeros(1, 3, 16, 16)


def test_what_was_asked_does_not_change_where_it_comes_from(tmp_path: Path) -> None:
    here = TARGET.model_copy(update={"device": "local"})
    source = PriceSource.of(here, "int8")
    assert source == PriceSource.of(here, "int8")
    assert source.digest != PriceSource.of(here, "fp32").digest
    changed = source.model_copy(update={"digest": "another"})
    with pytest.raises(UserError, match="`local` is another device or has other runtimes"):
        changed.open(tmp_path, print)
    assert not list(tmp_path.iterdir())


def test_a_target_without_litert_has_no_price_list() -> None:
    target = TARGET.model_copy(update={"runtimes": ("onnxruntime",)})
    with pytest.raises(UserError, match="there is no price list of it for onnxruntime"):
        PriceSource.of(target, "int8")


@pytest.mark.emulator
def test_a_goal_is_of_the_whole_file_as_the_device_counts_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    family = {"family": "resnet_cifar", "depth": 8, "widths": (32, 48, 64), "shortcut": "conv"}
    model = build(ResidualModel.model_validate(family), 10, image_inputs(3, 16, 16)).eval()
    prices = PriceSource.of(TARGET, "int8").open(tmp_path, print)
    cost = priced(prices)
    goal = 0.7 * measure(model, EXAMPLE, [cost])[cost]
    prune(model, EXAMPLE, {cost: goal}, importance("magnitude", model, []), 8)
    assert 0.95 * goal < _counted(model, tmp_path) < 1.05 * goal


def _counted(model: torch.nn.Module, folder: Path) -> float:
    """Instructions of one inference of the model's int8 file."""
    path, inputs = folder / "pruned.tflite", folder / "inputs.npz"
    prepared = prepare(fold(model, image_inputs(3, 16, 16)), TARGET.scheme)
    calibrate(prepared, [(torch.rand(4, 3, 16, 16),)])
    spec = Spec("int8", tuple("0123456789"), "integer")
    RUNTIMES["litert"].write(convert(prepared), path, spec)
    np.savez(inputs, pixels=np.zeros((1, 3, 16, 16), np.float32))
    with open_device(CORE) as device:
        return device.run(Job(path, "litert", inputs, profile=False)).instructions["all"]
