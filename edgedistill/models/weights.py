"""Weights in and out of safetensors. Pickles are refused: loading one can run any code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.errors import UserError, reading
from edgedistill.files import check_regular

if TYPE_CHECKING:
    import torch
    from torch import nn

PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
DAMAGED = "write it with safetensors.torch.save_file; if it was copied, copy it again"
SHOWN = 8
_ONLY_WEIGHTS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


@contextmanager
def without_pickles() -> Iterator[None]:
    """Let `torch.load` read nothing but tensors, whatever a library asks of it: torchvision's own
    weights are downloaded as pickles and loaded as such."""
    before = os.environ.get(_ONLY_WEIGHTS)
    os.environ[_ONLY_WEIGHTS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ONLY_WEIGHTS]
        else:
            os.environ[_ONLY_WEIGHTS] = before


def check(path: Path) -> None:
    """Raises UserError: not there, or not safetensors by its name and first bytes."""
    if path.suffix.lower() in PICKLES:
        raise UserError(
            f"weights: {path} is a pickle, which can run any code when loaded; refused",
            "convert it once, from a source you trust:\n"
            "  import torch, safetensors.torch\n"
            f"  tensors = torch.load({path.name!r}, weights_only=True)\n"
            f"  safetensors.torch.save_file(tensors, {path.with_suffix('.safetensors').name!r})",
        )
    check_regular(path, "weights: file")
    with path.open("rb") as stream:
        start = stream.read(9)
    size = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:] != b"{" or size > path.stat().st_size:
        raise UserError(
            f"weights: {path} is not a safetensors file",
            "write it with safetensors.torch.save_file(module.state_dict(), path)",
        )


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name. Raises UserError: it is none, or damaged."""
    from safetensors.torch import load_file

    check(path)
    with reading(f"weights: {path}", DAMAGED):
        tensors: dict[str, torch.Tensor] = load_file(path)
    return tensors


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a safetensors file's tensors by name, without reading them. Raises UserError
    as `read`."""
    from safetensors import safe_open

    check(path)
    with reading(f"weights: {path}", DAMAGED), safe_open(path, "numpy") as file:
        names = file.keys()
        return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def fit(module: nn.Module, tensors: dict[str, torch.Tensor], where: str) -> None:
    """Load `tensors` into `module`, all of them or none. Batch norm's counters of steps
    (`num_batches_tracked`) may be absent or superfluous.

    Raises UserError that lists the first misfits; also where numbers would lose their meaning (of
    another kind, as 8-bit ones without their scales are), or are none (NaN).
    """
    own = module.state_dict()
    wanted, given = (
        {name for name in names if not name.endswith("num_batches_tracked")}
        for names in (own, tensors)
    )
    wrong = [f"missing: {name} {list(own[name].shape)}" for name in sorted(wanted - given)]
    wrong += [f"unexpected: {name} {list(tensors[name].shape)}" for name in sorted(given - wanted)]
    wrong += [
        f"shape: {name} is {list(tensors[name].shape)}, the model's is {list(own[name].shape)}"
        for name in sorted(wanted & given)
        if tensors[name].shape != own[name].shape
    ]
    _refuse(wrong, f"weights: {where} does not fit the model", _hint(wanted, given))
    _refuse(
        [
            f"{name} {problem}"
            for name in sorted(wanted)
            if (problem := _misfit(tensors[name], own[name])) is not None
        ],
        f"weights: {where} has values that the model cannot take",
        "write them again from a model that was trained to its end, in floating point",
    )
    own.update({name: tensors[name] for name in own if name in tensors})
    module.load_state_dict(own)


def _refuse(wrong: list[str], told: str, hint: str) -> None:
    if wrong:
        rest = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        raise UserError(
            f"{told}:\n" + "\n".join(f"  {line}" for line in wrong[:SHOWN] + rest), hint
        )


def _misfit(given: torch.Tensor, own: torch.Tensor) -> str | None:
    """Why values cannot stand for those of the model."""
    kinds = [
        "complex" if tensor.is_complex() else "real" if tensor.is_floating_point() else "whole"
        for tensor in (given, own)
    ]
    if kinds[0] != kinds[1]:
        return f"are {given.dtype}, the model's are {own.dtype}".replace("torch.", "")
    if given.is_floating_point() and given.numel() and bool(given.float().isnan().any()):
        return "are not all numbers (NaN)"
    return None


def _hint(wanted: set[str], given: set[str]) -> str:
    for prefix in ("module.", "model.", "_orig_mod.", "state_dict."):
        if given and {name.removeprefix(prefix) for name in given} == wanted:
            return f"every name in the file begins with `{prefix}`: write it again without"
    if wanted == given:
        return "the names fit: check widths, channels and the number of classes"
    return "check the family, its depth and its shortcut against what the weights were made for"
