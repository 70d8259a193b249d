"""What the record of a whole run begins with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import edgedistill
from edgedistill.records import Machine, from_json

if TYPE_CHECKING:
    from edgedistill.devices.machine import ThisMachine
    from edgedistill.recipe import AnyRecipe
    from edgedistill.target import Target


def head(recipe: AnyRecipe, target: Target, here: ThisMachine) -> dict[str, Any]:
    """The fields of `records.whole.WholeRecord`, as of now; here: as `machine()` tells."""
    return {
        "edgedistill": edgedistill.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": recipe.name,
        "recipe": recipe.model_dump(mode="json"),
        "target": target.model_dump(mode="json"),
        "machine": from_json(Machine, here),
    }
