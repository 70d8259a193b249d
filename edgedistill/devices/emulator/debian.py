"""The C library for arm64, out of Debian's packages and into a folder of ours.

apt works on a state of its own: the machine's packages, its lists and its hooks stay as they are.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from edgedistill.devices.emulator.steps import Say, call
from edgedistill.errors import UserError
from edgedistill.scratch import scratch_folder

PACKAGES = {
    "libc6": "2.36-9+deb12u14",
    "libgcc-s1": "12.2.0-14+deb12u1",
    "libstdc++6": "12.2.0-14+deb12u1",
}
"""Pinned, as counts follow the C library: another one moved them by 0.7 %."""
LIBRARIES = (
    "ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0",
    "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6",
)  # fmt: skip
"""The loader, and what the runtimes' libraries link to."""

_SOURCES = "`apt-get update` must work here, with sources that have the architecture arm64"
_CONFIG = """\
#clear APT::Update;
#clear DPkg;
#clear APT::Architectures;
APT::Update::Error-Mode "any";
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
"""
"""After the machine's own configuration, whose sources stay; its hooks, which work on the machine's
state, do not."""


def fetch(into: Path, say: Say) -> dict[str, str]:
    """Put the libraries into a folder, flat; returns the packages' versions.

    Raises UserError: apt cannot reach its sources, or they have no arm64.
    """
    with scratch_folder() as scratch:
        config = _config(scratch)
        call(["apt-get", "-c", config, "--quiet", "update"], "apt-get update", _SOURCES)
        got = {}
        for package, pinned in PACKAGES.items():
            got[package] = _offered(config, package, pinned, say)
            _unpack(config, f"{package}={got[package]}", scratch)
        for name in LIBRARIES:
            shutil.copyfile(_find(scratch / "root", name), into / name)
            (into / name).chmod(0o755)
    return got


def _config(scratch: Path) -> Path:
    for name in ("state/lists/partial", "cache/archives/partial", "packages", "root"):
        (scratch / name).mkdir(parents=True)
    (scratch / "state/status").touch()
    config = scratch / "apt.conf"
    config.write_text(_CONFIG.format(folder=scratch))
    return config


def _offered(config: Path, package: str, pinned: str, say: Say) -> str:
    """The pinned version where the machine's sources have it, else their newest."""
    listed = call(
        ["apt-cache", "-c", config, "madison", package], f"apt-cache: {package}", _SOURCES
    )
    versions = [line.split("|")[1].strip() for line in listed.splitlines()]
    if pinned in versions:
        return pinned
    if not versions:
        raise UserError(f"apt offers no {package} for arm64", _SOURCES)
    say(
        f"    {package} {pinned} is not to be had here: {versions[0]} is taken. Counts may differ "
        "by about 1 % from those of the pinned one"
    )
    return versions[0]


def _unpack(config: Path, package: str, scratch: Path) -> None:
    folder = scratch / "packages"
    command = ["apt-get", "-c", str(config), "--quiet", "download", package]
    call(command, f"apt-get: {package}", _SOURCES, folder=folder)
    for archive in folder.glob("*.deb"):
        call(["dpkg-deb", "-x", archive, scratch / "root"], f"dpkg-deb: {archive.name}", _SOURCES)
        archive.unlink()


def _find(root: Path, name: str) -> Path:
    """A library in Debian's folders, whether these are merged into /usr or not."""
    places = [root / part / "aarch64-linux-gnu" / name for part in ("lib", "usr/lib")]
    for place in places:
        if place.exists():
            return place.resolve()
    raise UserError(f"Debian's arm64 packages hold no {name}", _SOURCES)
