"""The processors that are emulated, and what a program there may read about its own.

QEMU's user emulation takes the processor from `-cpu`, but leaves /proc and /sys those of the host:
a runtime that reads them believes that it runs on an x86 machine, or on another Arm one than the
instructions it may use. So each processor has a root of its own, which QEMU looks into first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgedistill.devices.machine import processor_in
from edgedistill.errors import UserError, nearest

_ARMV8_0 = "fp asimd aes pmull sha1 sha2 crc32 cpuid"
_ARMV8_2 = (
    "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
)
_ALL = (
    "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop "
    "sha3 sm3 sm4 asimddp sha512 sve asimdfhm ilrcpc flagm sb paca pacg dcpodp sve2 sveaes "
    "svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm svebf16 i8mm bf16 "
    "rng bti mte"
)


@dataclass(frozen=True)
class Cpu:
    """A processor as QEMU emulates it."""

    name: str
    qemu: str
    """What `-cpu` is given."""
    midr: int
    """Its main identification register: implementer, variant, architecture, part, revision."""
    features: str
    """By Linux's names; those that QEMU itself tells the program (AT_HWCAP)."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The features that decide about kernels, as targets name them."""
        return tuple(processor_in(self.cpuinfo)[1])

    @property
    def cpuinfo(self) -> str:
        """What Linux would say of it in /proc/cpuinfo: one core."""
        return (
            "processor\t: 0\n"
            "BogoMIPS\t: 48.00\n"
            f"Features\t: {self.features}\n"
            f"CPU implementer\t: 0x{self.midr >> 24:02x}\n"
            "CPU architecture: 8\n"
            f"CPU variant\t: 0x{self.midr >> 20 & 0xF:x}\n"
            f"CPU part\t: 0x{self.midr >> 4 & 0xFFF:03x}\n"
            f"CPU revision\t: {self.midr & 0xF}\n\n"
        )


CPUS = {
    cpu.name: cpu
    for cpu in (
        Cpu("cortex-a53", "cortex-a53", 0x410FD034, _ARMV8_0),
        Cpu("cortex-a72", "cortex-a72", 0x410FD083, _ARMV8_0),
        Cpu("cortex-a76", "cortex-a76", 0x414FD0B1, _ARMV8_2),
        Cpu("neoverse-n1", "neoverse-n1", 0x414FD0C1, _ARMV8_2),
        # With SME, QEMU 7.2 computes wrong int8 outputs.
        Cpu("i8mm", "max,sme=off", 0x000F0510, _ALL),
    )
}
"""By the name after `emulator:`. `i8mm` is no product: all that QEMU knows but SME."""


def cpu_named(name: str) -> Cpu:
    """Raises UserError: no such processor."""
    if name not in CPUS:
        told = f"emulator:{name}: no such processor" if name else "emulator: which processor?"
        way = nearest(name, list(CPUS)) if name else f"one of: emulator:{', emulator:'.join(CPUS)}"
        raise UserError(told, way)
    return CPUS[name]


def write_root(cpu: Cpu, folder: Path) -> None:
    """The files of a root for `qemu-aarch64 -L folder`."""
    cores = folder / "sys" / "devices" / "system" / "cpu"
    files = {folder / "proc" / "cpuinfo": cpu.cpuinfo}
    files |= {cores / name: "0\n" for name in ("possible", "present", "online")}
    files[cores / "cpu0/regs/identification/midr_el1"] = f"0x{cpu.midr:016x}\n"
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
