"""Weights in and out of safetensors. Pickles are refused: loading one can run any code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
            f"  found = torch.load({str(path)!r}, weights_only=True)\n"
            "  found = found.get('state_dict', found)\n"
            "  tensors = {name: each.clone().contiguous() for name, each in found.items()}\n"
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


Shapes = dict[str, tuple[int, ...]]


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> Shapes:
    """The shape of each tensor, by its name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def fit(
    module: nn.Module, tensors: dict[str, torch.Tensor], where: str, heads: Sequence[str] = ()
) -> set[str]:
    """Load `tensors` into `module`, all of them or none, but for those that `misfits` names, which
    it returns. Batch norm's counters of steps (`num_batches_tracked`) may be absent or superfluous.

    Raises UserError that lists the first misfits; also where numbers would lose their meaning (of
    another kind, as 8-bit ones without their scales are), or are none (NaN).
    """
    own = module.state_dict()
    left_out = misfits(shapes_of(own), shapes_of(tensors), where, heads)
    _refuse(
        [
            f"{name} {problem}"
            for name in sorted(own.keys() & tensors.keys() - left_out)
            if (problem := _misfit(tensors[name], own[name])) is not None
        ],
        f"weights: {where} has values that the model cannot take",
        "write them again from a model that was trained to its end, in floating point",
    )
    taken = own.keys() & tensors.keys() - left_out
    own.update({name: tensors[name] for name in taken})  # the same object: it has the versions
    module.load_state_dict(own)
    return left_out


def misfits(own: Shapes, given: Shapes, where: str, heads: Sequence[str] = ()) -> set[str]:
    """The tensors of a model that a file of weights cannot give: none, or where nothing else
    differs, and it differs in its number of outputs alone, those of its output layers `heads`.

    Raises UserError that lists the first tensors that do not fit.
    """
    wanted, there = (
        {name for name in names if not name.endswith("num_batches_tracked")}
        for names in (own, given)
    )
    wrong = {name: f"missing: {name} {list(own[name])}" for name in sorted(wanted - there)}
    wrong |= {name: f"unexpected: {name} {list(given[name])}" for name in sorted(there - wanted)}
    other = [name for name in sorted(wanted & there) if given[name] != own[name]]
    wrong |= {
        name: f"shape: {name} is {list(given[name])}, the model's is {list(own[name])}"
        for name in other
    }
    of_heads = {name for name in wrong if any(name.startswith(f"{head}.") for head in heads)}
    if wrong and of_heads == set(wrong) and all(given[n][1:] == own[n][1:] for n in other):
        return {name for name in own if any(name.startswith(f"{head}.") for head in heads)}
    # Of a file with another head too, what does not fit beside it is what there is to mend.
    told = {name: line for name, line in wrong.items() if name not in of_heads} or wrong
    _refuse(
        list(told.values()), f"weights: {where} does not fit the model", _hint(own, given, heads)
    )
    return set()


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


def _hint(own: Shapes, given: Shapes, heads: Sequence[str]) -> str:
    for prefix in ("module.", "model.", "_orig_mod.", "state_dict."):
        every = bool(given) and all(name.startswith(prefix) for name in given)
        if every and _body(name.removeprefix(prefix) for name in given) == _body(own):
            return f"every name in the file begins with `{prefix}`: write it again without"
    if _body(own) != _body(given):
        return "check the family, its depth and its shortcut against what the weights were made for"
    first = next((name for name in own if len(own[name]) == 4), "")
    if len(given.get(first, ())) == 4 and own[first][1] != given[first][1]:
        return (
            f"the names fit; the weights' first layer, `{first}`, takes {given[first][1]} "
            f"channel(s), the model's {own[first][1]}: check `data.channels`"
        )
    if heads:
        return "the names fit, and another number of classes is allowed for: check the widths"
    return "the names fit: check widths, channels and the number of classes"


def _body(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.endswith("num_batches_tracked")}
