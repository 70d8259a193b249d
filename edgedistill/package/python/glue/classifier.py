"""A model that classifies, measures or retrieves pictures, or hears keywords."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .app import Description
from .counting import Counters
from .listening import Detection, Listener, softmax
from .pictures import prepared
from .runtime import Program, to_native, to_real
from .selftest import Check, check_program
from .sounds import read, window


@dataclass(frozen=True)
class Answer:
    """The answer to one picture or recording."""

    label: str | None
    """The likeliest; None of measures."""
    confidence: float | None
    """Its probability; None of measures."""
    probabilities: dict[str, float]
    """Of every label; of measures the values themselves."""
    route: bool
    """Whether the teacher should be asked."""


class Classifier:
    """What `open` gives for pictures and sound."""

    def __init__(self, app: Description, threads: int) -> None:
        self._app, self._threads = app, threads
        self._program = Program(app, "main", threads)
        self._counters = Counters(app)
        self._listener: Listener | None = None
        texts = app.document["texts"]
        self._texts = None if texts is None else app.array({**texts, "dtype": "float32"})

    def classify(self, sample: Any) -> Answer:
        """The answer to a picture: uint8 (height, width[, channels]), a file's name or a Pillow
        image; or to a recording: samples (any number,) at the model's rate, int16 or floats in
        -1..1, or the name of a WAV file of that rate.

        Raises ValueError: it is neither.
        """
        outputs = self._program.run({self._program.inputs[0]["name"]: self._fed(sample)})
        answer = self._program.answer
        return self._answer(to_real(outputs[answer["name"]], answer).reshape(1, -1)[0])

    def _fed(self, sample: Any) -> Any:
        told, spec = self._app.document, self._program.inputs[0]
        if self._app.kind == "sound":
            return to_native(window(read(sample, told["sound"]["rate"]), told["sound"]), spec)
        pixels = prepared(sample, told["preprocessing"])[None]
        return to_native(pixels.astype(np.float32) / np.float32(255), spec)

    def _answer(self, outputs: Any) -> Answer:
        told = self._app.document
        if self._texts is not None:
            length = max(float(np.linalg.norm(outputs)), 1e-12)
            outputs = told["texts"]["scale"] * (outputs / length) @ self._texts.T
        scores = _ACTIVATIONS[told["activation"]](outputs, told["temperature"])
        named = dict(zip(told["labels"], map(float, scores), strict=True))
        if told["activation"] == "none":
            return Answer(None, None, named, route=False)
        best = int(scores.argmax())
        sure = float(scores[best])
        limit = (told["routing"] or {}).get("threshold")
        route = limit is not None and sure < limit
        self._counters.count(outputs, route)
        return Answer(told["labels"][best], sure, named, route)

    def listen(self, chunk: Any) -> list[Detection]:
        """Keywords that are heard in the next samples (any number,) of a stream, at the model's
        rate, int16 or floats in -1..1.

        Raises ValueError: they are no sound, or the model does not listen.
        """
        if self._app.document["listening"] is None:
            raise ValueError("this model does not listen")
        if self._listener is None:
            self._listener = Listener(self._app, self._threads)
        return self._listener.feed(chunk)

    def restart(self) -> None:
        """Let the next samples that are listened to begin a stream."""
        self._listener = None

    def counters(self) -> dict[str, Any]:
        """What was counted of `classify`'s answers, for `edgedistill drift`. Raises ValueError:
        nothing is counted."""
        return self._counters.document()

    def clear_counters(self) -> None:
        """Count anew."""
        self._counters.clear()

    def self_test(self) -> Check:
        """Hold the model against its golden data. Raises SelfTestFailed."""
        golden = self._app.document["golden"]
        found = check_program(self._app, self._program, golden, keeps_state=False)
        if golden["steps"] is None:
            return found
        step = Program(self._app, self._app.document["listening"]["program"], self._threads)
        return found.worse(check_program(self._app, step, golden["steps"], keeps_state=True))


_ACTIVATIONS: dict[str, Callable[[Any, float], Any]] = {
    "softmax": softmax,
    "sigmoid": lambda values, _: 1 / (1 + np.exp(-values.astype(np.float64))),
    "none": lambda values, _: values,
}
