"""Devices that run a model file and bring back outputs and figures: one file each, one table.

A device knows nothing of a model: a job is (model file, runtime, program, inputs, protocol), and
every device returns the same record.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from edgedistill.devices.figures import (
    Measurement,
    counts,
    figures,
    in_words,
    last_to_first,
    measurements,
    percentile,
    shortfall,
    told,
    trimmed_mean,
)
from edgedistill.devices.findings import Finding
from edgedistill.devices.job import (
    ONCE,
    PROTOCOLS,
    BenchmarkModel,
    Conditions,
    Device,
    Identity,
    Job,
    Protocol,
    Record,
    Unfit,
)
from edgedistill.devices.machine import is_machine, machine, name_of
from edgedistill.devices.race import race, ratio_of
from edgedistill.devices.rounds import Tick, in_short, in_turn
from edgedistill.errors import UserError, nearest

__all__ = [
    "DEVICES", "ONCE", "PROTOCOLS", "BenchmarkModel", "Conditions", "Device", "DeviceEntry",
    "Finding", "Identity", "Job", "Measurement", "Protocol", "Record", "Tick", "Unfit",
    "counts", "examined", "figures", "in_short", "in_turn", "in_words", "is_machine", "lacking",
    "last_to_first", "machine", "measurements", "name_of", "open_device", "percentile", "race",
    "ratio_of", "set_up",
    "shortfall", "told", "trimmed_mean",
]  # fmt: skip


@dataclass(frozen=True)
class DeviceEntry:
    """A line of the table. Its module has `open_device(argument) -> Device`, `examine() ->
    list[Finding]` and, where something is to be set up, `setup(say)`."""

    name: str
    takes: str
    """What follows the name and a colon, in a word; empty where nothing does."""
    about: str
    """For people, in a line."""
    in_file: str
    sets_up: bool = False
    """Whether `device setup` builds something for it."""

    @property
    def module(self) -> object:
        """The device's own module."""
        return importlib.import_module(self.in_file)

    @property
    def open_device(self) -> Callable[[str], Device]:
        """A device, not yet entered, for what follows the colon; raises UserError where no such
        device can be meant."""
        found: Callable[[str], Device] = self.module.open_device  # type: ignore[attr-defined]
        return found

    @property
    def examine(self) -> Callable[[], list[Finding]]:
        """What of all that the device needs is there."""
        found: Callable[[], list[Finding]] = self.module.examine  # type: ignore[attr-defined]
        return found

    @property
    def setup(self) -> Callable[[Callable[[str], None]], None]:
        """Build what the device needs in a private folder, saying each step; raises UserError
        where it cannot."""
        found: Callable[[Callable[[str], None]], None] = self.module.setup  # type: ignore[attr-defined]
        return found


_HERE = "edgedistill.devices"
DEVICES = {
    entry.name: entry
    for entry in (
        DeviceEntry("local", "", "this machine", f"{_HERE}.local"),
        DeviceEntry("adb", "SERIAL", "an Android device on a cable", f"{_HERE}.adb",
                    sets_up=True),
        DeviceEntry("ssh", "HOST", "a Linux board that ssh reaches", f"{_HERE}.ssh",
                    sets_up=True),
        DeviceEntry("emulator", "CPU", "an arm64 processor under QEMU: outputs and instructions "
                    "counted, no times", f"{_HERE}.emulator", sets_up=True),
        DeviceEntry("browser", "BACKEND", "a Chromium without a window", f"{_HERE}.browser",
                    sets_up=True),
    )
}  # fmt: skip


def open_device(asked: str) -> Device:
    """The device that `NAME` or `NAME:ARGUMENT` means, to be entered with `with`.

    Raises UserError: there is no such device, or none with such an argument.
    """
    name, colon, argument = asked.partition(":")
    entry = _entry(name)
    if colon and (not argument or not entry.takes):
        wanted = f"`{name}:{entry.takes}`" if entry.takes else f"`{name}`"
        raise UserError(f"`{asked[:80]}` names no device", f"write {wanted}")
    return entry.open_device(argument)


def examined(name: str | None = None) -> dict[str, list[Finding]]:
    """What each kind of device needs, or only that named; see `Finding`. Raises UserError: there is
    no such kind."""
    entries = [_entry(name)] if name else list(DEVICES.values())
    return {entry.name: entry.examine() for entry in entries}


def lacking(name: str) -> Finding | None:
    """What the first of the needs is that are not met of a device so named, as `open_device` takes
    it; None: there is none. Nothing is started for that. Raises UserError: there is no such
    kind."""
    found = examined(name.partition(":")[0])
    return next((each for rows in found.values() for each in rows if not each.ok), None)


def set_up(name: str, say: Callable[[str], None]) -> None:
    """Build what a kind of device needs, saying each step. Raises UserError: there is no such kind,
    nothing is to be built for it, or a tool for it is missing."""
    entry = _entry(name)
    if not entry.sets_up:
        able = ", ".join(each.name for each in DEVICES.values() if each.sets_up)
        raise UserError(
            f"nothing is to be set up for `{name}`",
            f"`edgedistill device doctor {name}` shows what it needs; set up are {able}",
        )
    entry.setup(say)


def _entry(name: str) -> DeviceEntry:
    if name not in DEVICES:
        known = nearest(name[:80], list(DEVICES))
        raise UserError(
            f"unknown device `{name[:80]}`",
            f"{known} `edgedistill device list` shows how each is named.",
        )
    return DEVICES[name]
