"""Stage `data`: the source, decoded, split and checked."""

from __future__ import annotations

from typing import Any

from pydantic import field_serializer

from edgedistill import recipe
from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data import prepare
from edgedistill.data.fingerprint import NOT_CONTENT
from edgedistill.stages import Context
from edgedistill.target import Frozen


class Config(Frozen):
    """What the splits depend on."""

    data: recipe.Data
    task: str
    embedding: int | None = None
    """Retrieval: dimensions of the space, whose names are then the outputs'."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Further ones in which a model sees the images."""
    fingerprint: str
    """`edgedistill.data.fingerprint(data)`: so that changed files are another key."""

    @field_serializer("data")
    def _what_matters(self, data: recipe.Data) -> dict[str, Any]:
        # Augmentation happens in training: changing it must not decode everything again.
        return data.model_dump(exclude=NOT_CONTENT)


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves a folder of arrays for each split and `data.json`; see `prepare`."""
    return prepare(
        config.data, config.task, context.seed, context.scratch, context.reporter,
        config.embedding, config.sizes,
    )  # fmt: skip
