"""An arm64 processor, emulated by QEMU: instructions of an inference, and outputs as on the chip.

It knows nothing of caches and pipelines, so no time that it takes means anything, nor does memory.
What it counts repeats: for LiteRT to the instruction, for ONNX Runtime within about 0.1 %.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from edgedistill.devices import native, private
from edgedistill.devices.emulator.counts import of_one, of_operators, read_counts
from edgedistill.devices.emulator.cpus import Cpu, cpu_named
from edgedistill.devices.emulator.needs import QEMU, programs, qemu
from edgedistill.devices.emulator.setup import (
    PLUGIN,
    ROOTS,
    libraries_step,
    plugin_step,
    qemu_version,
    roots_step,
)
from edgedistill.devices.emulator.steps import entry, is_current
from edgedistill.devices.emulator.wheels import runtime_steps
from edgedistill.devices.findings import Finding
from edgedistill.devices.job import Identity, Job, Protocol, Record
from edgedistill.errors import UserError
from edgedistill.records import How
from edgedistill.scratch import scratch_folder

_RUNS = 6
"""Of which the first does not count."""
_PATIENCE = 900.0
"""Seconds that a job may take: some hundred times as long as on the processor itself."""
_LIBRARIES, _COUNTS = "libraries", "counts.txt"
_SET_UP = "edgedistill device setup emulator"


def open_device(argument: str) -> Emulator:
    """The processor of that name, e.g. `cortex-a76`.

    Raises UserError: no such processor, no QEMU, or the emulator is not set up.
    """
    cpu = cpu_named(argument)
    found = qemu()
    if not found.ok:
        raise UserError(f"emulator:{cpu.name}: {found.told}", found.get)
    runtimes, missing = _set_up()
    if missing:
        raise UserError(f"emulator:{cpu.name} is not set up: {', '.join(missing)}", _SET_UP)
    return Emulator(cpu, runtimes)


def examine() -> list[Finding]:
    """QEMU, and what was set up; where that is not all, what setting up needs."""
    found = qemu()
    if not found.ok:
        return [found, *programs()]
    try:
        found = replace(found, told=f"{qemu_version()}, {found.told}")
        runtimes, missing = _set_up()
    except (UserError, OSError) as error:
        return [found, Finding("set up", False, str(error).splitlines()[0], _SET_UP), *programs()]
    if missing:
        told = f"not in {private.folder()}: {', '.join(missing)}"
        return [found, Finding("set up", False, told, _SET_UP), *programs()]
    return [found, Finding("set up", True, f"{', '.join(runtimes)} in {private.folder()}")]


def _set_up() -> tuple[tuple[str, ...], list[str]]:
    """(runtimes that are ready, what is missing)."""
    steps = runtime_steps()
    ready = tuple(name for name, step in steps.items() if is_current(step))
    needed = [libraries_step(), roots_step(), plugin_step()]
    missing = [step.what for step in needed if not is_current(step)]
    if not ready:
        missing += [step.what for step in steps.values()] or ["a runtime"]
    return ready, missing


class Emulator:
    """Every job in a fresh process of QEMU, on one thread."""

    how: How = "emulated"
    runs_programs = False

    def __init__(self, cpu: Cpu, runtimes: tuple[str, ...]) -> None:
        self.name = f"emulator:{cpu.name}"
        self.runtimes = runtimes
        self._cpu = cpu

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def identity(self) -> Identity:
        """The processor, and what was set up for it."""
        steps = runtime_steps()
        packages = (entry(libraries_step()) or {"got": {}})["got"]
        versions = [steps[name].wanted for name in self.runtimes]
        return Identity(
            name=self._cpu.name,
            isa="aarch64",
            flags=self._cpu.flags,
            system=f"QEMU {qemu_version()}",
            facts={"cpu": self._cpu.qemu, "threads": "1", **packages},
            versions={name: version for each in versions for name, version in each.items()},
        )

    def run(self, job: Job) -> Record:
        """Count a job's instructions, and take its outputs. Times are left out, those of operators
        too; of a job for memory nothing is left, so nothing is run.

        Raises UserError: the file or its runtime cannot run there, or takes too long.
        """
        if job.memory:
            return Record(None, None, [], None)
        protocol = Protocol(warmup=1, runs=_RUNS, seconds=0.0, threads=1, minimum=_RUNS)
        with scratch_folder() as folder:
            ready = native.prepared(replace(job, protocol=protocol), folder)
            _lay_out(folder, job.runtime)
            said = self._emulate(ready, folder)
            found = native.answered(ready, folder, said)
            regions = read_counts(folder / _COUNTS)
            instructions = of_one(regions[:_RUNS])
            operators = [replace(row, microseconds=None) for row in found.operators]
            # ONNX Runtime's profiler takes more instructions than most operators, within them.
            if operators and job.runtime == "litert":
                each = of_operators(folder / native.PROFILE, regions[_RUNS:])
                operators = [replace(row, instructions=count)
                             for row, count in zip(operators, each, strict=True)]  # fmt: skip
        return Record(
            None, None, [], None, operators=operators,
            outputs=found.outputs, signature=found.signature, instructions=instructions,
        )  # fmt: skip

    def _emulate(self, ready: native.Prepared, folder: Path) -> str:
        """Run the job in its folder; returns the last words of the program."""
        root = private.folder().absolute()
        plugin = str(root / PLUGIN / "counter.so").replace(",", ",,")
        command = [
            QEMU, "-cpu", self._cpu.qemu, "-L", str(root / ROOTS / self._cpu.name), "-seed", "0",
            "-plugin", f"{plugin},out={_COUNTS}", *native.launch("aarch64", _LIBRARIES),
            *ready.arguments("aarch64", _LIBRARIES, mark=True),
        ]  # fmt: skip
        try:
            # None of the host's variables: QEMU hands them on, and reads some itself.
            done = subprocess.run(
                command, cwd=folder, env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, errors="backslashreplace", timeout=_PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{ready.job.model.name} in {ready.job.runtime} on {self.name}: has not ended "
                f"within {_PATIENCE:g} s",
                "take a smaller model, or an idle machine",
            ) from None
        return _last_words(done.stderr)


def _lay_out(folder: Path, runtime: str) -> None:
    """Put the runner and its libraries into a job's folder, as links."""
    (folder / "edgedistill_runner").symlink_to(native.runner("aarch64").absolute())
    (folder / _LIBRARIES).mkdir()
    for library in native.libraries(runtime, "aarch64"):
        (folder / _LIBRARIES / library.name).symlink_to(library.absolute())


def _last_words(text: str) -> str:
    """The last line that the program said, before QEMU's own about its end."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("qemu:")]
    return (own or lines or [""])[-1][:300]
