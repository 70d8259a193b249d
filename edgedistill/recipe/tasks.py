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
from edgedistill.recipe.models import ModelCommon
from edgedistill.recipe.stages import Stages
from edgedistill.recipe.teachers import (
    KerasTeacher,
    OnnxTeacher,
    PythonTeacher,
    StoredTeacher,
    Teacher,
    TfliteTeacher,
)

_FREE = (ModelCommon, OnnxTeacher, TfliteTeacher, KerasTeacher, PythonTeacher, StoredTeacher)
"""Teachers whose answers may be any numbers, not only shares of classes."""


def unfit(task: str, teacher: Teacher, stages: Stages, contract: Contract) -> str:
    """What in a recipe does not go with its task, in words; empty where all does."""
    for place, loss in _losses(stages):
        if isinstance(loss, Bounded) and task != "regression":
            return f"`{place}.losses`: `bounded` is for `task: regression`"
        if task != "classification" and _of_classes(loss):
            return f"`{place}.losses`: {_of_classes(loss)} is for `task: classification`"
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


def _of_classes(loss: Loss) -> str:
    """How a loss needs classes that exclude each other; empty where it does not."""
    if isinstance(loss, Decoupled | Exits | Peers):
        return f"`{loss.kind}`"
    if isinstance(loss, SoftTargets) and loss.standardize:
        return "`standardize`"
    if isinstance(loss, Labels) and loss.smoothing:
        return "`smoothing`"
    return ""
