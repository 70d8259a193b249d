"""Plan the stages of a recipe, run them, resume.

Each step's key covers all that changes its bytes: the stage's version and config, its inputs'
digests, the seed, the libraries it touches, and for a measurement the machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from edgedistill.artifact import Artifact, text_digest
from edgedistill.cache import Cache
from edgedistill.data import fingerprint as data_fingerprint
from edgedistill.devices.machine import machine, multiplies_bf16
from edgedistill.distill.losses import needs_teacher
from edgedistill.errors import UserError, exhausted
from edgedistill.models import build
from edgedistill.models import fingerprint as model_fingerprint
from edgedistill.progress import Reporter
from edgedistill.recipe import Recipe, Training
from edgedistill.stages import STAGES, Context, Stage
from edgedistill.target import Frozen, Target

T = TypeVar("T", bound=Training)


@dataclass(frozen=True)
class Step:
    """One stage with what it is to do, and the steps whose artifacts it reads."""

    name: str
    config: Frozen
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """A row of `edgedistill check`."""

    name: str
    target: str
    state: str
    """`cached`, `will run`, or `will go on` where an earlier run was interrupted."""


@dataclass(frozen=True)
class Result:
    """A compile for one target: every stage's artifact, by the stage's name."""

    recipe: Recipe
    target: Target
    artifacts: dict[str, Artifact]


def steps(recipe: Recipe, target: Target) -> list[Step]:
    """The stages of a compile, in order. A config holds only what its stage depends on, so that
    stages which do not depend on the target are shared between targets."""
    from edgedistill.stages import (
        benchmark,
        data,
        distill,
        export,
        prune,
        quantize,
        teach,
        teacher,
        verify,
    )

    wanted, augment, workers = recipe.stages, recipe.data.augment, recipe.data.workers
    taught = (wanted.distill, wanted.prune, wanted.quantize)
    with_answers = any(needs_teacher(each.losses) for each in taught if each)
    lessons = ("data", "teach") if with_answers else ("data",)
    student = "prune" if wanted.prune else "distill"
    plan = [
        Step("data", data.Config(data=recipe.data, fingerprint=data_fingerprint(recipe.data)), ()),
        Step(
            "teacher",
            teacher.Config(
                model=recipe.teacher,
                fingerprint=model_fingerprint(recipe.teacher),
                train=_resolved(wanted.teacher.train) if wanted.teacher.train else None,
                losses=wanted.teacher.losses,
                augment=augment,
                workers=workers,
            ),
            ("data",),
        ),
    ]
    if with_answers:
        answering = teach.Config(
            views=wanted.teach.views,
            batch_size=wanted.teach.batch_size,
            precision=_precision(wanted.teach.precision),
            augment=augment,
        )
        plan.append(Step("teach", answering, ("data", "teacher")))
    distilling = distill.Config(
        model=recipe.student,
        fingerprint=model_fingerprint(recipe.student),
        train=_resolved(wanted.distill),
        augment=augment,
        workers=workers,
    )
    plan.append(Step("distill", distilling, lessons))
    if wanted.prune:
        pruning = prune.Config(
            prune=_resolved(wanted.prune),
            round_to=wanted.prune.round_to or target.channel_multiple,
            augment=augment,
            workers=workers,
        )
        plan.append(Step("prune", pruning, (*lessons, "distill")))
    quantizing = quantize.Config(
        quantize=_resolved(wanted.quantize) if wanted.quantize else None,
        scheme=target.scheme,
        augment=augment,
        workers=workers,
    )
    plan.append(Step("quantize", quantizing, (*lessons, student)))
    models = ("teacher", "distill", *(["prune"] if wanted.prune else []))
    precisions = [
        precision
        for precision in wanted.export.precisions or target.precisions
        if precision != "int8" or wanted.quantize
    ]
    exporting = export.Config(
        name=recipe.name,
        runtimes=target.runtimes,
        precisions=tuple(precisions),
        io=target.scheme.io,
    )
    plan.append(Step("export", exporting, ("data", "quantize", *models)))
    plan.append(
        Step("verify", verify.Config(verify=wanted.verify), ("data", "quantize", "export", *models))
    )
    measuring = benchmark.Config(
        benchmark=wanted.benchmark, threads=target.threads, machine=text_digest(machine())
    )
    plan.append(Step("benchmark", measuring, ("data", "export", *models)))
    return plan


def _precision(wanted: str) -> Any:
    if wanted != "auto":
        return wanted
    return "bf16" if multiplies_bf16() else "fp32"


def _resolved(training: T) -> T:
    """The training with `precision: auto` decided for this machine, so that it is in the key."""
    return training.model_copy(update={"precision": _precision(training.precision)})


def _key(recipe: Recipe, step: Step, inputs: dict[str, Artifact]) -> tuple[str, dict[str, Any]]:
    stage = STAGES[step.name]
    made_by = {
        "stage": stage.name,
        "version": stage.version,
        "config": _without_paths(step.config.model_dump()),
        "inputs": {name: artifact.digest for name, artifact in inputs.items()},
        "seed": recipe.seed,
        "deterministic": recipe.deterministic,
        "libraries": _versions(stage),
    }
    return f"{stage.name}-{text_digest(made_by)[:24]}", made_by


def _versions(stage: Stage) -> dict[str, str]:
    """Versions of the stage's libraries. Raises UserError: one is not installed."""
    found = {}
    for name in stage.libraries:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise UserError(
                f"{stage.name}: the package `{name}` is missing", f"pip install {name}"
            ) from None
    return found


