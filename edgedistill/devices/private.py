"""Where what devices need is kept on this machine: what was built, unpacked and set up for them."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """`$EDGEDISTILL_DEVICES`, or `~/.cache/edgedistill/devices`; it may not be there yet."""
    told = os.environ.get("EDGEDISTILL_DEVICES")
    return Path(told) if told else Path.home() / ".cache" / "edgedistill" / "devices"
