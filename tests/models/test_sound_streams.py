"""A step of a model of sound is its whole window, and both are the runtimes'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sounds import CLASSES, DS_CNN, FRONT_END, LENGTH, built, model_of, sound_inputs, waves
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.errors import UserError
from edgedistill.models import build, describe, load, save
from edgedistill.models.programs import programs
from edgedistill.program import Program, graph_of, rollout
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.sequences import Stream
from edgedistill.signature import Signature, image_inputs

FAMILIES = [DS_CNN, DS_CNN | {"time_stride": 3, "time_kernel": 7, "band_kernel": 5}]


def pieces(heard: Tensor, hop: int) -> list[Tensor]:
    return list(torch.split(heard, hop, 1))


def step_of(module: nn.Module) -> tuple[nn.Module, Signature]:
    call, signature = programs(module, sound_inputs())["step"]
    assert isinstance(signature, Signature)
    return call, signature


def answers(module: nn.Module, heard: Tensor) -> Tensor:
    """Of the step after each hop of `heard`: (hops, batch, classes)."""
    hop: Any = module.hop
    call, signature = step_of(module)
    steps = [(piece,) for piece in pieces(heard, hop)]
    with torch.no_grad():
        return torch.stack([given[0] for _, given in rollout(call, signature, steps)])


@pytest.mark.parametrize("values", FAMILIES, ids=lambda each: each["family"])
def test_each_step_is_the_window_that_ends_there(values: dict[str, Any]) -> None:
    module, heard = built(values), waves(2, 3 * LENGTH)
    hop: Any = module.hop
    found = answers(module, heard)
    ends = range(LENGTH, 3 * LENGTH + 1, hop)
    with torch.no_grad():
        wanted = torch.stack([module(heard[:, end - LENGTH : end]) for end in ends])
    assert wanted.std() > 0.1
    assert torch.allclose(found[LENGTH // hop - 1 :], wanted, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("values", FAMILIES, ids=lambda each: each["family"])
def test_steps_are_the_windows_for_a_minute(values: dict[str, Any]) -> None:
    module, heard = built(values), waves(1, 60 * FRONT_END["rate"])
    hop: Any = module.hop
    found = answers(module, heard)[LENGTH // hop - 1 :, 0]
    with torch.no_grad():
        wanted = module(heard[0].unfold(0, LENGTH, hop))
    assert (found - wanted).abs().max() < 1e-5


@pytest.fixture(scope="module")
def folded() -> dict[str, Program]:
    """The programs of a model, once for all runtimes."""
    return {
        name: fold(part, signature)
        for name, (part, signature) in programs(built(DS_CNN), sound_inputs()).items()
    }


def test_the_programs_are_the_model_after_fold(folded: dict[str, Program]) -> None:
    heard = waves(2)
    steps = [(piece,) for piece in pieces(heard, 160)]
    *_, (_, given) = rollout(graph_of(folded["step"]), folded["step"].signature, steps)
    with torch.no_grad():
        wanted = built(DS_CNN)(heard)
        assert torch.allclose(given[0], wanted, atol=1e-5)
        assert torch.allclose(graph_of(folded["main"])(heard), wanted, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_answers_as_the_model(
    folded: dict[str, Program], runtime: str, tmp_path: Path
) -> None:
    heard, writer, loaded = waves(1), RUNTIMES[runtime], {}
    for name, program in folded.items():
        path = tmp_path / f"{name}{writer.suffix}"
        writer.write(program, path, Spec("fp32", tuple("abc")))
        loaded[name] = writer.load(path)
    with torch.no_grad():
        wanted = built(DS_CNN)(heard).numpy()
    np.testing.assert_allclose(loaded["main"](heard.numpy()), wanted, atol=1e-5)
    stream = Stream(loaded["step"])
    given = [stream(piece.numpy()) for piece in pieces(heard, 160)]
    np.testing.assert_allclose(given[-1]["logits"].astype(np.float32), wanted, atol=1e-5)


@pytest.mark.parametrize("values", FAMILIES, ids=lambda each: each["family"])
def test_families_of_sound_are_saved_and_reloaded(values: dict[str, Any], tmp_path: Path) -> None:
    module, heard = built(values), waves(2)
    save(module, tmp_path / "model", describe(model_of(values), CLASSES, sound_inputs()))
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
        "pool_in": (None, 8, 8, 1),
    }
    assert signature.state == {
        name.replace("_in", "_out"): name for name in shapes if name.endswith("_in")
    }
    assert not module.training


@pytest.mark.parametrize(
    ("length", "message", "hint"),
    [
        (2480, "model `ds_cnn` hears 160 samples in a step, and a window has 2480: no whole number "
               "of steps", "set `data.sound.seconds` to 0.32"),
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
