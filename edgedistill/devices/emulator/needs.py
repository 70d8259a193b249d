"""Programs that the emulator needs, and how to get them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

from edgedistill.devices.findings import Finding
from edgedistill.errors import UserError

QEMU = "qemu-aarch64"
_APT = "apt works on Debian and its kin: set up there, or in a container of it"
_PROGRAMS = {
    "aarch64-linux-gnu-gcc": "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "cc": "apt-get install gcc libc6-dev",
    "apt-get": _APT,
    "dpkg-deb": _APT,
}
"""That set-up calls."""


def qemu() -> Finding:
    """QEMU's user emulation, as one that takes plugins: a statically linked one does not."""
    get = "apt-get install qemu-user (of Debian 12: its qemu-user-static takes no plugins)"
    if not sys.platform.startswith("linux"):
        return Finding("QEMU", False, "its user emulation runs on Linux alone", "use Linux")
    path = shutil.which(QEMU)
    if path is None:
        return Finding("QEMU", False, f"{QEMU} is not on PATH", get)
    try:
        told = subprocess.run([path, "--help"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("QEMU", False, f"{path} does not run: {type(error).__name__}", get)
    if "-plugin" not in told:
        return Finding("QEMU", False, f"{path} takes no plugins, which count instructions", get)
    return Finding("QEMU", True, path)


def programs() -> list[Finding]:
    """What set-up calls: compilers, Debian's package tools, pip."""
    found = []
    for name, get in _PROGRAMS.items():
        path = shutil.which(name)
        told = path or f"{name} is not on PATH"
        found.append(Finding(name, path is not None, told, "" if path else get))
    pip = importlib.util.find_spec("pip") is not None
    told = "a module of this Python" if pip else f"{sys.executable} has no module pip"
    found.append(Finding("pip", pip, told, "" if pip else "python -m ensurepip"))
    return found


def check_needs() -> None:
    """Raises UserError: what is missing, all at once."""
    missing = [each for each in (qemu(), *programs()) if not each.ok]
    if missing:
        raise UserError(
            f"the emulator cannot be set up: {'; '.join(each.told for each in missing)}",
            "; ".join(dict.fromkeys(each.get for each in missing)),
        )
