"""What does not go with samples that are arrays of any shape rather than pictures."""

from __future__ import annotations

from collections.abc import Iterable

from edgedistill.families.common import TeacherCommon
from edgedistill.families.sound import SoundModel
from edgedistill.recipe.checks import AuditConfig
from edgedistill.recipe.contract import Contract
from edgedistill.recipe.stages import Stages
from edgedistill.tasks import TASKS

_AUDITED = ("min_worst_class", "max_calibration_error", "max_copied_errors", "min_robustness")


def unfit_for_arrays(
    task: str,
    models: Iterable[tuple[str, TeacherCommon]],
    arrays: int,
    stages: Stages,
    contract: Contract,
    sound: bool = False,
) -> str:
    """What in a recipe is of pictures alone, in words; empty where nothing is.

    models: by their places in the recipe; arrays: how many each sample has; sound: whether that one
    is raw sound.
    """
    key = "data.sound" if sound else "data.inputs"
    if TASKS[task].by_texts:
        return f"`task: {task}` is of pictures, and `{key}` says that samples are none"
    for role, model in models:
        if not (model.takes_sound if sound else model.takes_arrays):
            other = "sound" if model.takes_sound else "pictures"
            return (
                f"`{role}`: a model of the family `{model.family}` takes {other}, and `{key}` says "
                "that samples are none; write one: `family: function`"
            )
        for field in ("mean", "std", "image_size"):
            if getattr(model, field, None) is not None:
                return f"`{role}.{field}` is of pictures; leave it out"
    if stages.prune is not None and arrays > 1:
        return "`stages.prune` cuts models of one input; leave it out"
    if sound:
        return ""
    if stages.audit != AuditConfig():
        return "`stages.audit` is of pictures and sound; leave it out"
    for line in _AUDITED:
        if getattr(contract, line) is not None:
            told = f"`contract.{line}` is found by the audit, which is of pictures and sound"
            return f"{told}; leave it out"
    return ""


def unfit_for_rate(models: Iterable[tuple[str, TeacherCommon]], rate: int) -> str:
    """Which model hears sound at another rate than the data's, in words; empty where none does."""
    for role, model in models:
        if isinstance(model, SoundModel) and model.front_end.rate != rate:
            return (
                f"`{role}.front_end.rate` is {model.front_end.rate}, and `data.sound.rate` {rate}; "
                "give both the same"
            )
    return ""
