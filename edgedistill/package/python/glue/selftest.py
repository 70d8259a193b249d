"""Golden data: whether this machine's runtime gives what the compile saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .app import Description
from .runtime import Program


class SelfTestFailed(Exception):
    """The model answers otherwise than its golden data."""


@dataclass(frozen=True)
class Check:
    """How near a model is to its golden data."""

    worst: float
    """Largest difference of a value, in the file's own numbers; of speech the edits."""
    tolerance: float
    equal: bool
    """Whether every value is the same."""
    tokens: int | None = None
    """Of speech those that are expected."""

    def worse(self, other: Check) -> Check:
        """Both in one."""
        further = self if self.worst >= other.worst else other
        return Check(further.worst, further.tolerance, self.equal and other.equal)


def check_program(
    app: Description, program: Program, golden: dict[str, Any], keeps_state: bool
) -> Check:
    """Feed a program its golden inputs, one after the other. Raises SelfTestFailed."""
    inputs = {each["name"]: app.array(each) for each in golden["inputs"]}
    expected = {each["name"]: app.array(each) for each in golden["outputs"]}
    beginning = program.beginning()
    states, apart = beginning, []
    for at in range(golden["samples"]):
        fed = {name: values[at : at + 1] for name, values in inputs.items()}
        outputs, states = program.step(fed, states if keeps_state else beginning)
        apart += [
            np.abs(outputs[name].astype(np.float64) - values[at : at + 1]).ravel()
            for name, values in expected.items()
        ]
    found = np.concatenate(apart)
    near = float((found <= golden["tolerance"]).mean())
    if not near >= golden["share"]:  # NaN too
        raise SelfTestFailed(
            f"{1 - near:.1%} of the values are further off than {golden['tolerance']:g}; the "
            f"worst by {found.max():g}"
        )
    return Check(float(found.max()), golden["tolerance"], bool((found == 0).all()))
