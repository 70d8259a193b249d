"""What can be known to fail is tried before the training, on models that have learned nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgedistill import program_file
from edgedistill.artifact import Artifact
from edgedistill.data.slices import read_slices, sample_names
from edgedistill.distill.losses import needs_layers
from edgedistill.models import build, check_knows
from edgedistill.plan import Step
from edgedistill.recipe import Ensemble, ModelCommon, Recipe, Teacher
from edgedistill.scratch import scratch_folder


def rehearse(recipe: Recipe, planned: Sequence[Step], prepared: Artifact) -> None:
    """Build every model, and bind the losses to it and to the one it learns from; make the student
    one graph, write that for every runtime, and cut the student; find the samples of every slice.
    """
    import torch

    from edgedistill.compress.fold import fold
    from edgedistill.compress.program import graph_of
    from edgedistill.compress.quantize import check_names
    from edgedistill.distill.objective import Objective
    from edgedistill.stages import export, prune

    if recipe.stages.audit.slices:
        read_slices(recipe.stages.audit.slices, sample_names(prepared))
    data = prepared.json("data.json")
    shape = len(data["classes"]), data["channels"], data["image_size"]
    example = torch.zeros(1, *shape[1:], shape[2])
    wanted = recipe.stages
    if wanted.teacher.train is None:
        for model in _torch_models(recipe.teacher):
            check_knows(model, *shape)
    for peer in wanted.distill.peers:
        build(peer, *shape)
    source: Teacher = recipe.teacher
    for model in (*recipe.assistants, recipe.student):
        student = build(model, *shape)
        for losses in (wanted.distill.losses, wanted.prune.losses if wanted.prune else ()):
            shown = needs_layers(losses) and isinstance(source, ModelCommon)
            teacher = build(source, *shape) if shown else None  # type: ignore[arg-type]
            Objective(losses, student, teacher, example, task=recipe.task).close()
        source = model
    program = fold(student, *shape[1:])
    with scratch_folder() as folder:
        program_file.keep(program, folder / "student.program")
    if wanted.quantize:
        check_names(graph_of(program), wanted.quantize.keep_float)
    for step in planned:
        if isinstance(step.config, export.Config):
            export.rehearse(step.config, program, tuple(data["classes"]))
        if isinstance(step.config, prune.Config):
            prune.rehearse(step.config, student, example[:1])


def _torch_models(teacher: Teacher) -> list[Any]:
    """The teacher, or those of an ensemble, as far as they are torch models."""
    members = teacher.members if isinstance(teacher, Ensemble) else ()
    each: list[Any] = [member.teacher for member in members] or [teacher]
    return [model for model in each if isinstance(model, ModelCommon)]
