"""What a training run keeps beside the weights: their moving average, and itself on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch


@runtime_checkable
class Derives(Protocol):
    """A module that holds what follows from its other state, and cannot be averaged itself."""

    def derive(self) -> None:
        """Compute it anew."""


class Average:
    """Exponential moving average of all floating-point state, batch statistics included."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self._model = model
        self._live = [v for v in model.state_dict().values() if v.is_floating_point()]
        self.shadow = [value.clone() for value in self._live]
        self._decay = decay

    def update(self) -> None:
        """Take the model's state into the average, with a weight of 1 - decay."""
        torch._foreach_lerp_(self.shadow, self._live, 1 - self._decay)

    def store(self) -> None:
        """Let the model be the average, what derives from averaged state included."""
        for value, shadow in zip(self._live, self.shadow, strict=True):
            value.copy_(shadow)
        for module in self._model.modules():
            if isinstance(module, Derives):
                module.derive()


class State:
    """A training run on disk: one safetensors file, replaced in one rename."""

    def __init__(
        self,
        path: Path,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        average: Average | None,
    ) -> None:
        self._path, self._model = path, model
        self._optimizer, self._average = optimizer, average

    def save(self, step: int, seconds: float) -> None:
        """Write weights, optimizer, average and random state after so many steps and seconds of
        training. A kill leaves the file of before."""
        from safetensors.torch import save_file

        tensors = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        for index, entry in self._optimizer.state_dict()["state"].items():
            for name, value in entry.items():
                if value is not None:
                    tensors[f"optimizer.{index}.{name}"] = value
        if self._average is not None:
            tensors |= {f"average.{i}": v for i, v in enumerate(self._average.shadow)}
        tensors["random"] = torch.get_rng_state()
        copies = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
                  for name, value in tensors.items()}  # fmt: skip
        part = self._path.with_suffix(".part")
        save_file(copies, part, {"run": json.dumps({"step": step, "seconds": seconds})})
        os.replace(part, self._path)

    def load(self) -> tuple[int, float]:
        """Restore everything; returns the step to go on from and the seconds spent before."""
        from safetensors import safe_open

        if not self._path.exists():
            return 0, 0.0
        with safe_open(self._path, framework="pt") as file:
            run = json.loads(file.metadata()["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        prefix, state = "model.", self._model.state_dict()
        state.update(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
        self._model.load_state_dict(state)
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                entries.setdefault(int(index), {})[name] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": entries, "param_groups": groups})
        if self._average is not None:
            for i, shadow in enumerate(self._average.shadow):
                shadow.copy_(tensors[f"average.{i}"])
        torch.set_rng_state(tensors["random"])
        return int(run["step"]), float(run["seconds"])
