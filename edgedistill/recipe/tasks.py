"""Which parts of a recipe go with which task."""

from __future__ import annotations

from collections.abc import Iterator

from edgedistill.recipe.contract import Contract
from edgedistill.recipe.losses import (
    Bounded,
    Decoupled,
    Exits,
    Labels,
    Loss,
    Peers,
    SoftTargets,
)
from edgedistill.recipe.models import DualEncoderModel, Model, ModelCommon
from edgedistill.recipe.stages import AuditConfig, Stages
from edgedistill.recipe.teachers import (
    ClipTeacher,
    KerasTeacher,
    OnnxTeacher,
    PythonTeacher,
    StoredTeacher,
    Teacher,
    TfliteTeacher,
)

_FREE = (
    ModelCommon, OnnxTeacher, TfliteTeacher, KerasTeacher, ClipTeacher, PythonTeacher,
    StoredTeacher,
)  # fmt: skip
"""Teachers whose answers may be any numbers, not only shares of classes."""
_ONE_OF_MANY = ("classification", "retrieval")
"""Tasks in which one class, or one caption, is right."""


def unfit(task: str, teacher: Teacher, student: Model, stages: Stages, contract: Contract) -> str:
    """What in a recipe does not go with its task, in words; empty where all does."""
    if (task == "retrieval") != isinstance(teacher, DualEncoderModel | ClipTeacher):
        return "`task: retrieval` goes with a teacher of the family `dual_encoder` or `clip`"
    if isinstance(student, DualEncoderModel):
        return "`student`: give the image encoder alone; the teacher's texts go with it"
    for place, loss in _losses(stages):
        what, tasks = _needs(loss)
        if tasks and task not in tasks:
            return f"`{place}.losses`: {what} is for `task: {tasks[0]}`"
    if task == "classification":
        return ""
    if not isinstance(teacher, _FREE) or getattr(teacher, "outputs", "logits") != "logits":
        return (
            f"`task: {task}`: a teacher of the family `{teacher.family}` answers with shares of "
            "classes here; take a torch, ONNX, TFLite or Keras model that gives plain outputs, a "
            "Python function, or stored answers"
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


def _losses(stages: Stages) -> Iterator[tuple[str, Loss]]:
    for name in ("teacher", "distill", "prune", "quantize"):
        stage = getattr(stages, name)
        for loss in stage.losses if stage else ():
            yield f"stages.{name}", loss
    for loss in stages.distill.peer_losses or ():
        yield "stages.distill", loss


def _needs(loss: Loss) -> tuple[str, tuple[str, ...]]:
    """What of a loss goes with some tasks only, and with which; none named for all."""
    if isinstance(loss, Bounded):
        return "`bounded`", ("regression",)
    if isinstance(loss, Exits | Peers):
        return f"`{loss.kind}`", ("classification",)
    if isinstance(loss, Decoupled):
        return "`decoupled`", _ONE_OF_MANY
    if isinstance(loss, SoftTargets) and loss.standardize:
        return "`standardize`", _ONE_OF_MANY
    if isinstance(loss, Labels) and loss.smoothing:
        return "`smoothing`", _ONE_OF_MANY
    return "", ()
