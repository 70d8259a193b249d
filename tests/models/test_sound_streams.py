"""A step of a model of sound is its whole window, and both are the runtimes'."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sound_models import (
    BC_RESNET,
    CLASSES,
    DS_CNN,
    FRONT_END,
    LENGTH,
    PCEN,
    TRANSFORMER,
    built,
    model_of,
    waves,
)
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.errors import UserError
from edgedistill.models import build, describe, load, save
from edgedistill.models.programs import programs
from edgedistill.program import Program, graph_of, rollout
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.sequences import Stream
from edgedistill.signature import Signature, image_inputs, sound_inputs

FAMILIES = {
    "ds_cnn": DS_CNN,
    "ds_cnn, other strides": DS_CNN | {"time_stride": 3, "time_kernel": 7, "band_kernel": 5},
    "ds_cnn, pcen and pool": PCEN | {"pool": "depthwise"},
    "bc_resnet": BC_RESNET,
    "bc_resnet, other strides": BC_RESNET | {"time_stride": 2, "blocks": [1, 1, 1, 1]},
}
MORE = ("ds_cnn, pcen and pool", "bc_resnet")
WHOLE = {"keyword_transformer": TRANSFORMER}


def pieces(heard: Tensor, hop: int) -> list[Tensor]:
    return list(torch.split(heard, hop, 1))


def hop_of(module: nn.Module) -> int:
    found: Any = module.hop
    return int(found)


def step_of(module: nn.Module) -> tuple[nn.Module, Signature]:
    call, signature = programs(module, sound_inputs(LENGTH))["step"]
    assert isinstance(signature, Signature)
    return call, signature


def answers(module: nn.Module, heard: Tensor) -> Tensor:
    """Of the step after each hop of `heard`: (hops, batch, classes)."""
    hop = hop_of(module)
    call, signature = step_of(module)
    steps = [(piece,) for piece in pieces(heard, hop)]
    with torch.no_grad():
        return torch.stack([given[0] for _, given in rollout(call, signature, steps)])


@pytest.mark.parametrize("name", FAMILIES)
def test_each_step_is_the_window_that_ends_there(name: str) -> None:
    module, heard = built(FAMILIES[name]), waves(2, 3 * LENGTH)
    hop = hop_of(module)
    found = answers(module, heard)
    ends = range(LENGTH, 3 * LENGTH + 1, hop)
    with torch.no_grad():
        wanted = torch.stack([module(heard[:, end - LENGTH : end]) for end in ends])
    assert wanted.std() > 0.1
    assert torch.allclose(found[LENGTH // hop - 1 :], wanted, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_steps_are_the_windows_for_a_quarter_of_a_minute(name: str) -> None:
    module, heard = built(FAMILIES[name]), waves(1, 15 * FRONT_END["rate"])
    hop = hop_of(module)
    found = answers(module, heard)[LENGTH // hop - 1 :, 0]
    with torch.no_grad():
        wanted = module(heard[0].unfold(0, LENGTH, hop))
    assert (found - wanted).abs().max() < 1e-5


@functools.cache
def folded(name: str) -> dict[str, Program]:
    """The programs of a model, once for all runtimes."""
    return {
        program: fold(part, signature)
        for program, (part, signature) in programs(
            built(FAMILIES[name]), sound_inputs(LENGTH)
        ).items()
    }


@pytest.mark.parametrize("runtime", STANDARD)
@pytest.mark.parametrize(
    "name",
    [
        "ds_cnn",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("ds_cnn, pcen and pool", "bc_resnet")
        ),
    ],
)
def test_every_runtime_answers_as_the_model(name: str, runtime: str, tmp_path: Path) -> None:
    module, heard, writer, loaded = built(FAMILIES[name]), waves(1), RUNTIMES[runtime], {}
    for each, program in folded(name).items():
        path = tmp_path / f"{each}{writer.suffix}"
        writer.write(program, path, Spec("fp32", tuple("abc")))
        loaded[each] = writer.load(path)
    with torch.no_grad():
        wanted = module(heard).numpy()
    np.testing.assert_allclose(loaded["main"](heard.numpy()), wanted, atol=1e-5)
    stream = Stream(loaded["step"])
    given = [stream(piece.numpy()) for piece in pieces(heard, hop_of(module))]
    np.testing.assert_allclose(given[-1]["logits"].astype(np.float32), wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["ds_cnn", pytest.param("bc_resnet", marks=pytest.mark.slow)])
def test_the_programs_are_the_model_after_fold(name: str) -> None:
    module, made, heard = built(FAMILIES[name]), folded(name), waves(2)
    steps = [(piece,) for piece in pieces(heard, hop_of(module))]
    *_, (_, given) = rollout(graph_of(made["step"]), made["step"].signature, steps)
    with torch.no_grad():
        wanted = module(heard)
        assert torch.allclose(given[0], wanted, atol=1e-5)
        assert torch.allclose(graph_of(made["main"])(heard), wanted, atol=1e-5)


@pytest.mark.parametrize("name", [*FAMILIES, *WHOLE])
def test_families_of_sound_are_saved_and_reloaded(name: str, tmp_path: Path) -> None:
    values, heard = {**FAMILIES, **WHOLE}[name], waves(2)
    module = built(values)
    save(module, tmp_path / "model", describe(model_of(values), CLASSES, sound_inputs(LENGTH)))
    with torch.no_grad():
        assert torch.equal(module(heard), load(tmp_path / "model")(heard))


def test_states_are_as_wide_as_the_layers_and_zero_at_first() -> None:
    module = built(DS_CNN)
    _, signature = step_of(module)
    shapes = {each.name: each.shape for each in signature.inputs}
    assert shapes == {
        "samples": (None, 160),
        "samples_in": (None, 160),
        "frames_in": (None, 1, 2, 12),
        "block0_in": (None, 8, 2, 6),
        "block1_in": (None, 8, 2, 6),
        "pool_in": (None, 8, 11, 1),
    }
    assert signature.state == {
        name.replace("_in", "_out"): name for name in shapes if name.endswith("_in")
    }
    assert not module.training


@pytest.mark.parametrize(
    ("length", "message", "hint"),
    [
        (2480, "model `ds_cnn` hears 160 samples at a time, and a window has 2480: no whole "
               "number of those", "set `data.sound.seconds` to 0.32"),
        (960, "model `ds_cnn` sees 0.14 s at once, and a window is 0.12 s",
              "lengthen `data.sound.seconds`, or let the model see less: fewer blocks, smaller "
              "kernels and dilations in time"),
    ],
)  # fmt: skip
def test_windows_that_do_not_fit_are_told(length: int, message: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        build(model_of(DS_CNN), CLASSES, sound_inputs(length))
    assert (error.value.message, error.value.hint) == (message, hint)


def test_pictures_are_no_sound() -> None:
    with pytest.raises(UserError, match="model `ds_cnn` takes sound, the data are 3x8x8"):
        build(model_of(DS_CNN), CLASSES, image_inputs(3, 8, 8))
