"""Run the steps of a recipe, resume.

Each step's key covers all that changes its bytes: the stage's version and config, its inputs'
digests, the seed, the libraries it touches, and for a measurement the machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from edgedistill.advice import WhatIf, reckoned
from edgedistill.artifact import Artifact, BrokenSeal, JsonObject, text_digest
from edgedistill.cache import Cache
from edgedistill.devices import Device
from edgedistill.errors import UserError, out_of_resources
from edgedistill.libraries import version
from edgedistill.on_device import measured, opened_for
from edgedistill.plan import Step, steps
from edgedistill.plan_speech import look_ahead, recognizer_steps
from edgedistill.precheck import precheck
from edgedistill.progress import Reporter
from edgedistill.recipe import AnyRecipe, Recipe, TranscriptionRecipe
from edgedistill.records import OnDevice
from edgedistill.rehearsal import rehearse
from edgedistill.stages import STAGES, Context, Stage
from edgedistill.target import Target
from edgedistill.usercode import own_fault


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

    recipe: AnyRecipe
    target: Target
    artifacts: dict[str, Artifact]
    on_device: OnDevice | None = None
    """What a device of the target's kind told of the files."""
    what_if: WhatIf | None = None
    """What the student costs, and others like it; None of a recognizer."""


def _key(recipe: AnyRecipe, step: Step, inputs: dict[str, Artifact]) -> tuple[str, JsonObject]:
    stage = STAGES[step.stage]
    made_by = {
        "stage": stage.name,
        "version": stage.version,
        "config": _what_matters(step.config.model_dump()),
        "inputs": {name: artifact.digest for name, artifact in inputs.items()},
        "seed": recipe.seed,
        "deterministic": recipe.deterministic,
        "libraries": {**_versions(stage), **{name: version(name) for name in step.libraries}},
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


_NO_MATTER = {
    "workers", "checkpoint_minutes", "concurrency", "per_second", "max_requests", "timeout",
    "retries",
}  # fmt: skip
"""Fields, wherever they stand, that change how a step is done and no byte of what comes out."""


def _what_matters(value: Any) -> Any:
    """Where a file lies does not matter either; what it holds is in the config's fingerprint."""
    if isinstance(value, dict):
        return {key: _what_matters(item) for key, item in value.items() if key not in _NO_MATTER}
    if isinstance(value, list | tuple):
        return [_what_matters(item) for item in value]
    return "path" if isinstance(value, Path) else value


def steps_of(recipe: AnyRecipe, target: Target) -> list[Step]:
    """The steps of a compile, in order."""
    if isinstance(recipe, TranscriptionRecipe):
        return recognizer_steps(recipe, target)
    return steps(recipe, target)


def _precheck(
    recipe: AnyRecipe, planned: Sequence[Step], done: Collection[str], fetch: bool = False
) -> list[str]:
    if isinstance(recipe, TranscriptionRecipe):
        return look_ahead(recipe, planned, done)
    return precheck(recipe, planned, done, fetch)


def plan(
    recipe: AnyRecipe, targets: Sequence[Target], cache: Cache
) -> tuple[list[Planned], list[str]]:
    """What a run would do, without doing it, and what there is to know of the models' weights.

    Raises UserError: what `precheck` finds in the way.
    """
    rows: list[Planned] = []
    notes: dict[str, None] = {}
    for target in targets:
        planned = steps_of(recipe, target)
        states = dict(zip((s.name for s in planned), _states(recipe, planned, cache), strict=True))
        done = {name for name, state in states.items() if state == "cached"}
        notes |= dict.fromkeys(_precheck(recipe, planned, done))
        rows += [Planned(name, target.name, state) for name, state in states.items()]
    return rows, list(notes)


def _states(recipe: AnyRecipe, planned: Sequence[Step], cache: Cache) -> Iterator[str]:
    unfinished = {entry.key for entry in cache.unfinished()}
    found: dict[str, Artifact] = {}
    for step in planned:
        state = "will run"
        if all(name in found for name in step.inputs.values()):
            inputs = {role: found[name] for role, name in step.inputs.items()}
            key, _ = _key(recipe, step, inputs)
            artifact = cache.find(key)
            if artifact is not None:
                found[step.name], state = artifact, "cached"
            elif key in unfinished:
                state = "will go on"
        yield state


def run(
    recipe: AnyRecipe,
    targets: Sequence[Target],
    cache: Cache,
    reporter: Reporter,
    device: str | None = None,
) -> Iterator[Result]:
    """Run every step that is not in the cache, for each target in turn, and give each target's
    result as soon as it is there: what fails later takes nothing from it.

    device: where to measure the files too, by its name; by default on the target's own if that is
    there. It is measured anew each time.

    Raises UserError as the stages do, and where the named device is not there, or is none of a
    target's. A run that is interrupted anywhere goes on from its last checkpoint when it is started
    again.
    """
    opened = [_opened_for(recipe, target, device, reporter) for target in targets]
    for target, there in zip(targets, opened, strict=True):
        artifacts = run_until(recipe, target, cache, reporter)
        result = Result(recipe, target, artifacts)
        if there is not None:
            (step,) = (each for each in steps_of(recipe, target) if each.name == "benchmark")
            told = measured(there, artifacts, step.config, recipe.seed, reporter)
            result = replace(result, on_device=told)
        if isinstance(recipe, Recipe):
            found = reckoned(recipe, target, artifacts, there, cache.root, reporter.say)
            result = replace(result, what_if=found)
        yield result


def _opened_for(
    recipe: AnyRecipe, target: Target, name: str | None, reporter: Reporter
) -> Device | None:
    if not isinstance(recipe, TranscriptionRecipe):
        return opened_for(target, name, reporter.say)
    if name is not None:
        raise UserError(
            f"--device {name}: a recognizer is judged and timed on this machine alone",
            "leave `--device` out; the files of the bundle run on the device as they are",
        )
    return None


def run_until(
    recipe: AnyRecipe, target: Target, cache: Cache, reporter: Reporter, last: str = ""
) -> dict[str, Artifact]:
    """Run the steps for one target up to the one named `last`, or all; artifacts by step.

    What can be known to fail is said before hours of training: a package that is missing, a
    student that does not fit the data, that cannot be pruned or exported, layers that cannot be
    compared.
    """
    planned = steps_of(recipe, target)
    if last:
        planned = planned[: [step.name for step in planned].index(last) + 1]
    for step in planned:
        _versions(STAGES[step.stage])
    while True:
        try:
            artifacts = run_steps(recipe, planned, cache, reporter)
            for name in _SHIPPED & artifacts.keys():
                artifacts[name].check_content()
            return artifacts
        except BrokenSeal as broken:  # of an entry that opened well: built again from here on
            if broken.folder.parent != cache.root / "artifacts":
                raise  # one just made would be no better the next time
            cache.drop(broken)
        except (Exception, SystemExit) as error:
            fault = None if isinstance(error, UserError) else own_fault(error)
            if fault is None:
                raise
            raise fault from error


_SHIPPED = {"teacher", "export", "verify", "audit", "listen", "benchmark", "recognize"}
"""Steps whose files go into a bundle."""


def run_steps(
    recipe: AnyRecipe, planned: Sequence[Step], cache: Cache, reporter: Reporter
) -> dict[str, Artifact]:
    """Run these steps, each after those that it reads; artifacts by step."""
    artifacts: dict[str, Artifact] = {}
    sent: Counter[str] = Counter()
    checked = False
    rehearsed = isinstance(recipe, TranscriptionRecipe)
    for step in planned:
        inputs = {role: artifacts[name] for role, name in step.inputs.items()}
        if not checked and cache.find(_key(recipe, step, inputs)[0]) is None:
            for note in _precheck(recipe, planned, artifacts, fetch=True):
                reporter.say(note)
            checked = True
        rehearsed |= step.name == "export"  # then all that was rehearsed has been done
        if inputs and not rehearsed and cache.find(_key(recipe, step, inputs)[0]) is None:
            reporter.say("rehearsal: an untrained student is built, pruned, quantized and written")
            assert isinstance(recipe, Recipe)
            rehearse(recipe, planned, artifacts, reporter, cache.root)
            rehearsed = True
        artifacts[step.name] = _run_step(recipe, step, inputs, cache, reporter, sent)
    return artifacts


def _run_step(
    recipe: AnyRecipe,
    step: Step,
    inputs: dict[str, Artifact],
    cache: Cache,
    reporter: Reporter,
    sent: Counter[str],
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
        context = Context(
            scratch, recipe.seed, recipe.deterministic, reporter, cache.root / "answers", sent,
            cache.root,
        )  # fmt: skip
        try:
            metrics = STAGES[step.stage].run(step.config, inputs, context)
            return cache.commit(key, step.stage, metrics, made_by)
        except Exception as error:
            known = out_of_resources(error, str(cache.root))
            if known is None:
                raise
            raise UserError(f"{step.name}: {known.message}", known.hint) from None
