"""What can be known to fail is tried before the training, on models that have learned nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill import program_file
from edgedistill.artifact import Artifact
from edgedistill.data import open_split
from edgedistill.data.samples import tensors
from edgedistill.data.slices import read_slices, sample_names
from edgedistill.losses import needs_layers
from edgedistill.models import build, check_knows
from edgedistill.plan import Step
from edgedistill.progress import Reporter
from edgedistill.recipe import Ensemble, ModelCommon, Recipe, Teacher
from edgedistill.records import DataRecord
from edgedistill.scratch import scratch_folder
from edgedistill.signature import blank
from edgedistill.stages import export, listen, prune, quantize
from edgedistill.tasks import TASKS

if TYPE_CHECKING:
    from torch import nn

    from edgedistill.program import Program

_IMAGES = 16
"""That are quantized with: enough for ranges, and of the time of a few."""


def rehearse(
    recipe: Recipe,
    planned: Sequence[Step],
    done: dict[str, Artifact],
    reporter: Reporter,
    cache: Path,
) -> None:
    """Try what the steps that are still to come will do, without learning anything.

    done: what is there of earlier runs, `data` at least, by step; it has proven its part. cache:
    the cache's folder.
    Raises UserError: what will fail.
    """
    data = DataRecord.read(done["data"])
    shape = len(data.classes), data.inputs
    if recipe.stages.audit.slices:
        read_slices(recipe.stages.audit.slices, sample_names(done["data"]))
    if recipe.stages.teacher.train is None:
        for model in _torch_models(recipe.teacher):
            check_knows(model, len(data.classes), data.inputs_at(recipe.teacher.image_size))
    if "quantize" in done:
        return
    _bind(recipe, data, done)
    student = build(recipe.student, *shape)
    for step in planned:
        if isinstance(step.config, prune.Config) and step.name not in done:
            (example,) = blank(data.inputs)
            prune.rehearse(step.config, student, example, cache, reporter.say)
    _write(student, planned, done["data"], reporter)


def _bind(recipe: Recipe, data: DataRecord, done: dict[str, Artifact]) -> None:
    """Build every model that is to be trained, and bind its losses to it and to the one that it
    learns from."""
    from edgedistill.distill.objective import Objective

    wanted = recipe.stages
    shape, example = (len(data.classes), data.inputs), blank(data.inputs)
    pruning = wanted.prune.losses if wanted.prune and "prune" not in done else ()
    learning = wanted.distill.losses if "distill" not in done else ()
    if learning:
        for peer in wanted.distill.peers:
            build(peer, *shape)
    source: Teacher = recipe.teacher
    for model in (*recipe.assistants, recipe.student):
        for losses in filter(None, (learning, pruning)):
            student = build(model, *shape)
            shown = needs_layers(losses) and isinstance(source, ModelCommon)
            seen = data.inputs_at(source.image_size)
            teacher = build(source, shape[0], seen) if shown else None  # type: ignore[arg-type]
            Objective(
                losses, student, teacher, example, task=TASKS[recipe.task], shown=blank(seen)
            ).close()
        source = model


def _write(
    student: nn.Module, planned: Sequence[Step], prepared: Artifact, reporter: Reporter
) -> None:
    """Make one graph of the student, quantize it on a few images, and write both for every
    runtime."""
    from edgedistill.compress.fold import fold
    from edgedistill.models.programs import float_parts, programs

    data = DataRecord.read(prepared)
    split = open_split(prepared.path, "train")
    samples = tensors(split, np.arange(min(_IMAGES, len(split))))
    with scratch_folder() as folder:

        def keep(made: dict[str, Program], kind: str) -> dict[str, Program]:
            return {
                name: program_file.keep(program, folder / f"{name}.{kind}.program")
                for name, program in made.items()
            }

        folded = {
            name: fold(module, signature)
            for name, (module, signature) in programs(student, data.inputs).items()
        }
        if any(isinstance(step.config, listen.Config) for step in planned):
            note = listen.rehearse({name: each.signature for name, each in folded.items()})
            if note:
                reporter.say(note)
        kinds = {"float": keep(folded, "float")}
        for step in planned:
            if isinstance(step.config, quantize.Config):
                parts = float_parts(student)
                quantized = quantize.rehearse(step.config, kinds["float"], samples, parts)
                if quantized:
                    kinds["int8"] = keep(quantized, "int8")
            if isinstance(step.config, export.Config):
                export.rehearse(
                    step.config, kinds, data.classes,
                    lambda done, total, note: reporter.tick("rehearsal", done, total, note),
                )  # fmt: skip


def _torch_models(teacher: Teacher) -> list[Any]:
    """The teacher, or those of an ensemble, as far as they are torch models."""
    members = teacher.members if isinstance(teacher, Ensemble) else ()
    each: list[Any] = [member.teacher for member in members] or [teacher]
    return [model for model in each if isinstance(model, ModelCommon)]
