"""What a person should know before shipping: everything that made something worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from edgedistill.records import DataMetrics, ReportRecord, StageMetrics, StageRow
from edgedistill.report.stage_costs import device_costs

if TYPE_CHECKING:
    from edgedistill.pipeline import Result

_NOISE = 1.05
"""A file counts as slower than another from this ratio of medians on."""


_GROUPS = {
    "data": ("The data", "look at what is named, mend the folders, compile again"),
    "teach": ("The teacher's answers", "see that the teacher gets what it was trained on"),
    "judge": ("The teacher's answers", "see that the teacher gets what it was trained on"),
    "training": ("Training", "train for longer, at another rate, or ask for less of it"),
    "prune": ("Pruning", "prune less, or train for longer after it (`stages.prune`)"),
    "quantize": ("Quantization", "train for it (`method: qat`), or leave the layers that cost most "
                 "in float (`stages.quantize.keep_float`)"),
    "export": ("What the files hold", "nothing where only this processor runs them so and the "
               "target is another; else replace these operators in the student, or live with what "
               "they cost: the times in the table were measured with them"),
    "verify": ("Files against the torch graph", "a fault is where it says `the file`: leave that "
               "runtime or precision out. What is this machine's kernels or rounding asks for "
               "nothing but a look at the device itself"),
    "audit": ("Beyond accuracy", "`edgedistill audit` shows it class by class"),
    "listen": ("Listening", "give more recordings without a keyword (`data.sound.negatives`), "
               "train for longer, or ask for less (`stages.listen`, `contract`)"),
    "benchmark": ("Measuring", "nothing is wrong with the files; these figures are missing"),
    "files": ("Size and speed", "ship another file of the bundle, or measure on the device, whose "
              "kernels are others"),
}  # fmt: skip
"""What a warning of a stage is about, and what to do."""
_ALIAS = {"teacher": "training", "distill": "training", "control": "training"}


@dataclass(frozen=True)
class Group:
    """Warnings of one kind."""

    about: str
    do: str
    """What to do."""
    texts: list[str]


def grouped(texts: Sequence[str]) -> list[Group]:
    """Warnings by what they are about, in the order of the compile."""
    found: dict[str, Group] = {}
    for text in texts:
        stage = text.partition(": ")[0]
        about, do = _GROUPS.get(_ALIAS.get(stage, stage), _GROUPS["files"])
        found.setdefault(about, Group(about, do, [])).texts.append(text)
    order = [about for about, _ in _GROUPS.values()]
    return sorted(found.values(), key=lambda group: order.index(group.about))


def warnings(result: Result, report: ReportRecord) -> list[str]:
    """Sentences: what the stages warned of, quality lost beyond what the recipe allows, sizes
    and costs that grew, and files slower than those they should beat."""
    told = [
        f"{name}: {text}"
        for name, artifact in result.artifacts.items()
        for text in StageMetrics.read(artifact).warnings
    ]
    return (
        _twins(result)
        + told
        + _elsewhere(report)
        + _undone(result)
        + _lost(result, report.stages)
        + _grown(report)
        + _slower(report)
    )


def _twins(result: Result) -> list[str]:
    """Images that lie in two splits, with the path of the file that names some."""
    data = result.artifacts["data"]
    found = DataMetrics.read(data).duplicates or {"exact": {}}
    return [
        f"data: {count + found['near'][pair]} samples of {second} are in {first} too; "
        f"{data.file('data.json')} names some"
        for pair, count in found["exact"].items()
        for first, _, second in [pair.partition("/")]
        if count + found["near"][pair]
    ]


def _elsewhere(report: ReportRecord) -> list[str]:
    """Files whose quality is not what this machine's kernels reach."""
    return [
        f"verify: {row.file}: its quality is given as the torch graph's, "
        f"{row.quality:.2f} %; the kernels of this machine, which is not "
        f"{report.target['name']}, reach {row.quality_here:.2f} %"
        for row in report.files
        if row.quality_here is not None
    ]


def _undone(result: Result) -> list[str]:
    """What the compile did not do to the student, though the recipe asked for it."""
    found = []
    for name in ("prune", "quantize"):
        metrics = StageMetrics.read(result.artifacts[name]) if name in result.artifacts else None
        if metrics and metrics.undone:
            found.append(f"{name}: undone, as {metrics.undone_because}")
    return found


def _lost(result: Result, stages: Sequence[StageRow]) -> list[str]:
    """Stages that cost more validation quality than the recipe allows them."""
    found = []
    for before, after in pairwise(stages):
        allowed = getattr(getattr(result.recipe.stages, after.stage, None), "max_drop", None)
        old, new = before.validation_quality, after.validation_quality
        if allowed is None or old is None or new is None:
            continue
        if old - new > allowed:
            found.append(
                f"{after.stage}: validation quality fell by {old - new:.1f} points "
                f"({old:.1f} to {new:.1f} %); the recipe allows {allowed:g}"
            )
    return found


def _grown(report: ReportRecord) -> list[str]:
    found = []
    for before, after in pairwise(report.stages):
        for key, what in (("macs", "MACs"), ("params", "parameters")):
            old, new = getattr(before, key), getattr(after, key)
            if old is not None and new is not None and new > old:
                found.append(f"{after.stage}: more {what} than before ({old:g} to {new:g})")
    teacher, reached = report.stages[0], report.summary
    if reached.size_kb and teacher.size_kb and reached.size_kb > teacher.size_kb:
        found.append(f"{reached.file} is larger than the teacher's weights")
    if (reached.faster_than_teacher or 1) < 1 / _NOISE:
        found.append(f"{reached.file} is slower than the teacher on this machine")
    return found


def _slower(report: ReportRecord) -> list[str]:
    """Lower precisions that cost more than fp32 in the same runtime."""
    where, unit, costs = device_costs(report)
    full = {runtime: cost for (runtime, precision, _), cost in costs.items() if precision == "fp32"}
    return [
        f"{file}: slower than fp32 in {runtime} on {where} "
        f"({cost:.3g} against {full[runtime]:.3g} {unit})"
        for (runtime, precision, file), cost in costs.items()
        if precision != "fp32" and runtime in full and cost > _NOISE * full[runtime]
    ]
