"""The last layer with weights of a file, and what enters it.

It is looked for from the output backwards: order within a file says little.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from edgedistill.runtimes import Array, Floats

Watch = Callable[["Array"], tuple["Array", "Array"]]
"""From a file's own input to its own output and the features (batch, dimensions)."""
_Node = TypeVar("_Node")


def nearest(
    start: Iterable[_Node | None],
    wanted: Callable[[_Node], bool],
    before: Callable[[_Node], Iterable[_Node | None]],
    key: Callable[[_Node], Hashable],
) -> _Node | None:
    """The operator that satisfies `wanted` in the fewest steps back; `key` tells two apart."""
    waiting, seen = list(start), set[Hashable]()
    for node in waiting:  # which grows meanwhile
        if node is None or key(node) in seen:
            continue
        if wanted(node):
            return node
        seen.add(key(node))
        waiting += before(node)
    return None


def over_places(values: Array, convolution: bool) -> Floats:
    """(batch, channels): of a convolution's input (batch, channels, ...), or another layer's
    (batch, ..., channels)."""
    floats = values.astype(np.float32)
    if convolution:
        floats = np.moveaxis(floats, 1, -1)
    places = floats.reshape(len(floats), -1, floats.shape[-1])
    found: Floats = places.mean(axis=1)
    return found
