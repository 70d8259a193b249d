"""How much memory a model takes in a page, as the system sees the page's process."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edgedistill.devices.browser.chromium import Chromium


def peak_mb(browser: Chromium, seconds: float) -> float | None:
    """Peak resident memory of a load and a few runs above the runtime alone, in 10^6 bytes. None
    where the system does not tell, or where Chromium's sandbox hides it.

    A page itself could only ask for the size of WebAssembly's memory, most of which is reserved.
    """
    browser.ask("HeapProfiler.collectGarbage", seconds)
    process = Path("/proc", str(browser.page_process()))
    empty = None
    with suppress(OSError):
        (process / "clear_refs").write_text("5")  # lets VmHWM begin anew
        empty = _status(process, "VmRSS")
    browser.evaluate("edgedistill.exercise()", seconds)
    with suppress(OSError):
        return None if empty is None else max(0, _status(process, "VmHWM") - empty) / 1e6
    return None


def _status(process: Path, name: str) -> int:
    """A size in the status of a process, in bytes."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))
