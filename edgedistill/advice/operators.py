"""Operators that cost the target more than their work is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgedistill.advice.facts import Facts
from edgedistill.families.models import ResidualModel
from edgedistill.records import CountRow, MeasurementRow, OperatorRow
from edgedistill.records.advice import Advice, Kind

_LEAST = 0.05
"""Of an inference's cost: what takes less is not worth another network."""
_ACTIVATIONS = (
    "hardswish", "hswish", "hardsigmoid", "sigmoid", "logistic", "swish", "silu", "tanh", "gelu",
    "elu", "leakyrelu", "prelu", "mish", "exp",
)  # fmt: skip
"""How runtimes call activations that are computed by themselves, where a clamp is a part of the
product before it; of their letters alone."""
_MOVING = ("stridedslice", "slice", "pad", "constantpad", "concatenation", "concat", "gather")
_NAMED = 3


def operators(facts: Facts) -> Iterator[Advice]:
    """Activations, moved values and layers in float, by what the target told of each operator of
    the file that ships; nothing where it told nothing."""
    row = facts.shipped
    if row is None:
        return
    costs = sum(map(_cost, row.operators))
    total = row.instructions["all"] if isinstance(row, CountRow) else costs
    if not costs:
        return
    active = [each for each in row.operators if _is(each, _ACTIVATIONS)]
    yield from _advice(
        facts, row, "operator", active, total,
        "take a student with ReLU or ReLU6 in place of these activations",
        "a clamp is a part of the layer before it and costs nothing; these are computed by "
        "themselves",
    )  # fmt: skip
    moved = [each for each in row.operators if _is(each, _MOVING)]
    yield from _moved(facts, row, moved, total)
    rest = [each for each in row.operators if each not in active and each not in moved]
    for left in row.left:
        found = [each for each in rest if f"{each.type} {each.name}" in left.operators]
        yield from _left(facts, row, left.kind, found, total)


def _moved(
    facts: Facts, row: MeasurementRow | CountRow, moved: Sequence[OperatorRow], total: float
) -> Iterator[Advice]:
    """Without what convolutions in the place of padding shortcuts cost, where that is known."""
    because = "these operators copy values, and compute nothing"
    student, asked = facts.recipe.student, facts.what_if
    if not isinstance(student, ResidualModel) or student.shortcut == "conv":
        yield from _advice(
            facts, row, "operator", moved, total,
            "take a student that does without: convolutions as shortcuts, additions in place of "
            "concatenations, paddings within convolutions", because,
        )  # fmt: skip
        return
    for each in _advice(
        facts, row, "operator", moved, total, "take 1x1 convolutions as shortcuts", because,
        "student.shortcut=conv",
    ):  # fmt: skip
        if asked is None or asked.shortcuts is None or asked.unit != each.unit:
            yield each
            continue
        gain = (each.gain or 0.0) - asked.shortcuts
        if gain >= _LEAST * asked.cost:
            yield replace(
                each, gain=gain, share=gain * (each.share or 0.0) / (each.gain or 1.0),
                at_most=False, how="reckoned",
                because=f"{because}; convolutions in their place take "
                        f"{asked.shortcuts:,.0f} {asked.unit}",
            )  # fmt: skip


def _left(
    facts: Facts, row: MeasurementRow | CountRow, kind: str, rows: Sequence[OperatorRow],
    total: float,
) -> Iterator[Advice]:  # fmt: skip
    """Of what a better file would not have run."""
    if kind == "in float":
        kept = facts.recipe.stages.quantize.keep_float if facts.recipe.stages.quantize else ()
        ours = [each for each in rows if any(each.name.startswith(name) for name in kept)]
        if ours:
            yield from _advice(
                facts, row, "float", ours, total, "compute these layers in integers",
                "the recipe leaves them in float, between integers",
                "stages.quantize.keep_float=[]",
            )  # fmt: skip
        others = [each for each in rows if each not in ours]
        yield from _advice(
            facts, row, "float", others, total, "replace these operators in the student",
            f"{row.runtime} computes them in float, between integers",
        )  # fmt: skip
    elif kind == "undelegated":
        yield from _advice(
            facts, row, "operator", rows, total, "replace these operators in the student",
            "no delegate takes them: the runtime's plain kernels compute them",
        )  # fmt: skip


def _advice(
    facts: Facts, row: MeasurementRow | CountRow, kind: Kind, found: Sequence[OperatorRow],
    total: float, change: str, because: str, *key: str,
) -> Iterator[Advice]:  # fmt: skip
    share = sum(map(_cost, found)) / total
    if share < _LEAST:
        return
    counted = isinstance(row, CountRow)
    whole = row.instructions["all"] if isinstance(row, CountRow) else row.p50_ms
    names = [f"{each.type} {each.name}" for each in sorted(found, key=lambda one: -_cost(one))]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    yield Advice(
        kind=kind, of=", ".join(names[:_NAMED]) + more, change=change, because=because,
        gain=share * whole, unit="instructions" if counted else "ms", share=share, at_most=True,
        how="counted" if counted else "measured", set=key,
    )  # fmt: skip


def _cost(row: OperatorRow) -> float:
    return row.instructions or row.microseconds or 0.0


def _is(row: OperatorRow, kinds: Sequence[str]) -> bool:
    name = "".join(each for each in row.type.partition("(")[0].lower() if each.isalpha())
    return name.removeprefix("qlinear") in kinds
