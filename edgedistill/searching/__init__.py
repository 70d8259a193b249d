"""`edgedistill search`: tries a recipe with other values, and keeps what is best on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistill.artifact import Artifact
from edgedistill.cache import Cache
from edgedistill.devices.machine import machine
from edgedistill.errors import UserError
from edgedistill.pipeline import run_until, steps_of
from edgedistill.plan import model_steps
from edgedistill.progress import Reporter
from edgedistill.recipe import Recipe, of_labels, parse_recipe
from edgedistill.records import Run, StageMetrics, StudyRecord, Varied
from edgedistill.report.head import head
from edgedistill.report.study import write_study_page
from edgedistill.searching.budget import duration
from edgedistill.searching.cost import Prices, cost_of_model, unit_of
from edgedistill.searching.limit import Limit
from edgedistill.searching.rungs import SHARES, chosen, compared, front, promoted
from edgedistill.searching.space import changed, document_of, own_values, parse_vary, usual
from edgedistill.searching.study import Study, alone_in
from edgedistill.target import Target
from edgedistill.tasks import TASKS

RECIPE = "recipe.yaml"
PAGE = "search.html"


@dataclass(frozen=True)
class Wanted:
    """What is searched, and where."""

    recipe: Recipe
    target: Target
    varied: tuple[Varied, ...]
    budget_s: float
    out: Path
    prices: Prices | None = None

    @property
    def stage(self) -> str:
        """The last that a trial goes through: quantization takes part where it is varied."""
        if self.recipe.stages.quantize and any(
            each.key.startswith("stages.quantize") for each in self.varied
        ):
            return "quantize"
        return model_steps(self.recipe)[-1]


def varied_in(recipe: Recipe, target: Target, vary: Sequence[str]) -> tuple[Varied, ...]:
    """What is asked for, or else what is usual. Raises UserError: what cannot be varied, a key
    that stands twice, or nothing to vary."""
    found = [parse_vary(each, recipe) for each in vary] or usual(recipe, target)
    keys = [each.key for each in found]
    twice = [key for at, key in enumerate(keys) if key in keys[:at]]
    if twice:
        raise UserError(f"--vary {twice[0]}: given twice", "give all its values at once")
    return tuple(found)


def search(wanted: Wanted, cache: Cache, reporter: Reporter) -> StudyRecord:
    """Search for `wanted.budget_s` seconds, those of earlier calls included, and leave search.json,
    search.html and recipe.yaml in `wanted.out`.

    Raises UserError: the recipe's own values fail, or what is in the folder does not fit.
    """
    recipe, target = of_labels(wanted.recipe), wanted.target
    with alone_in(wanted.out):
        shared = _shared(recipe, target, cache, reporter)
        asked = {
            "recipe": document_of(recipe), "target": target.model_dump(mode="json"),
            "varied": [vars(each) for each in wanted.varied], "unit": _unit(wanted),
            "shared": {name: artifact.digest for name, artifact in shared.items()},
        }  # fmt: skip
        study = Study(wanted.out, asked, wanted.varied, recipe.seed)

        def judged(values: dict[str, Any], share: float) -> dict[str, float]:
            return _judged(wanted, values, share, cache, _Within(reporter, study, wanted))

        record = _record(wanted, study)
        while (trial := _next(study, wanted)) is not None:
            run = study.run(trial, judged)
            record = _record(wanted, study)
            reporter.say(_said(run, record))
            if run.trial == 0 and run.reason:
                raise UserError(f"the recipe's own values: {run.reason}", "mend the recipe first")
    return record


def _shared(
    recipe: Recipe, target: Target, cache: Cache, reporter: Reporter
) -> dict[str, Artifact]:
    """What comes before the first training of a student: the data, the teacher, its answers."""
    names = []
    for step in steps_of(recipe, target):
        if step.stage == "distill":
            break
        names.append(step.name)
    return run_until(recipe, target, cache, reporter, names[-1])


def _next(study: Study, wanted: Wanted) -> Any | None:
    """The next run; None: the time is up, or nothing is left to try."""
    runs, left = study.runs, wanted.budget_s - study.spent
    if (trial := study.unfinished()) is not None:
        return trial
    if not runs:
        return study.own(own_values(wanted.recipe, wanted.varied))
    limit = Limit.of(wanted.recipe, runs)
    going_on = promoted(runs, limit.fits, lambda seconds: seconds <= left)
    if going_on is not None:
        return study.again(*going_on)
    first = [run.seconds for run in runs if run.share == SHARES[0]]
    if sum(first) / len(first) > left:
        return None
    return study.drawn()


def _judged(
    wanted: Wanted, values: dict[str, Any], share: float, cache: Cache, reporter: Reporter
) -> dict[str, float]:
    """A trial, trained for a share of the epochs: its quality on validation, and its cost."""
    document = _shortened(changed(wanted.recipe, values), wanted.recipe, share)
    recipe = of_labels(parse_recipe(document, "with these values"))
    done = run_until(recipe, wanted.target, cache, reporter, wanted.stage)
    quality = StageMetrics.read(done[wanted.stage]).validation_quality
    model = StageMetrics.read(done[model_steps(recipe)[-1]])
    if quality is None or quality != quality or model.macs is None or model.params is None:
        raise UserError("no quality on validation that is a number")
    kernel, products = wanted.target.kernel, model.products or ()
    figures = {
        "quality": quality, "cost": cost_of_model(products, kernel, wanted.prices),
        "macs": model.macs, "params": model.params,
    }  # fmt: skip
    return {**figures, "padded_macs": cost_of_model(products, kernel)} if kernel else figures


def _shortened(document: dict[str, Any], recipe: Recipe, share: float) -> dict[str, Any]:
    """With a share of the epochs of every stage that trains the student."""
    stages = dict(document.get("stages") or {})
    for name in ("distill", "prune", "quantize"):
        config = getattr(recipe.stages, name)
        for key in ("epochs", "epochs_between"):
            if config is not None and hasattr(config, key) and share < 1:
                there = stages.get(name) or {}
                epochs = there.get(key, getattr(config, key))
                stages[name] = {**there, key: epochs * share}
    return {**document, "stages": stages}


class _Within:
    """A reporter of a stage within a trial: its progress, and none of its words."""

    def __init__(self, reporter: Reporter, study: Study, wanted: Wanted) -> None:
        self._reporter = reporter
        left = max(0.0, wanted.budget_s - study.spent)
        self._label = f"search, run {len(study.runs) + 1}, {duration(left)} left before it"

    def say(self, text: str) -> None:
        """Nothing: what a trial is worth is said when it ends."""

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        """The stage's progress, under the run's name."""
        self._reporter.tick(f"{self._label}: {label}", done, total, note)


def _said(run: Run, record: StudyRecord) -> str:
    who = "the recipe's own values" if run.trial == 0 else f"trial {run.trial}"
    told = run.reason or f"{run.quality:.2f} % at {run.cost:.4g} {record.unit}"
    return f"search: {who}, {run.share:.0%} of the epochs: {told} ({duration(run.seconds)})"


def _unit(wanted: Wanted) -> str:
    return unit_of(wanted.target.kernel, wanted.prices)


def _record(wanted: Wanted, study: Study) -> StudyRecord:
    """As far as it has come; written, with its page and the recipe that was found."""
    runs = study.runs
    limit = Limit.of(wanted.recipe, runs)
    choice = compared(runs)
    guess = next((run for run in choice if run.trial == 0), None)
    fitting = [run for run in choice if limit.fits(run)] or ([guess] if guess else [])
    best = chosen(fitting)
    record = StudyRecord(
        **head(wanted.recipe, wanted.target, machine()),
        metric=TASKS[wanted.recipe.task].metric,
        stage=wanted.stage,
        unit=_unit(wanted),
        limit=limit.words,
        budget_s=wanted.budget_s,
        spent_s=study.spent,
        varied=wanted.varied,
        runs=tuple(runs),
        front=tuple(run.number for run in front(runs)),
        guess=guess.number if guess else None,
        best=best.number if best else None,
    )
    record.write(wanted.out)
    write_study_page(record, wanted.out / PAGE)
    if best is not None:
        _write_recipe(wanted, best)
    return record


def _write_recipe(wanted: Wanted, best: Run) -> None:
    import yaml

    found = parse_recipe(changed(wanted.recipe, best.values), "with these values")
    document = found.model_dump(mode="json", exclude_unset=True)
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, allow_unicode=True)
    head = f"# What `edgedistill search` found for {wanted.target.name}, as trial {best.trial}.\n"
    part = wanted.out / f"{RECIPE}.part"
    part.write_text(head + text, encoding="utf-8")
    part.replace(wanted.out / RECIPE)
