"""What an endpoint's JSON says of an image: found in the document, checked, turned into logits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import JsonValue
from edgedistill.distill.teachers import Floats, log_probabilities
from edgedistill.errors import UserError, nearest

TOLERANCE = 1e-2
"""By which probabilities may miss a sum of 1: endpoints round."""
UNSURE = 1e-3
"""Probability that a bare label leaves to all other classes together."""
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
LARGEST = float(np.finfo(np.float32).max)

KINDS = "set `answer` to what comes: `logits`, `probabilities` or `log_probabilities`"
SAME_CLASSES = "teacher and data must have the same classes, in the same order"


def find(document: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) points to. Raises UserError with what there is instead."""
    here, path = document, ""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and key in here:
            here = here[key]
        elif isinstance(here, list) and _INDEX.fullmatch(key) and int(key) < len(here):
            here = here[int(key)]
        else:
            where = f"`{path}`" if path else "the response"
            raise UserError(
                f"there is no `{pointer}` in the response: {where} is {_described(here)}",
                "set `at` to where the answer is",
            )
        path = f"{path}/{step}"
    return here


def _described(value: Any) -> str:
    if isinstance(value, dict):
        keys = ", ".join(map(repr, islice(value, 10)))
        more = ", ..." if len(value) > 10 else ""
        return f"an object with the keys {keys}{more}" if value else "an empty object"
    return f"a list of {len(value)}" if isinstance(value, list) else json.dumps(value)


def logits_of(answer: Any, kind: str, classes: Sequence[str]) -> Floats:
    """Logits (classes,) of what an endpoint says of one image; kind: as `HttpTeacher.answer`.

    A mapping to probabilities may name some classes only: the others share what is left to 1.

    Raises UserError: unknown classes, or no distribution over them.
    """
    if kind == "label":
        return log_probabilities(_spread({_label(answer, classes): 1 - UNSURE}, classes))
    given = _by_class(answer, classes)
    if kind == "logits":
        missing = [name for name in classes if name not in given]
        if missing:
            raise UserError(
                f"logits for {len(given)} of {len(classes)} classes; `{missing[0]}` has none",
                "logits must name every class; only probabilities may name the top few",
            )
        return np.array([given[name] for name in classes], np.float32)
    if kind == "log_probabilities":
        for name, value in given.items():
            if value > TOLERANCE:
                raise UserError(f"class `{name}` has log-probability {value:.4g}, above 0", KINDS)
        given = {name: math.exp(value) for name, value in given.items()}
    return log_probabilities(_spread(given, classes))


def _label(answer: Any, classes: Sequence[str]) -> str:
    if isinstance(answer, str):
        return _known(answer, classes)
    if not isinstance(answer, int) or isinstance(answer, bool):
        raise UserError(
            f"the label is {_described(answer)}, expected the name or the number of a class",
            "set `at` to where it is, or `answer` to what it is",
        )
    if not 0 <= answer < len(classes):
        raise UserError(
            f"the label is {answer}, but the data has {len(classes)} classes, counted from 0",
            SAME_CLASSES,
        )
    return classes[answer]


def _known(name: str, classes: Sequence[str]) -> str:
    if name not in classes:
        raise UserError(
            f"the data has no class {name!r}, which the endpoint names",
            nearest(name[:200], list(classes)),
        )
    return name


def _by_class(answer: Any, classes: Sequence[str]) -> dict[str, float]:
    """The number given to each class, or to some. All are finite, as float32 too."""
    if isinstance(answer, dict) and answer and not _nested(answer):
        known = set(classes)
        for name in answer:
            if name not in known:
                _known(name, classes)
        given = answer
    elif isinstance(answer, list) and len(answer) == len(classes):
        given = dict(zip(classes, answer, strict=True))
    else:
        raise UserError(
            f"the answer is {_described(answer)}, expected {len(classes)} numbers or a mapping "
            "from class to number",
            f"set `at` to where they are; {SAME_CLASSES}",
        )
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(
                f"class `{name}` is given {_described(value)}, expected a number",
                "set `at` to where the numbers are, or `answer` to what they are",
            )
        if not abs(value) <= LARGEST:
            raise UserError(
                f"class `{name}` is given {str(value)[:20]}, which is not finite",
                "the endpoint's model is at fault, or its input",
            )
    return given


def _nested(answer: dict[str, JsonValue]) -> bool:
    """Whether it holds more than values, and so is not yet what was to be found."""
    return any(isinstance(value, dict | list) for value in answer.values())


def _spread(given: dict[str, float], classes: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities (classes,) that sum to 1; those not given share evenly what is left."""
    for name, value in given.items():
        if not 0 <= value <= 1 + TOLERANCE:
            raise UserError(f"class `{name}` has probability {value:.4g}, not within 0..1", KINDS)
    total, others = math.fsum(given.values()), len(classes) - len(given)
    if total > 1 + TOLERANCE or (not others and total < 1 - TOLERANCE):
        most = "at most 1" if others else "1"
        raise UserError(f"the probabilities sum to {total:.4g}, expected {most}", KINDS)
    share = max(0.0, 1 - total) / max(others, 1)
    values = np.array([given.get(name, share) for name in classes], np.float64)
    normalized: NDArray[np.float64] = values / values.sum()
    return normalized
