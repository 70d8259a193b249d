"""What would make a model cheaper or better on its target, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "width", "operator", "float", "image size", "stage", "capacity", "epochs", "weights", "runtime",
]  # fmt: skip
Unit = Literal["instructions", "ms", "MACs", "padded MACs", "KB", "points"]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One thing to try, which holds in what this compile found out."""

    kind: Kind
    of: str
    """The layers, operators, stage or file that it is about."""
    change: str
    """What to do."""
    because: str
    """What was found."""
    gain: float | None
    """How much less an inference or the file takes, or how many points better it is; below nothing:
    what the change costs on the target. None: it cannot be reckoned."""
    unit: Unit
    share: float | None
    """The gain as a part of the whole inference or file; None of points."""
    at_most: bool
    """Whether the gain is only the most that there is to win."""
    how: Literal["measured", "counted", "reckoned"]
    set: tuple[str, ...] = ()
    """What `edgedistill compile --set` takes; empty where no key of the recipe does it."""


@dataclass(frozen=True)
class Advised:
    """All advice, what is cheaper first, then what is better."""

    basis: str
    """What costs were reckoned in, and why."""
    advice: tuple[Advice, ...]
