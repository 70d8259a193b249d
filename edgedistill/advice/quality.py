"""Where accuracy was lost, as far as chance does not explain it, and what to try for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgedistill.advice.facts import Facts, Loss
from edgedistill.families.common import ModelCommon
from edgedistill.families.models import ResidualModel
from edgedistill.records.advice import Advice, Kind

_FAR = 10.0
"""Times as many multiply-accumulates, from which on an assistant is worth a try (Mirzadeh et al.
2020 put them between nets of 2 and of 10 layers)."""
_LONGER = 1.5


def quality(facts: Facts) -> Iterator[Advice]:
    """For the stage that cost most, and for a training that was not done."""
    found = facts.lost()
    if found and found[0].points > found[0].chance:
        worst = found[0]
        if worst.after.stage == "prune":
            yield _pruned(facts, worst)
        elif worst.after.stage == "quantize":
            yield _quantized(facts, worst)
        elif worst.after.stage == "distill":
            yield from _too_small(facts, worst)
    yield from _unfinished(facts)


def _advice(kind: Kind, loss: Loss, change: str, because: str, *key: str) -> Advice:
    return Advice(
        kind=kind, of=loss.after.stage, change=change, because=because, gain=loss.points,
        unit="points", share=None, at_most=True, how="measured", set=key,
    )  # fmt: skip


def _seen(loss: Loss) -> str:
    return (
        f"no stage cost more: validation accuracy went from {loss.told}, and chance explains "
        f"{loss.chance:.2f} points"
    )


def _pruned(facts: Facts, loss: Loss) -> Advice:
    """More training after the cut, up to what distilling took; then a smaller cut."""
    pruning, distilling = facts.recipe.stages.prune, facts.recipe.stages.distill
    assert pruning is not None, "there is a row of it"
    if pruning.epochs < distilling.epochs:
        return _advice(
            "stage", loss, "train for longer after the last cut",
            f"{_seen(loss)}; it recovers for {pruning.epochs:g} epochs, and the student was "
            f"distilled for {distilling.epochs:g}",
            f"stages.prune.epochs={distilling.epochs:g}",
        )  # fmt: skip
    key: tuple[str, ...] = ()
    if pruning.speedup is not None:
        key = (f"stages.prune.speedup={(1 + pruning.speedup) / 2:g}",)
    return _advice("stage", loss, "cut less, or begin with a smaller student", _seen(loss), *key)


def _quantized(facts: Facts, loss: Loss) -> Advice:
    """Training where there was none; else the layer that rounds worst in float, if it stands out;
    else more training."""
    asked, told = facts.recipe.stages.quantize, facts.report.quantized
    assert asked is not None, "there is a row of it"
    if told is not None and told.method == "ptq" and asked.method == "ptq":
        return _advice(
            "stage", loss, "train with rounded numbers where that wins",
            f"{_seen(loss)}, and nothing was trained", "stages.quantize.method=auto",
        )  # fmt: skip
    rows = [row for row in (told.sensitivity if told else ())
            if row.has_weights and told and row.layer not in told.kept_in_float]  # fmt: skip
    if rows and rows[0].drop_points >= loss.points / 2:
        (worst, *_), share = rows, _share(facts, rows[0].layer)
        cost = "" if share is None else f"; it is {share:.1%} of an inference's cost"
        names = ", ".join((*asked.keep_float, worst.layer))
        return _advice(
            "stage", loss, f"leave `{worst.layer}` in float",
            f"{_seen(loss)}; rounding this layer alone costs {worst.drop_points:.2f} points{cost}",
            f"stages.quantize.keep_float=[{names}]",
        )  # fmt: skip
    return _advice(
        "stage", loss, "train for longer with rounded numbers",
        f"{_seen(loss)}, after {asked.epochs:g} epochs",
        f"stages.quantize.epochs={2 * asked.epochs:g}",
    )  # fmt: skip


def _share(facts: Facts, layer: str) -> float | None:
    asked = facts.what_if
    costs = [each.cost for each in asked.operators if each.layer == layer] if asked else []
    return sum(costs) / asked.cost if asked and costs else None


def _too_small(facts: Facts, loss: Loss) -> Iterator[Advice]:
    """An assistant where teacher and student are far apart, and more width at its price."""
    teacher, student = facts.recipe.teacher, facts.recipe.student
    big, small = loss.before.macs, loss.after.macs
    alone = not facts.recipe.assistants and isinstance(teacher, ModelCommon)
    if alone and big and small and big >= _FAR * small:
        yield _advice(
            "capacity", loss, "put an assistant between teacher and student",
            f"{_seen(loss)}; the teacher computes {big / small:.0f} times as much as the student",
            *_assistant(teacher, student),
        )  # fmt: skip
    asked = facts.what_if
    if asked is None or asked.uncut is None or facts.recipe.stages.prune is not None:
        return  # what pruning leaves is as large as its goal says
    for key, cost in asked.students.items():
        extra = cost - asked.uncut
        yield Advice(
            kind="capacity", of="student", change="take a wider student",
            because=f"{_seen(loss)}: the student may be too small for what the teacher knows",
            gain=-extra, unit=asked.unit, share=-extra / asked.uncut, at_most=False,
            how="reckoned", set=(key,),
        )  # fmt: skip


def _assistant(teacher: Any, student: Any) -> tuple[str, ...]:
    """With half of the layers between, and the teacher's widths."""
    if not isinstance(teacher, ResidualModel) or not isinstance(student, ResidualModel):
        return ()
    blocks = [sum(model.groups) for model in (teacher, student)]
    each = sum(blocks) // 6
    if 3 * each in blocks and teacher.widths == student.widths:
        return ()
    depth = 6 * each + 2
    widths = list(teacher.widths)
    return (f"assistants=[{{family: resnet_cifar, depth: {depth}, widths: {widths}}}]",)


def _unfinished(facts: Facts) -> Iterator[Advice]:
    """Where a stage that takes something away left a better student than it got."""
    judged = [loss for loss in facts.lost() if loss.before.stage == "distill"]
    for loss in judged:
        if -loss.points > loss.chance:
            epochs = facts.recipe.stages.distill.epochs
            yield Advice(
                kind="epochs", of="distill", change="distill for longer",
                because=f"the training after `{loss.after.stage}` took validation accuracy from "
                        f"{loss.told}, though the student had less to compute with: it was not "
                        "done learning",
                gain=None, unit="points", share=None, at_most=False, how="measured",
                set=(f"stages.distill.epochs={_LONGER * epochs:g}",),
            )  # fmt: skip
