"""How long to search, as a person writes it."""

from __future__ import annotations

import re

from edgedistill.document import cut
from edgedistill.errors import UserError

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_MOST = 90 * 24 * 3600.0


def parse_budget(text: str) -> float:
    """`30m`, `2h`, `90s`, `1h30m` in seconds. Raises UserError: anything else, none, or more than
    90 days."""
    match = _FORM.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        missing = text.strip().replace(".", "", 1).isdigit()
        problem = "has no unit" if missing else "is not a time"
        raise UserError(f"--budget {cut(text)}: {problem}", "write it as 30m, 2h, 90s or 1h30m")
    given = zip(match.groups(), _SECONDS.values(), strict=True)
    seconds = sum(float(number or 0) * unit for number, unit in given)
    if not 0 < seconds <= _MOST:
        raise UserError(
            f"--budget {cut(text)}: should be more than nothing, and at most 90 days",
            "write it as 30m, 2h, 90s or 1h30m",
        )
    return seconds


def duration(seconds: float) -> str:
    """Seconds as a person says them: `1 h 30 min`, `4 min 10 s`, `12 s`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {whole % 60} s" if whole % 60 else f"{minutes} min"
    return f"{whole} s"
