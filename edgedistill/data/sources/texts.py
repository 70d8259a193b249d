"""Labels that are given as names."""

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
