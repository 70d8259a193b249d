"""Labels that are given as names, and transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import UserError, nearest


def read_texts(values: Sequence[Any], where: str) -> list[str]:
    """Raises UserError: one is empty, or neither text nor a whole number."""
    for at, value in enumerate(values):
        number = isinstance(value, int) and not isinstance(value, bool)
        if not (number or (isinstance(value, str) and value.strip())):
            told = "empty" if value is None or value == "" else f"{value!r:.100}"
            raise UserError(f"{where}: entry {at} is {told}, no name", "give each sample its name")
    return [str(value) for value in values]


def transcripts(values: Sequence[Any], where: str) -> tuple[str | None, ...]:
    """What is said in each sample, without white space around it; empty where that is nothing, None
    where nobody knows. Raises UserError: one is no text."""
    for at, value in enumerate(values):
        if value is not None and not (isinstance(value, str) and _can_be_written(value)):
            raise UserError(
                f"{where}: entry {at} is {value!r:.100}, no text",
                "give each recording what is said in it, or null where nobody knows",
            )
    return tuple(None if value is None else value.strip() for value in values)


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False
    return True


def numbered(texts: Sequence[str], classes: Sequence[str], where: str) -> NDArray[np.int64]:
    """(samples,): the place of each text in `classes`.

    Raises UserError: one is none of them, as a label is that was never seen in training.
    """
    places = {name: place for place, name in enumerate(classes)}
    for text in texts:
        if text not in places:
            raise UserError(
                f"{where}: `{text[:200]}` is none of the {len(classes)} classes of the training "
                "data",
                nearest(text, list(classes)),
            )
    return np.array([places[text] for text in texts], np.int64)
