"""The runtimes' shared libraries for aarch64, out of the packages that Python installs there."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from edgedistill.artifact import file_digest
from edgedistill.devices.emulator.steps import Say, Step, call
from edgedistill.errors import UserError, reading
from edgedistill.libraries import version
from edgedistill.runtime_table import TABLE
from edgedistill.scratch import scratch_folder

_PLATFORMS = ("2_17", "2_24", "2_27", "2_28", "2_31", "2_34", "2_35")
"""Of C libraries that the pinned one is as new as."""


@dataclass(frozen=True)
class _Package:
    runtime: str
    folder: str
    """Of the package in its wheel."""
    libraries: str
    """All of the wheel that a program without Python needs."""


_PACKAGES = (
    # Not libLiteRtWebGpuAccelerator.so beside it: LiteRT loads it where it finds it, and it ends
    # the process on processors before Armv8.1 (Cortex-A53, A72), on which the rest runs.
    _Package("litert", "ai_edge_litert", "libLiteRt.so"),
    _Package("onnxruntime", "onnxruntime", "capi/libonnxruntime.so.*"),
)
RUNTIMES = tuple(each.runtime for each in _PACKAGES)


def runtime_steps() -> dict[str, Step]:
    """For each runtime that is installed here, the step that gets the same version for aarch64."""
    return {
        each.runtime: _step(each, distribution, installed)
        for each in _PACKAGES
        if (installed := version(distribution := TABLE[each.runtime].runs_in)) is not None
    }


def _step(package: _Package, distribution: str, installed: str) -> Step:
    def make(into: Path, say: Say) -> Mapping[str, str]:
        return _fetch(package, f"{distribution}=={installed}", into)

    what = f"{distribution} {installed} for aarch64"
    return Step(f"aarch64/python/{package.folder}", what, {distribution: installed}, make)


def _fetch(package: _Package, wanted: str, into: Path) -> dict[str, str]:
    """Raises UserError: pip does not reach its registry, or there is no such package."""
    hint = "pip must work here; there may be no aarch64 package of that version"
    platforms = [
        word for each in _PLATFORMS for word in ("--platform", f"manylinux_{each}_aarch64")
    ]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    with scratch_folder() as scratch:
        call(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch,
                "--disable-pip-version-check", "--only-binary=:all:", "--implementation", "cp",
                "--python-version", python, *platforms, wanted,
            ],
            f"pip download {wanted}", hint,
        )  # fmt: skip
        (wheel,) = scratch.glob("*.whl")
        with reading(wheel.name, hint), zipfile.ZipFile(wheel) as archive:
            _extract(archive, f"{package.folder}/{package.libraries}", package.folder, into)
        return {wheel.name: file_digest(wheel)}


def _extract(archive: zipfile.ZipFile, pattern: str, folder: str, into: Path) -> None:
    found = [name for name in archive.namelist() if fnmatch(name, pattern) and ".." not in name]
    if not found:
        raise UserError(f"{archive.filename}: holds no {pattern}", "report this version")
    for name in found:
        path = into / name.removeprefix(f"{folder}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(name))
