"""The runner's executable, built from its C sources on this machine."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from edgedistill.devices import private
from edgedistill.devices.native.shared import check_isa
from edgedistill.errors import UserError

SOURCES = (
    "arguments.c",
    "clock.c",
    "litert.c",
    "litert_api.c",
    "onnxruntime.c",
    "report.c",
    "runner.c",
    "system.c",
)
_HEADERS = ("litert.h", "runner.h")
COUNTER = "counter.c"
"""Beside the runner's sources: of the emulator, a plugin and no part of the runner."""
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror",
          "-Wl,--export-dynamic-symbol=clock_gettime")  # fmt: skip
_PATIENCE = 120.0
"""Seconds that the compiler may take."""
_CROSS = {
    "aarch64": ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
    "x86_64": ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu libc6-dev-amd64-cross"),
}
"""By instruction set: the compiler on a machine of another, and its packages in Debian."""


def runner(isa: str) -> Path:
    """The executable `edgedistill_runner` for "x86_64" or "aarch64"; built once for these sources.

    Raises UserError: there is no compiler for it here, or it cannot build.
    """
    check_isa(isa)
    sources = sources_folder()
    built = private.folder() / "runner" / f"{isa}-{_digest(sources)}" / "edgedistill_runner"
    if not built.is_file():
        built.parent.mkdir(parents=True, exist_ok=True)
        _build(_compiler(isa), sources, built)
    return built


def sources_folder() -> Path:
    """Where the runner's sources lie: in the installed package, or in a checkout."""
    here = Path(__file__).parent / "sources"
    return here if here.is_dir() else Path(__file__).parents[3] / "benchmarks" / "device"


def _digest(sources: Path) -> str:
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for name in (*SOURCES, *_HEADERS):
        digest.update(name.encode() + b"\0" + (sources / name).read_bytes())
    return digest.hexdigest()[:16]


def compiler_of(isa: str) -> tuple[str, str]:
    """(a compiler's name, the packages it comes in) for an instruction set on this machine."""
    here = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    return ("cc", "gcc libc6-dev") if isa == here else _CROSS[isa]


def _compiler(isa: str) -> str:
    name, packages = compiler_of(isa)
    found = shutil.which(name)
    if found is None:
        raise UserError(
            f"the runner for {isa} cannot be built: there is no `{name}` on PATH",
            f"`apt-get install {packages}`, or what your system calls it",
        )
    return found


def _build(compiler: str, sources: Path, built: Path) -> None:
    """In one rename, so that who builds at the same time sees a whole one."""
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:
        new = Path(folder) / built.name
        files = [str(sources / name) for name in SOURCES]
        command = [compiler, *_FLAGS, "-o", str(new), *files, "-ldl"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{compiler} has not built the runner within {_PATIENCE:g} s", "try again"
            ) from None
        if done.returncode != 0:
            said = next((line for line in done.stderr.splitlines() if "error" in line), "")
            raise UserError(
                f"{compiler} cannot build the runner: {said[:300] or done.stderr[-300:]}",
                "see whether it builds anything: its C library's headers may be missing",
            )
        os.replace(new, built)
