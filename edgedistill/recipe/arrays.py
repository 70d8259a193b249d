"""What does not go with samples that are arrays of any shape rather than pictures."""

from __future__ import annotations

from collections.abc import Iterable

from edgedistill.families.common import TeacherCommon
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
) -> str:
    """What in a recipe is of pictures alone, in words; empty where nothing is.

    models: by their places in the recipe; arrays: how many each sample has.
    """
    if TASKS[task].by_texts:
        return f"`task: {task}` is of pictures, and `data.inputs` says that samples are none"
    for role, model in models:
        if not model.takes_arrays:
            return (
                f"`{role}`: a model of the family `{model.family}` takes pictures, and "
                "`data.inputs` says that samples are none; write one: `family: function`"
            )
        for key in ("mean", "std", "image_size"):
            if getattr(model, key, None) is not None:
                return f"`{role}.{key}` is of pictures; leave it out"
    if stages.prune is not None and arrays > 1:
        return "`stages.prune` cuts models of one input; leave it out"
    if stages.audit != AuditConfig():
        return "`stages.audit` is of pictures; leave it out"
    for line in _AUDITED:
        if getattr(contract, line) is not None:
            return f"`contract.{line}` is found by the audit, which is of pictures; leave it out"
    return ""
