"""A recognizer in torch, and one in the files of any runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.runtimes.native import to_real
from edgedistill.transcribing.decoding import Floats

if TYPE_CHECKING:
    from edgedistill.models.whisper.network import Pair, Whisper
    from edgedistill.runtimes import Array, Loaded


class InTorch:
    """A model as it is trained: keys and values grow with the transcript."""

    def __init__(self, model: Whisper) -> None:
        self._model = model
        self._cross: list[Pair] = []
        self._before: list[Pair] = []

    def hear(self, samples: Floats) -> None:
        """See `Recognizer`."""
        import torch

        with torch.no_grad():
            states = self._model.states(torch.from_numpy(samples)[None])
            self._cross = self._model.decoder.cross(states)
        self._before = []

    def step(self, token: int, position: int) -> Floats:
        """See `Recognizer`; positions follow each other."""
        import torch

        with torch.no_grad():
            logits, self._before = self._model.decoder.further(
                torch.tensor([[token]]), self._cross, self._before
            )
        found: Floats = logits[0].numpy()
        return found


class InRuntime:
    """A model's two programs in a runtime. What `encode` gives, and the caches, go into each step
    as the file holds them."""

    def __init__(self, encode: Loaded, step: Loaded) -> None:
        self._encode, self._step = encode, step
        specs = {each.name: each for each in step.signature.inputs}
        self._empty: dict[str, Array] = {
            name: np.full(specs[name].of_batch(1), specs[name].zero_point or 0, specs[name].dtype)
            for name in step.signature.state.values()
        }
        self._given: dict[str, Array] = {}

    def hear(self, samples: Floats) -> None:
        """See `Recognizer`. A transcript before this one is forgotten."""
        heard = self._encode.run(self._encode.encode({"samples": samples[None]}))
        self._given = {name: values.copy() for name, values in heard.items()} | self._empty

    def step(self, token: int, position: int) -> Floats:
        """See `Recognizer`."""
        here: dict[str, Any] = {
            "token": np.array([token], np.int32), "position": np.array([position], np.int32),
        }  # fmt: skip
        outputs = self._step.run(here | self._given)
        for given, taken in self._step.signature.state.items():
            self._given[taken] = outputs[given]
        spec = self._step.signature.outputs[self._step.signature.answer]
        logits: Floats = to_real(outputs[spec.name], spec)[0].copy()
        return logits
