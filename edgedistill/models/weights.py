"""Weights in and out of safetensors. Pickles are refused: loading one can run any code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
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
    if not path.is_file():
        raise UserError(f"weights: file not found: {path}", "check the path")
    with path.open("rb") as stream:
        start = stream.read(9)
    size = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:] != b"{" or size > path.stat().st_size:
        raise UserError(
            f"weights: {path} is not a safetensors file",
            "write it with safetensors.torch.save_file(module.state_dict(), path)",
        )


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check(path)
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except SafetensorError as error:
        raise UserError(
            f"weights: {path} cannot be read: {error}", "the file is damaged; copy it again"
        ) from error
    return tensors


def fit(module: nn.Module, tensors: dict[str, torch.Tensor], where: str) -> None:
    """Load `tensors` into `module`, all of them or none. Batch norm's counters of steps
    (`num_batches_tracked`) may be absent or superfluous.

    Raises UserError that lists the first misfits.
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
    if wrong:
        rest = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        raise UserError(
            f"weights: {where} does not fit the model:\n"
            + "\n".join(f"  {line}" for line in wrong[:SHOWN] + rest),
            _hint(wanted, given),
        )
    own.update({name: tensors[name] for name in own if name in tensors})
    module.load_state_dict(own)


def _hint(wanted: set[str], given: set[str]) -> str:
    for prefix in ("module.", "model.", "_orig_mod.", "state_dict."):
        if given and {name.removeprefix(prefix) for name in given} == wanted:
            return f"every name in the file begins with `{prefix}`: write it again without"
    if wanted == given:
        return "the names fit: check widths, channels and the number of classes"
    return "check the family, its depth and its shortcut against what the weights were made for"