def _without_paths(value: Any) -> Any:
    """Where a file lies does not matter; what it holds is in the config's fingerprint."""
    if isinstance(value, dict):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return "path" if isinstance(value, Path) else value


def plan(recipe: Recipe, targets: Sequence[Target], cache: Cache) -> Iterator[Planned]:
    """What a run would do, without doing it."""
    unfinished = {entry.key for entry in cache.unfinished()}
    for target in targets:
        found: dict[str, Artifact] = {}
        for step in steps(recipe, target):
            state = "will run"
            if all(name in found for name in step.inputs):
                key, _ = _key(recipe, step, {name: found[name] for name in step.inputs})
                artifact = cache.find(key)
                if artifact is not None:
                    found[step.name], state = artifact, "cached"
                elif key in unfinished:
                    state = "will go on"
            yield Planned(step.name, target.name, state)


def run(
    recipe: Recipe, targets: Sequence[Target], cache: Cache, reporter: Reporter
) -> list[Result]:
    """Run every step that is not in the cache, for each target in turn.

    Raises UserError as the stages do. A run that is interrupted anywhere goes on from its last
    checkpoint when it is started again.
    """
    return [
        Result(recipe, target, run_until(recipe, target, cache, reporter)) for target in targets
    ]


def run_until(
    recipe: Recipe, target: Target, cache: Cache, reporter: Reporter, last: str = ""
) -> dict[str, Artifact]:
    """Run the steps for one target up to the one named `last`, or all; artifacts by step.

    What can be known to fail is said before hours of training: a package that is missing, a
    student that does not fit the data.
    """
    planned = steps(recipe, target)
    for step in planned:
        _versions(STAGES[step.name])
    artifacts: dict[str, Artifact] = {}
    for step in planned:
        inputs = {name: artifacts[name] for name in step.inputs}
        if step.name == "teacher" and cache.find(_key(recipe, step, inputs)[0]) is None:
            data = artifacts["data"].json("data.json")
            build(recipe.student, len(data["classes"]), data["channels"], data["image_size"])
        artifacts[step.name] = _run_step(recipe, step, inputs, cache, reporter)
        if step.name == last:
            break
    return artifacts


def _run_step(
    recipe: Recipe, step: Step, inputs: dict[str, Artifact], cache: Cache, reporter: Reporter
) -> Artifact:
    key, made_by = _key(recipe, step, inputs)
    artifact = cache.find(key)
    if artifact is not None:
        return artifact
    with cache.work(key) as scratch:
        artifact = cache.find(key)
        if artifact is not None:
            return artifact
        reporter.say(f"{step.name}: {'going on' if any(scratch.iterdir()) else 'started'}")
        context = Context(scratch, recipe.seed, recipe.deterministic, reporter)
        try:
            metrics = STAGES[step.name].run(step.config, inputs, context)
            shutil.rmtree(scratch / "checkpoints", ignore_errors=True)
            return cache.commit(key, step.name, metrics, made_by)
        except Exception as error:
            known = exhausted(error, str(cache.root))
            if known is None:
                raise
            raise UserError(f"{step.name}: {known.message}", known.hint) from None
