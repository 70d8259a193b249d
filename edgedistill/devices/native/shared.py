"""Shared libraries that must lie beside the runner, and how it is started among them."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from edgedistill.devices import private
from edgedistill.errors import UserError
from edgedistill.runtime_table import TABLE

ISAS = ("x86_64", "aarch64")
_LIBRARIES = {
    "litert": ("ai_edge_litert", ".", "libLiteRt.so"),
    "onnxruntime": ("onnxruntime", "capi", "libonnxruntime.so.*"),
}
"""By runtime: its package, the folder in it, and the library's name there."""
_LOADER = "ld-linux-aarch64.so.1"
SYSTEM = (
    _LOADER, "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1",
    "libgcc_s.so.1", "libstdc++.so.6",
)  # fmt: skip
"""What a runtime's library links to: of the device itself nothing but its kernel is used."""
_SETUP = "`edgedistill device setup adb` fetches it (or `ssh`, or `emulator`)"


def libraries(runtime: str, isa: str) -> list[Path]:
    """The runtime's shared library first, and whatever else must lie beside the runner.

    For x86_64 it is that of the package installed here; for aarch64 that of the private folder,
    with the loader and the C library that go with it.

    Raises UserError: the runner does not know that runtime or instruction set, or a library is not
    here.
    """
    check_runtime(runtime)
    check_isa(isa)
    if isa == "aarch64":
        return [_of_private(runtime), *map(_of_root, SYSTEM)]
    if platform.machine() not in ("x86_64", "AMD64"):
        raise UserError(
            f"{runtime}: there is no library for x86_64 on this {platform.machine()} machine",
            "measure x86_64 devices from an x86_64 machine",
        )
    return [_of_package(runtime)]


def launch(isa: str, libraries: str = ".") -> list[str]:
    """The words before the runner's arguments, where it lies in the working folder.

    libraries: the folder there, relative to that one or absolute, with what `libraries` names.
    """
    loader = [f"{libraries}/{_LOADER}", "--library-path", libraries] if isa == "aarch64" else []
    return [*loader, "./edgedistill_runner"]


def check_runtime(runtime: str) -> None:
    """Raises UserError: the runner does not know that runtime."""
    if runtime not in _LIBRARIES:
        raise UserError(
            f"`{runtime}` does not run on a device without Python",
            f"take a file of one of: {', '.join(_LIBRARIES)}",
        )


def check_isa(isa: str) -> None:
    """Raises UserError: the runner is not built for that instruction set."""
    if isa not in ISAS:
        raise UserError(
            f"nothing measures on `{isa}` processors",
            f"take a device with one of: {', '.join(ISAS)}",
        )


def _of_package(runtime: str) -> Path:
    package, folder, pattern = _LIBRARIES[runtime]
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    found = _newest(Path(places[0], folder), pattern) if places else None
    if found is None:
        raise UserError(
            f"{runtime}: its shared library is not installed here",
            f"pip install {TABLE[runtime].runs_in}",
        )
    return found


def _of_private(runtime: str) -> Path:
    package, folder, pattern = _LIBRARIES[runtime]
    place = private.folder() / "aarch64" / "python" / package / folder
    found = _newest(place, pattern)
    if found is None:
        raise UserError(f"{runtime}: its library for aarch64 is not in {place}", _SETUP)
    return found


def _of_root(name: str) -> Path:
    path = private.folder() / "aarch64" / "lib" / name
    if not path.is_file():
        raise UserError(f"{name}, which aarch64 programs need, is not in {path.parent}", _SETUP)
    return path


def _newest(folder: Path, pattern: str) -> Path | None:
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime, default=None)
