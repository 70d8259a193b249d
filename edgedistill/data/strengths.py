"""How much worse a sample is made: by kind, at strength 1, 2 or 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgedistill.errors import UserError, nearest


def amount_of(kind: str, strength: int, strengths: Mapping[str, Sequence[float]]) -> float:
    """The amount of a corruption, in the unit of its kind.

    Raises UserError: an unknown kind or strength.
    """
    if kind not in strengths:
        raise UserError(f"unknown corruption `{kind}`", nearest(kind, list(strengths)))
    if strength not in (1, 2, 3):
        raise UserError(f"corruption `{kind}`: there is no strength {strength}", "give 1, 2 or 3")
    return strengths[kind][strength - 1]
