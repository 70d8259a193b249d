"""What the emulator needs, fetched and built into the private folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgedistill.artifact import file_digest, text_digest
from edgedistill.devices.emulator import debian, wheels
from edgedistill.devices.emulator.cpus import CPUS, write_root
from edgedistill.devices.emulator.needs import QEMU, check_needs
from edgedistill.devices.emulator.steps import Say, Step, call, take
from edgedistill.devices.native.build import COUNTER, runner, sources_folder
from edgedistill.errors import UserError

ROOTS, PLUGIN = "emulator/roots", "emulator/plugin"
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
          "-fvisibility=hidden")  # fmt: skip


def setup(say: Say) -> None:
    """Fetch and build what is missing, and say each step. It may be interrupted: what is done
    stays, and the next call goes on from there.

    Raises UserError: a program is not installed, a registry is out of reach, or a build fails.
    """
    check_needs()
    runtimes = wheels.runtime_steps()
    if not runtimes:
        raise UserError("no runtime is installed here", "pip install ai-edge-litert onnxruntime")
    take([libraries_step(), *runtimes.values(), roots_step(), plugin_step()], say)
    say(f"the runner for aarch64: {runner('aarch64')}")


def libraries_step() -> Step:
    """The arm64 loader and C library."""
    return Step("aarch64/lib", "Debian's C library for arm64", debian.PACKAGES, debian.fetch)


def roots_step() -> Step:
    """A root for each processor."""

    def make(into: Path, say: Say) -> Mapping[str, str]:
        for cpu in CPUS.values():
            write_root(cpu, into / cpu.name)
        return {}

    wanted = {cpu.name: text_digest(vars(cpu)) for cpu in CPUS.values()}
    return Step(ROOTS, f"what {len(CPUS)} processors tell of themselves", wanted, make)


def plugin_step() -> Step:
    """The plugin that counts instructions, for the QEMU that is installed."""
    source, api = sources_folder() / COUNTER, plugin_api(qemu_version())

    def make(into: Path, say: Say) -> Mapping[str, str]:
        compiler = shutil.which("cc") or "cc"
        call(
            [compiler, *_FLAGS, f"-DPLUGIN_API={api}", "-o", into / "counter.so", source],
            "the counting plugin cannot be built", "`cc` must be able to build a C program",
        )  # fmt: skip
        return {}

    wanted = {"source": file_digest(source), "api": str(api)}
    return Step(PLUGIN, "the plugin that counts instructions", wanted, make)


def qemu_version() -> str:
    """Of `qemu-aarch64`: "7.2.22". Raises UserError: it does not tell."""
    said = call([QEMU, "--version"], QEMU, "apt-get install qemu-user", patience=60)
    found = re.search(r"version (\d+\.\d+(\.\d+)?)", said)
    if found is None:
        raise UserError(f"{QEMU} --version: {said[:100]}", "apt-get install qemu-user")
    return found[1]


def plugin_api(version: str) -> int:
    """Which of QEMU's plugin interfaces a version of it has, as far as the plugin uses them: 1 to
    8.2, 2 of 9.0, 3 since 9.1. Tried with 7.2."""
    major, minor = (int(part) for part in version.split(".")[:2])
    if major < 9:
        return 1
    return 2 if (major, minor) == (9, 0) else 3
