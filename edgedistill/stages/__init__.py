"""What a stage is, and the table of them all.

A stage is a config type and a function. It reads sealed artifacts, writes files into a scratch
folder and returns metrics; only the pipeline seals the folder. Stages never import each other.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.artifact import CHECKPOINTS, Artifact, JsonObject
from edgedistill.cache import default_root
from edgedistill.progress import Reporter
from edgedistill.runtime_table import TABLE

if TYPE_CHECKING:
    from edgedistill.distill.teachers import TeacherContext
    from edgedistill.predict import State
    from edgedistill.recipe import Teacher
    from edgedistill.records import DataRecord


@dataclass(frozen=True)
class Context:
    """What a stage may know beside its config and inputs."""

    scratch: Path
    """Folder to write into. After a kill it still holds what was written before."""
    seed: int
    deterministic: bool
    reporter: Reporter
    answers: Path
    """Folder for teachers' answers that are paid for, which outlive everything else."""

    sent: Counter[str] = field(default_factory=Counter)
    """How many requests this run has sent to each endpoint."""
    cache: Path = field(default_factory=default_root)
    """The cache's folder, where prices of devices are kept."""

    def teacher_context(
        self, config: Teacher, folder: Path, data: DataRecord, precision: str = "fp32"
    ) -> TeacherContext:
        """What a teacher is opened with whose own files lie in `folder`."""
        from edgedistill.distill.teachers import TeacherContext

        seen = data.inputs_at(config.image_size)
        rate = data.sound.rate if data.sound else None
        return TeacherContext(folder, data.classes, seen, precision, self.answers, self.sent, rate)

    def told(self, stage: str, state: State | None) -> JsonObject:
        """A model's state as metrics, its warnings said aloud; none of what was not measured."""
        if state is None:
            return {}
        for text in state.warnings:
            self.reporter.say(f"{stage}: {text}")
        return {name: value for name, value in vars(state).items() if value is not None}

    @property
    def checkpoints(self) -> Path:
        """For what helps to resume; dropped before the stage's folder is sealed."""
        folder = self.scratch / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        return folder


@dataclass(frozen=True)
class Stage:
    """`run(config, inputs, context)` returns metrics (JSON values)."""

    name: str
    version: int
    """Raised when the same config and inputs would give other bytes than before."""
    libraries: tuple[str, ...]
    """Distributions whose version is part of the cache key."""

    @property
    def run(self) -> Callable[[Any, dict[str, Artifact], Context], JsonObject]:
        """The stage's own function; its module is imported here."""
        module = importlib.import_module(f"edgedistill.stages.{self.name}")
        run: Callable[[Any, dict[str, Artifact], Context], JsonObject] = module.run
        return run


_WRITERS = (name for entry in TABLE.values() if not entry.extra for name in entry.written_by)
_EXPORT = ("torch", *_WRITERS)
"""Without what writes files of a runtime that is an extra: `stages.export.Config.made_with`."""

STAGES = {
    stage.name: stage
    for stage in (
        Stage("data", 8, ("pillow", "numpy")),
        Stage("teacher", 6, ("torch",)),
        Stage("teach", 4, ("torch",)),
        Stage("judge", 2, ()),
        Stage("control", 4, ("torch", "accelerate")),
        Stage("audit", 4, _EXPORT),
        Stage("distill", 7, ("torch", "accelerate")),
        Stage("prune", 7, ("torch", "torch-pruning", "accelerate")),
        Stage("quantize", 9, ("torch", "torchao", "accelerate")),
        Stage("export", 12, _EXPORT),
        Stage("verify", 6, _EXPORT),
        Stage("listen", 3, _EXPORT),
        Stage("benchmark", 3, _EXPORT),
        Stage("speech", 1, ("numpy",)),
        Stage("transcribe", 1, ("torch", "jiwer")),
        Stage("ablate", 1, ("torch",)),
        Stage("tune", 1, ("torch", "accelerate")),
        Stage("recognizer", 4, _EXPORT),
        Stage("recognize", 1, (*_EXPORT, "jiwer")),
        Stage("speech_audit", 1, (*_EXPORT, "jiwer")),
        Stage("speech_times", 1, _EXPORT),
    )
}
