"""Counts of answers, by which the developer sees a drift: no picture and no sound leaves the
device."""

from __future__ import annotations

from typing import Any

import numpy as np

from .app import Description
from .listening import softmax


class Counters:
    """Answers since the beginning, or since `clear`. The confidence that is counted is at the
    temperature that `counting` names, as the bundle's reference has it."""

    def __init__(self, app: Description) -> None:
        self._told = app.document["counting"]
        self._classes = len(app.document["labels"])
        self._bundle = app.document["origin"]["bundle"]
        self.clear()

    def clear(self) -> None:
        """Begin anew, as after they were sent."""
        self._answers = [0] * self._classes
        self._bins = [0] * (len(self._told["edges"]) + 1) if self._told else []
        self._routed = 0

    def count(self, logits: Any, routed: bool) -> None:
        """One answer, of real logits (classes,); nothing where the bundle has no reference."""
        if self._told is None:
            return
        sure = softmax(logits, self._told["temperature"]).max()
        place = int(np.searchsorted(self._told["edges"], sure, side="right"))
        self._answers[int(logits.argmax())] += 1
        self._bins[place] += 1
        self._routed += routed

    def document(self) -> dict[str, Any]:
        """As `edgedistill drift` reads them. Raises ValueError: nothing is counted, as the bundle
        has no reference."""
        if self._told is None:
            raise ValueError("nothing is counted: the bundle has no reference to compare with")
        return {
            "format": 1,
            "bundle": self._bundle,
            "samples": sum(self._answers),
            "classes": list(self._answers),
            "edges": list(self._told["edges"]),
            "confidences": list(self._bins),
            "routed": self._routed,
        }
