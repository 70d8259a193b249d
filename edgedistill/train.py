"""The one training loop, used by every stage that trains."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgedistill.errors import UserError
from edgedistill.models import device_of
from edgedistill.recipe import Training

if TYPE_CHECKING:
    import numpy as np
    import torch
    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch import Tensor

    from edgedistill.checkpoint import Average, State


class Learnable(Protocol):
    """What a training run learns from, such as `TrainingInputs`; what a batch is, `batches` and
    `loss` agree on."""

    @property
    def seed(self) -> int:
        """Of the order, and of what is drawn."""

    def __len__(self) -> int:
        """Samples in an epoch."""

    def order(self, batch_size: int, epoch: int) -> list[NDArray[np.int64]]:
        """The samples of each batch of an epoch, (batch,) each."""

    def view(self, epoch: int) -> int:
        """How the samples look in an epoch."""

    def batches(
        self, order: Sequence[NDArray[np.int64]], view: int, device: torch.device
    ) -> Iterator[Any]:
        """A batch for each array of ids in `order`, on the device."""

    def loss(self, objective: torch.nn.Module, batch: Any, view: int) -> Tensor:
        """What the objective makes of a batch, a scalar."""


def learning_rate(step: int, steps: int, config: Training) -> float:
    """Linear warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017, SGDR)."""
    warm = config.warmup * steps
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def train(
    objective: torch.nn.Module,
    training_inputs: Learnable,
    config: Training,
    *,
    checkpoint: Path,
    tick: Callable[[float, float, str], None],
    deterministic: bool = False,
    on_step: Callable[[float], None] = lambda _: None,
    on_epoch: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Train in place whatever `objective` holds: called as an `Objective` is, it gives the loss.

    A checkpoint at `checkpoint` is written each epoch and every `config.checkpoint_minutes`; where
    one exists the run goes on from it, to the same weights as an undisturbed run. `on_step` gets
    the share of the steps done before each step, `on_epoch` the number of each epoch after it.
    Batch norms end, and are seen by `on_epoch`, with statistics that fit the weights, or with those
    that they came with (`config.freeze_batch_norm`). Returns images_per_second, seconds and
    samples_seen.

    Raises UserError when the loss is no longer a number.
    """
    import torch
    from accelerate import Accelerator

    from edgedistill.batch_norm import freeze
    from edgedistill.checkpoint import Average, State
    from edgedistill.pointwise import safe_pointwise

    torch.use_deterministic_algorithms(deterministic)
    torch.manual_seed(training_inputs.seed)
    accelerator = Accelerator()
    objective = objective.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    wrapped, optimizer = accelerator.prepare(objective, _optimizer(objective, config))
    batch_size = min(config.batch_size, len(training_inputs))
    epoch_steps = len(training_inputs) // batch_size
    steps = max(1, round(config.epochs * epoch_steps))
    average = Average(objective, config.ema) if config.ema else None
    state = State(checkpoint, objective, optimizer, average)
    first, earlier = state.load()
    started = time.monotonic()
    run = _Run(objective, wrapped, optimizer, accelerator, average, state,
               batch_size, epoch_steps, steps, first, earlier, started)  # fmt: skip
    wrapped.train()
    if config.freeze_batch_norm:
        for student in _students(objective):
            freeze(student)
    with safe_pointwise(objective):
        _learn(run, training_inputs, config, tick, on_step, on_epoch)
    if average is not None:
        average.store()
    _estimate_statistics(objective, training_inputs, batch_size)
    objective.to("cpu")
    spent = time.monotonic() - started
    return {
        "images_per_second": (steps - first) * batch_size / max(spent, 1e-9),
        "seconds": earlier + spent,
        "samples_seen": float(steps * batch_size),
    }


@dataclass(frozen=True)
class _Run:
    """What a training works on, and where it stands as it begins or goes on."""

    objective: torch.nn.Module
    wrapped: torch.nn.Module
    """The objective as `accelerate` calls it."""
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    average: Average | None
    state: State
    batch_size: int
    epoch_steps: int
    steps: int
    first: int
    """The step that it goes on from."""
    earlier: float
    """Seconds spent before."""
    started: float
    """On the monotonic clock."""


