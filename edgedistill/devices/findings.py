"""What `device doctor` tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that a device needs."""

    what: str
    ok: bool
    told: str
    """A version or a path; else what was looked for and not found."""
    get: str = ""
    """How to get it, where it is missing."""
