"""A browser as a device: ONNX Runtime Web and LiteRT.js in headless Chromium on this machine.

Each run is a browser of its own, with an empty profile, on a page that is served from this process
and reaches nothing else. Neither runtime tells a page of its operators, so a record has none.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgedistill.devices.browser import chromium, packages
from edgedistill.errors import UserError, nearest

if TYPE_CHECKING:
    from edgedistill.devices.browser.device import Browser
    from edgedistill.devices.findings import Finding

BACKENDS = ("wasm", "wasm-threads", "webgpu")


def open_device(argument: str) -> Browser:
    """The browser with a backend: "wasm" or "" (one thread), "wasm-threads", "webgpu".

    Raises UserError: no such backend.
    """
    from edgedistill.devices.browser.device import Browser

    backend = argument or "wasm"
    if backend not in BACKENDS:
        raise UserError(f"browser: unknown backend `{argument}`", nearest(argument, list(BACKENDS)))
    return Browser(f"browser:{argument}" if argument else "browser", backend)


def setup(say: Callable[[str], None]) -> None:
    """Bring the runtimes' web packages. See `packages.setup`."""
    packages.setup(say)


def examine() -> list[Finding]:
    """Whether the browser and the packages are there. Whether it has WebGPU is told by opening
    `browser:webgpu`, which starts it."""
    from edgedistill.devices.findings import Finding

    found = []
    try:
        told = _version(chromium.find())
        found.append(Finding("browser", True, told, ""))
    except UserError as error:
        found.append(Finding("browser", False, error.message, error.hint))
    missing = packages.absent()
    there = ", ".join(f"{each.name} {each.version}" for each in packages.PACKAGES)
    told = f"missing: {', '.join(missing)}" if missing else there
    way = "edgedistill device setup browser" if missing else ""
    found.append(Finding("web runtimes", not missing, told, way))
    if missing and shutil.which("npm") is None:
        found.append(Finding("npm", False, "npm is not on PATH", "apt-get install npm"))
    return found


def _version(binary: str) -> str:
    """What a browser says of its version. Raises UserError: nothing."""
    try:
        done = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, errors="replace", timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{binary} does not start: {error}", "install it anew") from None
    said = done.stdout.strip().splitlines()
    if done.returncode or not said:
        words = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise UserError(f"{binary} does not start: {words[:300]}", "install it anew")
    return said[-1]
