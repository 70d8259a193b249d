"""How deep and how large a document may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgedistill.document.mistakes import shown

MOST_DEPTH = 40
"""Lists and mappings inside each other, at most."""
MOST_ITEMS = 50_000
"""Values of a document with every alias written out, at most; long text counts for several."""
MOST_DIGITS = 100
"""Characters of a number, at most."""
TOO_DEEP = f"nested deeper than {MOST_DEPTH} levels"
TOO_MANY = f"more than {MOST_ITEMS} values, aliases written out"
_LONG_TEXT = 64
"""Characters of text that count as one value."""


class Unbounded(Exception):
    """A part of a document that goes on for ever, or nearly so."""

    def __init__(self, part: Any, why: str) -> None:
        super().__init__(why)
        self.part, self.why = part, why


def check_parts(top: Any, inside: Callable[[Any], list[Any]], weight: Callable[[Any], int]) -> None:
    """Raises Unbounded: more than MOST_DEPTH levels, more than MOST_ITEMS values where each that
    is shared counts every time it is met, or a part that holds itself.

    Shared parts are walked once, so that the answer comes at once whatever they multiply to.
    """
    known: dict[int, tuple[int, int]] = {}
    above: set[int] = set()

    def extent(part: Any, depth: int) -> tuple[int, int]:
        """The part's values and levels."""
        if id(part) in above:
            raise Unbounded(part, "holds itself")
        values, levels = known.get(id(part), (0, 0))
        if not levels:
            if depth > MOST_DEPTH:
                raise Unbounded(part, TOO_DEEP)
            above.add(id(part))
            values, levels = weight(part), 1
            for each in inside(part):
                more, deep = extent(each, depth + 1)
                values, levels = values + more, max(levels, deep + 1)
            above.discard(id(part))
            known[id(part)] = values, levels
        if depth + levels - 1 > MOST_DEPTH:
            raise Unbounded(part, TOO_DEEP)
        if values > MOST_ITEMS:
            raise Unbounded(part, TOO_MANY)
        return values, levels

    extent(top, 1)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return list(value) if isinstance(value, list | tuple) else []


def weight(value: Any) -> int:
    """How many items a value counts as; a long text is more than one."""
    return 1 + len(value) // _LONG_TEXT if isinstance(value, str) else 1


def _checked_weight(value: Any) -> int:
    if isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
        raise Unbounded(value, f"{shown(value)} is too large")
    return weight(value)


def check_extent(value: Any) -> None:
    """For a document that is no file: Raises ValueError where it is too deep, too large, or holds
    itself, or a number that nothing can write."""
    try:
        check_parts(value, _parts, _checked_weight)
    except Unbounded as error:
        raise ValueError(error.why) from None


def check_plain(value: Any) -> None:
    """Raises ValueError: `value` is not what a YAML file of text, finite numbers, yes and no, null,
    lists, and mappings with text as keys can hold, or is too deep or too large."""
    check_extent(value)
    _check_kinds(value)


def _check_kinds(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {shown(key)} is no text; quote it")
            _check_kinds(key)
            _check_kinds(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_kinds(inner)
    elif isinstance(value, str):
        if not is_unicode(value):
            raise ValueError(f"{shown(value)} is no Unicode text")
    elif isinstance(value, float):
        if not abs(value) < float("inf"):
            raise ValueError(f"{value} is no finite number")
    elif value is not None and not isinstance(value, int):
        raise ValueError(f"{shown(value)} is no text, number, list or mapping")


def is_unicode(text: str) -> bool:
    """Whether it can be written at all: half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
