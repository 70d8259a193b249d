"""Which machine this is: part of every measurement, and of the key it is cached under."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

from edgedistill.runtime_table import TABLE
from edgedistill.target import Target

_FLAGS = (
    "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx_vnni", "avx512_vnni",
    "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16", "amx_tile",
    "asimd", "asimddp", "i8mm", "bf16", "sve", "sme",
)  # fmt: skip
_ARM_NAMES = {"asimd": "neon", "asimddp": "dotprod"}
_PACKAGES = ("torch", *(entry.runs_in for entry in TABLE.values()), "numpy")


class Instructions(TypedDict):
    """What of a machine decides which kernels a runtime takes, whatever it measures."""

    processor: str
    isa: str
    flags: list[str]


class ThisMachine(Instructions):
    """With what else decides how fast they are."""

    cores: int
    memory_gb: float
    system: str
    versions: dict[str, str]


def machine() -> ThisMachine:
    """This machine: processor, cores a process may use, memory in GB, kernel, and versions of
    what measures on it. No heavy import."""
    processor, flags = _processor()
    return {
        "processor": processor,
        "isa": {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine()),
        "flags": flags,
        "cores": _cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version(), **_versions()},
    }


def name_of(machine: ThisMachine) -> str:
    """A machine in one line."""
    special = [flag for flag in ("avx512_vnni", "amx_int8", "dotprod") if flag in machine["flags"]]
    words = ", ".join([machine["isa"], f"{machine['cores']} cores", *special])
    return f"{machine['processor']} ({words})"


def instructions(machine: Instructions) -> Instructions:
    """What of a machine decides which kernels a runtime takes, whatever it measures."""
    return {
        "processor": machine["processor"],
        "isa": machine["isa"],
        "flags": machine["flags"],
    }


def is_machine(target: Target, machine: Instructions) -> bool:
    """Whether figures of this machine are figures of the target.

    True for a Linux target of the same instruction set whose features this processor has. Targets
    on Arm name particular devices (a phone, a Raspberry Pi), which another Arm machine is not.
    """
    return (
        target.isa == "x86_64"
        and machine["isa"] == "x86_64"
        and target.package in ("python", "c")
        and set(target.features) <= set(machine["flags"])
    )


def _processor() -> tuple[str, list[str]]:
    try:
        name, flags = processor_in(Path("/proc/cpuinfo").read_text())
    except OSError:
        name, flags = "", []
    return name or platform.processor() or platform.machine(), flags


def processor_in(cpuinfo: str) -> tuple[str, list[str]]:
    """A processor's name and its features as targets name them, of what Linux tells in
    /proc/cpuinfo; "" where that has no name."""
    name, found = "", set[str]()
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            found |= set(value.split())
    return name, [_ARM_NAMES.get(flag, flag) for flag in _FLAGS if flag in found]


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def multiplies_bf16() -> bool:
    """Whether this processor has bfloat16 products of its own: without them bf16 is slower."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(_processor()[1]))


def precision_of(wanted: str) -> Any:
    """The precision of a training, with `auto` decided for this machine."""
    if wanted != "auto":
        return wanted
    return "bf16" if multiplies_bf16() else "fp32"
