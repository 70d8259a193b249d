"""The stage that cost most accuracy, beyond chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from advising import given, only, reckoned

from edgedistill.advice import Facts
from edgedistill.advice.quality import quality
from edgedistill.records import DataMetrics, LayerSensitivity, Quantized, StageRow

Make = Callable[..., Facts]
STAGES = ("teacher", "distill", "prune", "quantize")
TEACHER = {"family": "resnet_cifar", "depth": 20}
STUDENT = {"family": "resnet_cifar", "depth": 8, "widths": [8, 16, 32]}


def judged(
    make_facts: Make, *accuracies: float, samples: int = 10_000, quantized: Any = None, **other: Any
) -> Facts:
    """A compile whose stages came to these accuracies."""
    rows = tuple(
        StageRow(stage=name, validation_quality=value, macs=macs)
        for name, value, macs in zip(STAGES, accuracies, (40.0, 2.0, 1.0, 1.0), strict=False)
    )
    counts = DataMetrics({"validation": samples})
    changed = {"stages": rows, "data": counts, "quantized": quantized}
    other.setdefault("stages", {"teacher": {"train": {}}, "prune": {"macs": 1, "epochs": 3}})
    recipe = {"teacher": TEACHER, "student": STUDENT, **other}
    return make_facts(report=changed, **recipe)


def test_what_chance_explains_asks_for_nothing(make_facts: Make) -> None:
    assert not given(quality, judged(make_facts, 96.0, 94.0, 93.9, 93.8, samples=100))


def test_a_student_far_from_its_teacher_gets_an_assistant_and_more_width(make_facts: Make) -> None:
    wider = reckoned(uncut=2000.0, students={"student.widths=[16, 24, 48]": 4000.0})
    unpruned = {"teacher": {"train": {}}}
    found = given(quality, judged(make_facts, 96.0, 90.0, what_if=wider, stages=unpruned))
    assert [each.kind for each in found] == ["capacity", "capacity"]
    assert found[0].set == ("assistants=[{family: resnet_cifar, depth: 14, widths: [16, 32, 64]}]",)
    assert (found[0].gain, found[0].at_most, found[0].unit) == (6.0, True, "points")
    assert (found[1].gain, found[1].share) == (-2000.0, -1.0)


def test_a_teacher_that_is_near_needs_no_assistant(make_facts: Make) -> None:
    facts = judged(make_facts, 96.0, 90.0, 89.9, 89.8)
    rows = (replace(facts.report.stages[0], macs=10.0), *facts.report.stages[1:])
    assert not given(quality, replace(facts, report=replace(facts.report, stages=rows)))


def test_one_assistant_is_enough(make_facts: Make) -> None:
    facts = judged(make_facts, 96.0, 90.0, 89.9, 89.8)
    assert only(quality, facts).kind == "capacity"
    recipe = facts.recipe.model_copy(update={"assistants": (facts.recipe.student,)})
    assert not given(quality, replace(facts, recipe=recipe))


@pytest.mark.parametrize(
    ("prune", "key"),
    [
        ({"macs": 1, "epochs": 3}, "stages.prune.epochs=10"),
        ({"speedup": 2, "epochs": 10}, "stages.prune.speedup=1.5"),
    ],
)
def test_pruning_that_cost_most_recovers_for_longer_or_cuts_less(
    make_facts: Make, prune: dict[str, Any], key: str
) -> None:
    stages = {"teacher": {"train": {}}, "prune": prune}
    found = only(quality, judged(make_facts, 96.0, 95.5, 92.0, 91.9, stages=stages))
    assert (found.of, found.set, found.gain) == ("prune", (key,), 3.5)


def rounded(method: str, *drops: float) -> Quantized:
    rows = tuple(LayerSensitivity(f"conv{at}", True, drop, 20.0) for at, drop in enumerate(drops))
    return Quantized(method, (), rows)


@pytest.mark.parametrize(
    ("method", "drops", "key"),
    [
        ("ptq", (2.0, 0.1), "stages.quantize.method=auto"),
        ("qat", (2.0, 0.1), "stages.quantize.keep_float=[conv0]"),
        ("qat", (0.5, 0.4), "stages.quantize.epochs=4"),
    ],
)
def test_rounding_that_cost_most_is_trained_for_or_spares_the_layer_that_stands_out(
    make_facts: Make, method: str, drops: tuple[float, ...], key: str
) -> None:
    stages = {"teacher": {"train": {}}, "prune": {"macs": 1}, "quantize": {"method": method}}
    facts = judged(
        make_facts, 96.0, 95.9, 95.8, 93.0, stages=stages, quantized=rounded(method, *drops)
    )
    found = only(quality, facts)
    assert (found.of, found.set) == ("quantize", (key,))


def test_a_student_that_got_better_while_it_was_cut_had_not_learned_all(make_facts: Make) -> None:
    found = only(quality, judged(make_facts, 90.1, 90.0, 93.0, 93.0))
    assert (found.kind, found.set) == ("epochs", ("stages.distill.epochs=15",))
    assert not given(quality, judged(make_facts, 90.1, 90.0, 90.3, 90.3))


def test_of_other_tasks_no_chance_is_known(make_facts: Make) -> None:
    facts = judged(make_facts, 96.0, 90.0, 80.0, 70.0)
    other = facts.recipe.model_copy(update={"task": "regression"})
    assert not given(quality, replace(facts, recipe=other))