def _learn(
    run: _Run,
    training_inputs: Learnable,
    config: Training,
    tick: Callable[[float, float, str], None],
    on_step: Callable[[float], None],
    on_epoch: Callable[[int], None] | None,
) -> None:
    """The steps that are left."""
    step, saved = run.first, run.started
    while step < run.steps:
        epoch, offset = divmod(step, run.epoch_steps)
        order = training_inputs.order(run.batch_size, epoch)[offset : offset + run.steps - step]
        for batch in _batches(training_inputs, order, epoch, run.accelerator):
            on_step(step / run.steps)
            for group in run.optimizer.param_groups:
                group["lr"] = learning_rate(step, run.steps, config)
            loss = training_inputs.loss(run.wrapped, batch, epoch)
            _descend(loss, run.wrapped, run.optimizer, run.accelerator, config.clip)
            if run.average is not None:
                run.average.update()
            step += 1
            if step % 10 == 0 or step == run.steps:
                speed = (step - run.first) * run.batch_size / (time.monotonic() - run.started)
                note = _note(
                    loss.item(), step, run.steps, speed, (run.steps - step) * run.batch_size, config
                )
                tick(step * run.batch_size, run.steps * run.batch_size, note)
            if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                run.state.save(step, run.earlier + time.monotonic() - run.started)
                saved = time.monotonic()
        run.state.save(step, run.earlier + time.monotonic() - run.started)
        saved = time.monotonic()
        if on_epoch is not None:
            _estimate_statistics(run.objective, training_inputs, run.batch_size)
            on_epoch(epoch)


def _batches(
    training_inputs: Learnable,
    order: Sequence[NDArray[np.int64]],
    epoch: int,
    accelerator: Accelerator,
) -> Iterator[Any]:
    """This process's share of an epoch's batches, of samples by their numbers."""
    share = [ids[accelerator.process_index :: accelerator.num_processes] for ids in order]
    return training_inputs.batches(share, training_inputs.view(epoch), accelerator.device)


def _descend(
    loss: Tensor,
    objective: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    clip: float | None,
) -> None:
    """One step against the gradient, whose norm is at most `clip`."""
    optimizer.zero_grad()
    accelerator.backward(loss)
    if clip is not None:
        accelerator.clip_grad_norm_(objective.parameters(), clip)
    optimizer.step()


def _estimate_statistics(
    objective: torch.nn.Module, training_inputs: Learnable, batch_size: int
) -> None:
    """Fit the batch norms' statistics to the weights, on images as the training saw them. The
    students are asked directly, so in float32, and no loss is computed."""

    from edgedistill.batch_norm import IMAGES, estimate, stale

    models = [model for model in _students(objective) if stale(model)]
    if not models:
        return
    order = training_inputs.order(batch_size, 0)[: math.ceil(IMAGES / batch_size)]
    view, device = training_inputs.view(0), device_of(objective)
    estimate(models, (batch.inputs for batch in training_inputs.batches(order, view, device)))


def _students(objective: torch.nn.Module) -> list[torch.nn.Module]:
    from edgedistill.distill.objective import Objective

    return [each.student for each in objective.modules() if isinstance(each, Objective)]


def _note(
    loss: float, step: int, steps: int, speed: float, images_left: int, config: Training
) -> str:
    """Words for the progress. Raises UserError: the loss is no number."""
    if not math.isfinite(loss):
        raise UserError(
            f"the loss became {loss} at step {step} of {steps}",
            f"lower the learning rate (now {config.learning_rate})",
        )
    minutes, seconds = divmod(round(images_left / speed), 60)
    return f"loss {loss:.3f}, {speed:.0f} images/s, {minutes}:{seconds:02d} left"


def _optimizer(model: torch.nn.Module, config: Training) -> torch.optim.Optimizer:
    """Weight decay falls on matrices and kernels only: biases and batch norm go without."""
    import torch

    kernels = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, list[torch.nn.Parameter] | float]] = [
        {"params": kernels, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate)
    return torch.optim.SGD(
        groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0
    )
