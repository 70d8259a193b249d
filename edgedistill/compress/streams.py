"""What a model's other programs are fed: the inputs of `main`, cut as they take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from edgedistill.errors import UserError
from edgedistill.program import Program, graph_of, rollout

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.signature import TensorSpec


def fed(program: Program, name: str, batches: Iterable[tuple[Tensor, ...]]) -> Iterator[
    tuple[Tensor, ...]
]:  # fmt: skip
    """The inputs of one of a model's programs, (batch, ...) each, for batches of what `main` takes,
    states included: each as the program itself leaves it, from zero at the beginning of every
    batch.

    Raises UserError: what `main` takes cannot be cut into the program's inputs.
    """
    import torch

    graph = graph_of(program)
    with torch.no_grad():
        for batch in batches:
            steps = pieces(program, name, batch)
            for given, _ in rollout(graph, program.signature, steps):
                yield given


def pieces(program: Program, name: str, inputs: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    """The inputs of each step of a program but its states: the inputs of `main`, each cut along
    the one axis that the program takes less of, or one of.

    inputs: of `main`, in order, each (batch, ...). Raises UserError: they cannot be cut so.
    """
    fresh = program.signature.fresh
    if len(fresh) != len(inputs):
        raise UserError(
            f"the model's program `{name}` takes {len(fresh)} inputs that are no state, `main` "
            f"takes {len(inputs)}",
            "let it take a piece of each, in the same order",
        )
    cut = [_cut(value, spec, name) for value, spec in zip(inputs, fresh, strict=True)]
    steps = max(map(len, cut))
    whole = [each * steps if len(each) == 1 else each for each in cut]
    return list(zip(*whole, strict=True))


def _cut(value: Tensor, spec: TensorSpec, name: str) -> list[Tensor]:
    wanted = spec.of_batch(len(value))[1:]
    shape = tuple(value.shape[1:])
    if shape == wanted:
        return [value]
    if len(shape) == len(wanted):
        (axis, *more) = [at for at in range(len(shape)) if shape[at] != wanted[at]]
        if not more and shape[axis] % wanted[axis] == 0:
            return list(value.split(wanted[axis], axis + 1))  # type: ignore[no-untyped-call]
    for axis in range(len(shape)):
        if shape[:axis] + shape[axis + 1 :] == wanted:
            return list(value.unbind(axis + 1))
    raise UserError(
        f"the model's program `{name}`: its input `{spec.name}` of shape {wanted} is no piece of "
        f"what `main` takes, {shape}",
        "let it take a part along one axis that divides it, or one of that axis",
    )
