"""The runtimes' npm packages, in pinned versions, in the private folder."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgedistill.errors import UserError, printable, reading
from edgedistill.scratch import scratch_folder

_PATIENCE = 600.0
"""Seconds for one package."""


@dataclass(frozen=True)
class Package:
    """A package as the registry has it, and what of it a page needs."""

    name: str
    version: str
    integrity: str
    """sha512 of its archive, as npm writes it."""
    megabytes: int
    """Of its archive."""
    folder: str
    """Under which the page finds it."""
    files: tuple[str, ...]
    """Glob patterns."""


PACKAGES = (
    Package(
        "onnxruntime-web", "1.30.0",
        "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        33, "onnxruntime-web",
        ("dist/ort.wasm.min.mjs", "dist/ort.webgpu.min.mjs", "dist/ort-wasm-simd-threaded.mjs",
         "dist/ort-wasm-simd-threaded.wasm", "dist/ort-wasm-simd-threaded.asyncify.*"),
    ),
    Package(
        "@litertjs/core", "2.5.3",
        "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        12, "litert", ("dist/index.js", "wasm/*"),
    ),
    Package(
        "@litertjs/wasm-utils", "2.5.3",
        "sha512-4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        1, "wasm-utils", ("dist/index.js",),
    ),
)  # fmt: skip


def setup(say: Callable[[str], None]) -> None:
    """Bring the packages that are missing into the private folder; what is there stays.

    say: is told of each. Raises UserError: npm is missing or cannot get a package, or a package is
    not the one that is pinned here.
    """
    with _alone():
        for package in PACKAGES:
            if place(package).is_dir():
                say(f"{package.name} {package.version} is there")
                continue
            say(f"{package.name} {package.version}: {package.megabytes} MB through npm")
            _bring(package)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process sets the browser up."""
    import fcntl  # a package for the web is written where there is none

    from edgedistill.devices.private import folder

    root = folder() / "browser"
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def place(package: Package) -> Path:
    """Where a package lies, or will."""
    from edgedistill.devices.private import folder

    return folder() / "browser" / f"{package.folder}-{package.version}"


def files() -> dict[str, Path]:
    """The packages' files by their paths in the page's folder.

    Raises UserError: a package is missing.
    """
    missing = absent()
    if missing:
        raise UserError(
            f"browser: not set up: {', '.join(missing)} missing", "edgedistill device setup browser"
        )
    found = {}
    for package in PACKAGES:
        root = place(package)
        for file in sorted(root.rglob("*")):
            if file.is_file():
                found[f"{package.folder}/{file.relative_to(root).as_posix()}"] = file
    return found


def absent() -> list[str]:
    """Names and versions of packages that are not there."""
    return [f"{each.name} {each.version}" for each in PACKAGES if not place(each).is_dir()]


def _bring(package: Package) -> None:
    target = place(package)
    # Beside its target, so that it appears there whole or not at all.
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with scratch_folder() as scratch:
        archive = _packed(package, scratch)
        _check(package, archive)
        _unpack(package, archive, part)
    part.rename(target)


def _packed(package: Package, folder: Path) -> Path:
    """The package's archive, as `npm pack` fetches it into `folder`."""
    wanted = f"{package.name}@{package.version}"
    npm = shutil.which("npm")
    if npm is None:
        raise UserError("browser: npm is not on PATH", "apt-get install npm")
    order = [npm, "pack", wanted, "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(
            order, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"browser: npm has not fetched {wanted} within {_PATIENCE:g} s",
            "try again: what is there stays",
        ) from None
    archives = list(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["without a word"]
        raise UserError(
            f"browser: npm cannot fetch {wanted}: {printable(said[0])[:300]}",
            "npm needs its registry: see `npm config get registry`, then try again",
        )
    return archives[0]


def _check(package: Package, archive: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise UserError(
            f"browser: {package.name} {package.version} is not the package that was pinned: "
            f"sha512-{digest}, not {package.integrity}",
            "look at the registry that npm asks (`npm config get registry`)",
        )


def _unpack(package: Package, archive: Path, target: Path) -> None:
    """Those of its files that a page needs, into the folder `target`."""
    with (
        reading(f"{package.name} {package.version}", "try again"),
        tarfile.open(archive) as packed,
    ):
        for member in packed.getmembers():
            path = Path(*Path(member.name).parts[1:])
            if member.isfile() and any(path.match(pattern) for pattern in package.files):
                content = packed.extractfile(member)
                assert content is not None
                file = target / path
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("wb") as written:
                    shutil.copyfileobj(content, written)
