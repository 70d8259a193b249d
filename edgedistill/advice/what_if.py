"""What an inference of the student costs operator by operator, and what others would cost.

Costs are a device's prices where they are known, else multiply-accumulates, padded as the target's
kernels compute them where that is known. Each alternative is priced whole: a layer that gives more
channels makes the next one read more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgedistill.advice.alternatives import (
    Changed,
    at_sizes,
    groups,
    least,
    shortcuts,
    students,
)
from edgedistill.compress.cost import BYTES, MACS, Figure, PriceList, learn, padded, reckon
from edgedistill.models import inputs_of, load
from edgedistill.models.steps import Step, Work, works
from edgedistill.recipe import Recipe
from edgedistill.records import DataRecord
from edgedistill.records.advice import Unit
from edgedistill.signature import blank
from edgedistill.target import Target


@dataclass(frozen=True)
class Operator:
    """An operator of the student, and its part of an inference's cost."""

    layer: str
    """That it is, or comes after."""
    kind: str
    """`product`, or torch's name for it."""
    cost: float
    weights: int = 0
    """Elements that it multiplies with."""
    elements: int = 0
    """That it gives, of an operator that is no product."""
    positions: int = 0
    """Of each channel."""


@dataclass(frozen=True)
class Option:
    """Another number of channels, and an inference's cost with it."""

    channels: int
    cost: float


@dataclass(frozen=True)
class Width:
    """Channels that do not fill the kernels' last block."""

    layer: str
    channels: int
    block: int
    """Channels that are computed at once."""
    lower: Option | None
    """Without the last block; None where there is but one."""
    higher: Option
    """With the last block full."""

    @property
    def sparse(self) -> bool:
        """Whether more of the last block is empty than used, and it is not the only one."""
        return self.lower is not None and 2 * (self.channels % self.block) < self.block


@dataclass(frozen=True)
class WhatIf:
    """Costs of an inference of the student as it ships, and of others, all in one unit."""

    unit: Unit
    basis: str
    """Where costs come from, in words."""
    cost: float
    operators: tuple[Operator, ...]
    weights_kb: float = 0.0
    """Its weights in a file of integers, as `stages.prune.weights_kb` counts them."""
    widths: tuple[Width, ...] = ()
    narrowed: float | None = None
    """With all widths that are `sparse` lowered at once."""
    in_blocks: bool = False
    """Whether pruning in whole blocks comes down to as many multiply-accumulates."""
    image_sizes: Mapping[tuple[int, int], float] = field(default_factory=dict)
    """By (height, width), smaller ones than now."""
    shortcuts: float | None = None
    """Of 1x1 convolutions as shortcuts, where it pads instead."""
    uncut: float | None = None
    """Of the recipe's student before anything is cut from it."""
    students: Mapping[str, float] = field(default_factory=dict)
    """Of others before anything is cut, by what a recipe sets for them: `student.depth=14`."""


@dataclass(frozen=True)
class Basis:
    """What costs are reckoned in."""

    figure: Figure
    unit: Unit
    told: str
    """In words, and why."""

    @classmethod
    def of(cls, target: Target, int8: bool, prices: PriceList | None, where: str) -> Basis:
        """A device's prices, where there are any. int8: whether a file of integers ships; where:
        the device in words, or why there are no prices."""
        if prices is not None:
            unit: Unit = "instructions" if prices.unit == "instructions" else "ms"
            per = 1.0 if unit == "instructions" else 1e3
            told = f"Reckoned in {unit} from the prices of operators on {where}."
            return cls(Figure(unit, per, prices=prices), unit, told)
        beside = f"{where}. Operators that multiply nothing are not counted"
        if int8 and target.kernel is not None and target.primary == "litert":
            told = f"Reckoned in multiply-accumulates as the target's kernels pad them: {beside}."
            return cls(padded_ones(target), "padded MACs", told)
        return cls(_ONES, "MACs", f"Reckoned in multiply-accumulates: {beside}.")


def padded_ones(target: Target) -> Figure:
    """Padded multiply-accumulates of a target that tells of its kernels, one by one."""
    return Figure("padded MACs", product=padded(target.known_kernel).product)


_ONES = Figure("MACs", product=MACS.product)


def what_if(
    recipe: Recipe, target: Target, folder: Path, data: DataRecord, int8: bool, basis: Basis
) -> WhatIf:
    """Of the student in a model folder, that of the recipe.

    Raises UserError: the device does not tell a price.
    """
    figure = basis.figure
    model, example = load(folder), blank(inputs_of(folder))
    now = works(model, *example)
    block = target.kernel.output_channels if int8 and target.kernel is not None else 0
    if target.primary != "litert" or len(example) != 1:
        block = 0
    found, layers = groups(model, example[0], now) if block else ([], {})
    ragged = [each for each in found if each.width % block]
    changed = Changed(now, found, layers)
    sparse = {each.root: each.width // block * block for each in ragged
              if each.width > block and 2 * (each.width % block) < block}  # fmt: skip
    ends = {(each.root, width): changed.to({each.root: width}) for each in ragged
            for width in _ends(each.width, block)}  # fmt: skip
    narrowed = changed.to(sparse) if sparse else None
    sizes = dict(at_sizes(model, data))
    others = dict(students(recipe.student, data))
    skips = shortcuts(recipe.student, data)
    every = [now, narrowed or [], skips, *ends.values(), *sizes.values(), *others.values()]
    learn(figure, [work for each in every for work in each])
    costs = {key: _cost(figure, each) for key, each in ends.items()}
    return WhatIf(
        unit=basis.unit,
        basis=basis.told,
        cost=_cost(figure, now),
        operators=tuple(_operator(each, figure) for each in now),
        weights_kb=reckon(model, (), [BYTES])[BYTES] / BYTES.per,
        widths=tuple(_width(each.root, each.width, block, costs) for each in ragged),
        narrowed=_cost(figure, narrowed) if narrowed else None,
        in_blocks=bool(ragged) and _macs(least(recipe.student, data, block)) <= _macs(now),
        image_sizes={key: _cost(figure, each) for key, each in sizes.items()},
        shortcuts=sum(map(figure.of, skips)) / figure.per if skips else None,
        uncut=_cost(figure, others.pop("")) if "" in others else None,
        students={key: _cost(figure, each) for key, each in others.items()},
    )


def _cost(figure: Figure, found: Sequence[Work]) -> float:
    fixed = figure.prices.fixed(len(found)) if figure.prices is not None else 0.0
    return (fixed + sum(map(figure.of, found))) / figure.per


def _macs(found: Sequence[Work]) -> float:
    return sum(map(MACS.of, found))


def _operator(work: Work, figure: Figure) -> Operator:
    layer = work.weight.rpartition(".")[0]
    cost = figure.of(work) / figure.per
    if isinstance(work, Step):
        kind = work.operator or work.kind
        return Operator(layer, kind, cost, 0, work.elements, work.positions)
    weights = work.groups * work.outputs * work.inputs * work.kernel if work.weight else 0
    return Operator(layer, "product", cost, weights, 0, work.positions)


def _ends(width: int, block: int) -> list[int]:
    """The nearest whole blocks below and above."""
    low = width // block * block
    return [each for each in (low, low + block) if each]


def _width(layer: str, width: int, block: int, costs: Mapping[tuple[str, int], float]) -> Width:
    options = [Option(each, costs[layer, each]) for each in _ends(width, block)]
    return Width(layer, width, block, options[0] if len(options) > 1 else None, options[-1])
