"""How much memory this process comes to hold."""

from __future__ import annotations

import gc
from pathlib import Path


def begin_memory() -> int | None:
    """Resident bytes now, where the kernel's high-water mark starts anew; None without /proc."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def peak_above(empty: int | None) -> float | None:
    """The high-water mark above `empty`, in 10^6 bytes."""
    return None if empty is None else max(_status("VmHWM") - empty, 0) / 1e6


def _status(name: str) -> int:
    """A size in /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))
