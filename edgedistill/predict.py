"""Ask a model about a whole split, and see how good it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact
from edgedistill.data import open_split
from edgedistill.data.samples import tensors
from edgedistill.models import device_of
from edgedistill.program import Program, graph_of
from edgedistill.records import DataRecord
from edgedistill.signature import Inputs, blank, image_size
from edgedistill.tasks import TASKS, Task
from edgedistill.tasks.chance import chance_warning
from edgedistill.tasks.noise import paired_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from edgedistill.data import Split

Predict = Callable[..., NDArray[np.float32]]
"""A model's inputs in order, float32, such as pixels (batch, channels, height, width) in 0..1, to
logits (batch, classes)."""


@dataclass(frozen=True)
class State:
    """What a stage's metrics say of a model; None where only its answers are known."""

    validation_quality: float
    """In percent."""
    warnings: Sequence[str]
    macs: float | None = None
    """Millions of multiply-accumulates of one inference."""
    params: float | None = None
    """Thousands."""
    products: Sequence[Sequence[int]] | None = None
    """What the macs are made of, as `models.work.listed` has them."""


_SAMPLES, _BYTES = 500, 64_000_000
"""At once, of whichever is less; bytes of inputs."""


def logits_of(predict: Predict, split: Split) -> NDArray[np.float32]:
    """Logits (samples, classes) of a whole split, in its order."""
    batch_size = max(1, min(_SAMPLES, _BYTES // split.sample_bytes))
    starts = range(0, len(split), batch_size)
    batches = (np.arange(start, min(start + batch_size, len(split))) for start in starts)
    return np.concatenate([predict(*split.inputs(ids).values()) for ids in batches])


def placed(values: Tensor, device: torch.device) -> Tensor:
    """On the device; pixels (batch, channels, height, width) channels-last in memory, as
    convolutions take them fastest."""
    import torch

    layout = torch.channels_last if values.dim() == 4 else torch.preserve_format
    return values.to(device, memory_format=layout)


def torch_predictor(
    module: torch.nn.Module, precision: str = "fp32", ask: Callable[..., Any] | None = None
) -> Predict:
    """A torch module or exported graph, in evaluation mode already, as a function on arrays; `ask`
    is what calls it, where calling it with the inputs alone is not enough."""
    import torch

    from edgedistill.models.programs import judged

    def predict(*inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        device = device_of(module)
        batch = [placed(torch.from_numpy(each), device) for each in inputs]
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            given = judged(module, (ask or module)(*batch))
        logits: NDArray[np.float32] = given.float().cpu().numpy()
        return logits

    return predict


def task_of(inputs: dict[str, Artifact]) -> Task:
    """The task of a stage that reads the artifact of `data` and, where the task compares outputs
    with texts, under `texts` that of `teacher`."""
    task = TASKS[DataRecord.read(inputs["data"]).task]
    return task.of_teacher(inputs["texts"]) if "texts" in inputs else task


TRAIN_BETTER = (
    "Train for longer or with another learning rate, and see that labels belong to their samples"
)
SAME_CLASSES = "Are its classes the data's, in the same order, and its pixels as it wants them?"


def state_of_answers(
    answers: NDArray[np.float32] | None, data: Artifact, task: Task
) -> State | None:
    """The quality (percent) of outputs (samples, classes) for validation, and warnings; None for
    no answers."""
    if answers is None:
        return None
    labels = open_split(data.path, "validation").labels
    warnings = chance_warning(task, answers, labels, SAME_CLASSES)
    return State(task.quality(answers, labels), warnings)


def state_of_model(
    module: Any,
    data: Artifact,
    task: Task,
    advice: str = TRAIN_BETTER,
    seen: Inputs | None = None,
) -> State:
    """A model's quality on validation (percent), macs (millions), params (thousands) and warnings:
    a quality that is no better than by chance, and `advice` on it. Its `products` are what the macs
    are made of."""
    from edgedistill.models.work import listed, products

    seen = seen or DataRecord.read(data).inputs
    split = open_split(data.path, "validation", image_size(seen))
    module.eval()
    found = products(module, *blank(seen, device=device_of(module)))
    outputs = logits_of(torch_predictor(module), split)
    return State(
        validation_quality=task.quality(outputs, split.labels),
        warnings=chance_warning(task, outputs, split.labels, advice),
        macs=sum(each.macs for each in found) / 1e6,
        params=sum(parameter.numel() for parameter in module.parameters()) / 1e3,
        products=listed(found),
    )


class Validation:
    """The validation samples, and what a program's answers to them are worth."""

    def __init__(self, inputs: dict[str, Artifact]) -> None:
        """inputs: of a stage, as for `task_of`."""
        self._split, self.task = open_split(inputs["data"].path, "validation"), task_of(inputs)

    def quality(self, program: Program) -> float:
        """In percent."""
        return self.task.quality(self._answers(program), self._split.labels)

    def noise(self, first: Program, second: Program) -> float:
        """The standard error of the difference of their qualities, in points."""
        answers = self._answers(first), self._answers(second)
        return paired_noise(self.task.quality, *answers, self._split.labels)

    def some(self, samples: int) -> tuple[tuple[Tensor, ...], NDArray[Any]]:
        """(inputs, labels) of so many samples, or all, evenly over them."""
        ids = np.linspace(0, len(self._split) - 1, min(samples, len(self._split))).astype(np.int64)
        return tensors(self._split, ids), self._split.labels[ids]

    def _answers(self, program: Program) -> NDArray[np.float32]:
        return logits_of(torch_predictor(graph_of(program)), self._split)
