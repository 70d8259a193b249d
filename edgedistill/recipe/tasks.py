"""Which parts of a recipe go with which task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from edgedistill.families.models import DualEncoderModel
from edgedistill.families.teachers import StoredTeacher
from edgedistill.recipe.checks import AuditConfig, ListenConfig
from edgedistill.recipe.contract import Contract
from edgedistill.recipe.losses import Loss
from edgedistill.recipe.models import Model
from edgedistill.recipe.samples import Augment
from edgedistill.recipe.stages import Stages
from edgedistill.recipe.teachers import Teacher
from edgedistill.tasks import TASKS, Task
from edgedistill.tasks.labels import OneClass

if TYPE_CHECKING:
    TaskName = str
else:
    TaskName = Literal[tuple(TASKS)]


def unfit(
    task_name: str, teacher: Teacher, student: Model, stages: Stages, contract: Contract
) -> str:
    """What in a recipe does not go with its task, in words; empty where all does."""
    task = TASKS[task_name]
    return (
        _unfit_texts(task, teacher, student)
        or _unfit_losses(task, stages)
        or ("" if task.audited else _unfit_unaudited(task, teacher, stages, contract))
    )


def _unfit_texts(task: Task, teacher: Teacher, student: Model) -> str:
    if task.by_texts != teacher.places_texts:
        return "`task: retrieval` goes with a teacher of the family `dual_encoder` or `clip`"
    if isinstance(student, DualEncoderModel):
        return "`student`: give the image encoder alone; the teacher's texts go with it"
    return ""


def _unfit_losses(task: Task, stages: Stages) -> str:
    for place, loss in _losses(stages):
        if loss.option and loss.option not in task.loss_options:
            known = next(name for name, each in TASKS.items() if loss.option in each.loss_options)
            return f"`{place}.losses`: `{loss.option}` is for `task: {known}`"
    return ""


def unfit_for_mixing(task_name: str, teacher: Teacher, stages: Stages, augment: Augment) -> str:
    """What in a recipe does not go with images that show another one too, in words; empty where
    all does."""
    if not augment.mixes:
        return ""
    mixing = " and ".join(f"`{name}`" for name in ("mixup", "cutmix") if getattr(augment, name))
    if not TASKS[task_name].mixes:
        known = ", ".join(f"`{name}`" for name, task in TASKS.items() if task.mixes)
        return (
            f"`data.augment`: {mixing}: labels are mixed of the tasks {known}, not of `{task_name}`"
        )
    if isinstance(teacher, StoredTeacher):
        return f"`data.augment`: stored answers are of images without {mixing}"
    for place, loss in _losses(stages):
        if not loss.takes_mixed and loss.weight > 0:
            return (
                f"`{place}.losses`: `{loss.kind}` parts answers by one label, and images have two "
                f"with {mixing} of `data.augment`; take `soft_targets`"
            )
    return ""


def _losses(stages: Stages) -> Iterator[tuple[str, Loss]]:
    for name in ("teacher", "distill", "prune", "quantize"):
        stage = getattr(stages, name)
        for loss in stage.losses if stage else ():
            yield f"stages.{name}", loss
    for loss in stages.distill.peer_losses or ():
        yield "stages.distill", loss


def _unfit_unaudited(task: Task, teacher: Teacher, stages: Stages, contract: Contract) -> str:
    """What is only for a task whose answers are one class with a probability."""
    if not teacher.free_outputs or getattr(teacher, "outputs", "logits") != "logits":
        return (
            f"`task: {task.name}`: a teacher of the family `{teacher.family}` answers with shares "
            "of classes here; take a torch, ONNX, TFLite or Keras model that gives plain outputs, "
            "a Python function, or stored answers"
        )
    if stages.teach.keep != "full":
        return f"`stages.teach.keep: {stages.teach.keep}` is for `task: classification`"
    if stages.judge.acts:
        return "`stages.judge`: a teacher's errors are told in `task: classification` only"
    if stages.audit != AuditConfig():
        return "`stages.audit` is for `task: classification`"
    for line in ("min_worst_class", "max_calibration_error", "max_copied_errors", "min_robustness"):
        if getattr(contract, line) is not None:
            return f"`contract.{line}` is for `task: classification`"
    return ""


_HEARD = ("max_misses", "max_false_accepts_per_hour", "max_hop_ms")


def unfit_for_listening(task_name: str, sound: bool, stages: Stages, contract: Contract) -> str:
    """What in a recipe does not go with whether its task listens, in words; empty where all does.
    sound: whether the data are."""
    if TASKS[task_name].listens:
        return "" if sound else f"`task: {task_name}` is of sound; give `data.sound`"
    if sound and not isinstance(TASKS[task_name].labels, OneClass):
        return f"`task: {task_name}` is not of sound, where a clip has one class"
    listening = next(name for name, task in TASKS.items() if task.listens)
    if stages.listen != ListenConfig():
        return f"`stages.listen` is for `task: {listening}`"
    for line in _HEARD:
        if getattr(contract, line) is not None:
            return f"`contract.{line}` is for `task: {listening}`"
    return ""
