from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made import data_record
from safetensors.torch import save_file
from torch import nn

from edgedistill.distill.new_head import fit_new_head
from edgedistill.models import build
from edgedistill.recipe import ResidualModel
from edgedistill.signature import image_inputs
from edgedistill.tasks import TASKS

SEEN = image_inputs(3, 8, 8)


def laid_out(folder: Path, classes: int, unknown: int = 0) -> Path:
    """Images of `classes` levels of brightness; the first `unknown` of them without a label."""
    folder.mkdir()
    data_record().write(folder)
    for name in ("train", "validation"):
        random, place = np.random.default_rng(len(name)), folder / name
        place.mkdir()
        labels = np.arange(64, dtype=np.int64) % classes
        levels = 200 * labels // (classes - 1)
        images = random.integers(0, 50, (64, 8, 8, 3)) + levels[:, None, None, None]
        np.save(place / "images.npy", images.astype(np.uint8))
        np.save(place / "labels.npy", np.where(np.arange(64) < unknown, -1, labels))
        np.save(place / "samples.npy", np.arange(64))
    return folder


def made(classes: int, weights: Path | None = None) -> nn.Module:
    torch.manual_seed(0)
    model = ResidualModel(family="resnet_cifar", depth=8, widths=(8, 8, 8), weights=weights)
    return build(model, classes, SEEN)


def pretrained(folder: Path, classes: int) -> nn.Module:
    """A body with weights of nine other classes."""
    save_file(made(9).state_dict(), folder / "nine.safetensors")
    return made(classes, folder / "nine.safetensors")


def right(module: nn.Module, folder: Path) -> float:
    images = np.load(folder / "validation" / "images.npy").transpose(0, 3, 1, 2) / 255
    found = module.eval()(torch.from_numpy(images.astype(np.float32))).argmax(1).numpy()
    return float((found == np.arange(64) % int(found.max() + 1)).mean())


def put(module: nn.Module, folder: Path, task: str = "classification") -> tuple[bool, list[Any]]:
    told: list[Any] = []
    done = fit_new_head(module, folder, SEEN, TASKS[task], 0, lambda *tick: told.append(tick))
    return done, told


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("unknown", [0, 20])
def test_a_new_layer_fits_and_nothing_else_has_changed(
    tmp_path: Path, classes: int, unknown: int
) -> None:
    folder = laid_out(tmp_path / "data", classes, unknown)
    module = pretrained(tmp_path, classes)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    done, told = put(module, folder)
    assert done
    assert told[-1][0] == told[-1][1] == 2 * (64 - unknown)
    assert right(module, folder) > 0.95
    changed = {n for n, each in module.state_dict().items() if not torch.equal(each, before[n])}
    assert changed == {"linear.weight", "linear.bias"}


def test_twice_is_the_same(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "data", 3)
    first, second = (pretrained(tmp_path, 3) for _ in range(2))
    put(first, folder)
    torch.manual_seed(5)
    put(second, folder)
    assert torch.equal(first.linear.weight, second.linear.weight)  # type: ignore[arg-type,union-attr]


@pytest.mark.parametrize("why", ["random body", "multilabel", "retrieval", "too few", "too many"])
def test_what_cannot_be_fitted_is_left(tmp_path: Path, why: str) -> None:
    folder = laid_out(tmp_path / "data", 3)
    module = made(3) if why == "random body" else pretrained(tmp_path, 3)
    if why in ("too few", "too many"):  # classes with a sample
        np.save(folder / "train" / "labels.npy", np.arange(64) % (2 if why == "too few" else 4))
    before = {name: each.clone() for name, each in module.state_dict().items()}
    done, told = put(module, folder, why if why in TASKS else "classification")
    assert not done
    assert not told
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
