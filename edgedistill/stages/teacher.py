"""Make the teacher ready to be asked, train or fine-tune it where the recipe says so, and see how
good it is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data import View, open_split
from edgedistill.distill.labelling import plain_answers
from edgedistill.distill.teachers import fits_a_layer, open_body, open_teacher
from edgedistill.distill.teachers.fitted import fit
from edgedistill.models import build, origin, save
from edgedistill.models import describe as describe_model
from edgedistill.predict import SAME_CLASSES, TRAIN_BETTER, state_of_answers, state_of_model
from edgedistill.recipe import (
    Augment,
    Changes,
    Ensemble,
    Loss,
    Model,
    ModelCommon,
    Teacher,
    Training,
)
from edgedistill.records import DataRecord, TeacherRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks import TASKS
from edgedistill.train import train
from edgedistill.training_inputs import open_training_inputs


class Config(Frozen):
    """What the teacher depends on."""

    model: Teacher
    fingerprint: str
    train: Training | None
    losses: tuple[Loss, ...]
    augment: Changes
    workers: int | None


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `model` where the teacher is one of ours; else `teacher.json`, its fingerprint, and
    each member of an ensemble that is, as `member0/model`. In a retrieval, also the captions'
    places."""
    import torch

    if isinstance(config.model, ModelCommon):
        return _model(config.model, config, inputs, context)
    data = DataRecord.read(inputs["data"])
    shape = len(data.classes), data.inputs_at(config.model.image_size)
    if isinstance(config.model, Ensemble):
        for at, member in enumerate(config.model.members):
            if isinstance(member.teacher, ModelCommon):
                torch.manual_seed(context.seed + at)
                module = build(member.teacher, *shape)
                folder = context.scratch / f"member{at}" / "model"
                save(module, folder, describe_model(member.teacher, *shape))
    TeacherRecord(config.fingerprint).write(context.scratch)
    teacher_context = context.teacher_context(config.model, context.scratch, data)
    if fits_a_layer(config.model):
        size = config.model.image_size
        split, held_out = (open_split(inputs["data"].path, name, size)
                           for name in ("train", "validation"))  # fmt: skip
        body = open_body(config.model, teacher_context)
        # The layer is fitted to one label of each sample.
        changes = config.augment
        changes = changes.unmixed() if isinstance(changes, Augment) else changes
        fit(
            body, split, held_out, View(changes, context.seed), teacher_context,
            lambda done, total, note: context.reporter.tick("teacher", done, total, note),
        )  # fmt: skip
    task = TASKS[data.task]
    if task.by_texts:
        teacher = open_teacher(config.model, teacher_context)
        task = task.with_teacher(teacher, data.captions, context.scratch)
    answers = plain_answers(
        config.model, config.fingerprint, teacher_context, inputs["data"], "validation",
        context.checkpoints, context.reporter,
    )  # fmt: skip
    return context.told("teacher", state_of_answers(answers, inputs["data"], task))


def _model(
    model: Model, config: Config, inputs: dict[str, Artifact], context: Context
) -> JsonObject:
    import torch

    from edgedistill.distill.new_head import fit_new_head

    torch.manual_seed(context.seed)
    data = DataRecord.read(inputs["data"])
    shape = len(data.classes), data.inputs_at(config.model.image_size)
    task = TASKS[data.task]
    module: Any = build(model, *shape)
    trained: dict[str, float] = {}
    if config.train is not None:
        tick = partial(context.reporter.tick, "teacher")
        fit_new_head(module, inputs["data"].path, shape[1], task, context.seed, tick)
        training_inputs = open_training_inputs(
            inputs, config.losses, config.augment, context.seed, config.workers, model.image_size
        )
        training_inputs = replace(training_inputs, head=task.teacher_head(module, data.captions))
        trained = train(
            training_inputs.objective(module, config.losses, config.train.precision),
            training_inputs,
            config.train,
            checkpoint=context.checkpoints / "training.safetensors",
            tick=tick,
            deterministic=context.deterministic,
        )
    save(module, context.scratch / "model", describe_model(model, *shape))
    task = task.with_teacher(module.eval(), data.captions, context.scratch)
    advice = TRAIN_BETTER if config.train else SAME_CLASSES
    state = state_of_model(module, inputs["data"], task, advice, shape[1])
    return {
        "notes": list(origin(module).notes),
        **trained,
        **context.told("teacher", state),
    }
