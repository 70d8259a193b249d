"""A trained recognizer on disk: `student.json` and its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.artifact import Artifact
from edgedistill.records.recognition import StudentRecord

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.models.whisper.network import Whisper

WEIGHTS = "weights.safetensors"


def save_weights(model: Whisper, folder: Path) -> None:
    """Write a model's weights into a folder that is there."""
    from safetensors.torch import save_file

    tensors = {name: each.detach().clone() for name, each in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)


def load_weights(folder: Path) -> dict[str, Tensor]:
    """What `save_weights` wrote there."""
    from safetensors.torch import load_file

    return load_file(folder / WEIGHTS)


def open_student(artifact: Artifact) -> Whisper:
    """The model that the stage `tune` left, in evaluation mode."""
    from edgedistill.models.whisper.network import Shape, Whisper

    model = Whisper(Shape(**StudentRecord.read(artifact).sizes))
    model.load_state_dict(load_weights(artifact.path))
    return model.eval()
