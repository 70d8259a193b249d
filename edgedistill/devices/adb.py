"""A phone, or whatever else `adb` reaches, over USB or the network.

What runs there is a program of the shell's user in its own folder: no app is installed, nothing is
changed on the phone, and it needs no root. Tried against Android's own adbd on a Linux machine,
with answers as phones give them; not on a phone.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgedistill.devices.findings import Finding
from edgedistill.devices.remote import facts
from edgedistill.devices.remote.device import Remote
from edgedistill.devices.remote.link import (
    Answer,
    Lost,
    Refused,
    answer,
    call,
    ending,
    last_words,
    patience,
    text,
)
from edgedistill.devices.remote.setup import for_arm64, setup
from edgedistill.errors import UserError

__all__ = ["Adb", "examine", "open_device", "setup"]

_GET = "`apt-get install adb`, or Android's SDK Platform-Tools, and put `adb` on PATH"
_CONNECT = (
    "turn on USB debugging in the phone's developer options and connect it, or "
    "`adb connect HOST:PORT`; `adb devices` must list it"
)
_STATES = {
    "unauthorized": (
        "the phone has not allowed this computer to debug it",
        "unlock it and say yes to `Allow USB debugging`; where it does not ask, revoke its USB "
        "debugging authorizations in the developer options and connect it again",
    ),
    "offline": (
        "the device is offline",
        "disconnect it and connect it again, or `adb reconnect offline`",
    ),
    "no permissions": (
        "this user may not open its USB device",
        "`apt-get install android-sdk-platform-tools-common`, join the group plugdev, and connect "
        "it again",
    ),
}
"""What adb calls a device that cannot be used: what is wrong, and the way out."""


@dataclass(frozen=True)
class Listed:
    """A line of `adb devices -l`."""

    serial: str
    state: str
    """`device` where it can be used."""
    model: str

    def __str__(self) -> str:
        known = self.model if self.state == "device" else self.state
        return f"{self.serial} ({known})" if known else self.serial


def listed(printed: str) -> list[Listed]:
    """The devices that `adb devices -l` prints."""
    found = []
    for line in printed.partition("List of devices attached")[2].splitlines():
        known = re.match(r"\s*(\S+)\s+(no permissions|\S+)", line)
        model = re.search(r"\bmodel:(\S+)", line)
        if known:
            name = model[1].replace("_", " ") if model else ""
            found.append(Listed(known[1], known[2], name))
    return found


def chosen(devices: list[Listed], serial: str) -> str:
    """The serial of the one that was asked for, or of the only one.

    Raises UserError: there is none, there are several, or it cannot be used as it is.
    """
    several = ", ".join(map(str, devices))
    if not devices:
        raise UserError("adb: no device is connected", _CONNECT)
    if not serial and len(devices) > 1:
        raise UserError(
            f"adb: {len(devices)} devices are connected: {several}",
            f"say which, as `--device adb:{devices[0].serial}`",
        )
    device = next((each for each in devices if each.serial == serial or not serial), None)
    if device is None:
        raise UserError(f"adb:{serial}: no such device; connected: {several}", _CONNECT)
    if device.state != "device":
        wrong, way_out = _STATES.get(
            device.state, (f"the device is in the state `{device.state}`", "let it start Android")
        )
        raise UserError(f"adb:{device.serial}: {wrong}", way_out)
    return device.serial


class Adb:
    """The link that `adb` gives to one device."""

    places = ("/data/local/tmp", "/tmp")
    conditions = facts.ANDROID
    way_out = "look at its cable and at what `adb devices` says, then run the same command"

    def __init__(self, serial: str) -> None:
        self.name = f"adb:{serial}" if serial else "adb"
        self._serial = serial

    def open(self) -> None:
        """Choose the device. Raises UserError: adb is missing, or there is not one to be used."""
        if shutil.which("adb") is None:
            raise UserError("adb is not on PATH", _GET)
        self._serial = chosen(_devices(), self._serial or os.environ.get("ANDROID_SERIAL", ""))

    def close(self) -> None:
        """Nothing is held: adb's own server keeps the connection."""

    def run(self, script: str, seconds: float = 60.0) -> Answer:
        """Run a script with the device's sh. Raises Lost."""
        return answer(call(self._adb("shell", ending(script)), seconds))

    def push(self, files: Mapping[str, Path], folder: str) -> None:
        """Copy files there, one by one, since adb keeps their own names otherwise."""
        for name, path in files.items():
            self._copy("push", str(path), f"{folder}/{name}", patience([path]))

    def pull(self, names: Iterable[str], folder: str, into: Path) -> None:
        """Copy files from there."""
        for name in names:
            self._copy("pull", f"{folder}/{name}", str(into / name), patience([]))

    def _copy(self, way: str, source: str, target: str, seconds: float) -> None:
        done = call(self._adb(way, source, target), seconds)
        if done.returncode:
            said = [
                line for line in text(done.stderr + done.stdout).splitlines() if "error" in line
            ]
            self.run(":", 10)  # Lost, where that was why
            raise Refused(last_words("\n".join(said)) or f"adb {way} failed without a word")

    def _adb(self, *arguments: str) -> list[str]:
        return ["adb", "-s", self._serial, *arguments]


def _devices() -> list[Listed]:
    try:
        done = call(["adb", "devices", "-l"], 20)
    except Lost as error:
        raise UserError(f"adb devices: {error}", "`adb kill-server`, then try again") from error
    if done.returncode:
        raise UserError(
            f"adb devices: {last_words(done.stderr)}", "`adb kill-server`, then try again"
        )
    return listed(text(done.stdout))


def open_device(serial: str) -> Remote:
    """The device with that serial, or "" for the only one. Raises UserError: that is no serial."""
    if serial.startswith("-") or not re.fullmatch(r"[!-~]*", serial):
        raise UserError(f"adb: {serial!r} is no serial", "`adb devices` lists those that there are")
    return Remote(Adb(serial))


def examine() -> list[Finding]:
    """Whether adb is here, each device that its server knows, and what arm64 ones are given. No
    server is started for that."""
    return [*_examine_adb(), for_arm64()]


def _examine_adb() -> list[Finding]:
    if shutil.which("adb") is None:
        return [Finding("adb", False, "adb is not on PATH", _GET)]
    if not _has_server():
        told = "adb is here; its server is not running, so that no device is known"
        return [Finding("adb", False, told, "`adb devices` starts it and lists what is connected")]
    try:
        devices = _devices()
    except UserError as error:
        return [Finding("adb", False, error.message, error.hint)]
    if not devices:
        return [Finding("adb", False, "adb is here; no device is connected", _CONNECT)]
    return [_finding(device) for device in devices]


_LISTENING = "0A"


def _has_server() -> bool:
    """Whether something listens on its port of this machine. Nothing is asked of it: Linux tells in
    its tables, and elsewhere one connects."""
    port = int(os.environ.get("ANDROID_ADB_SERVER_PORT", "5037"))
    try:
        tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    except OSError:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", port)) == 0
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == _LISTENING for row in rows)


def _finding(device: Listed) -> Finding:
    try:
        chosen([device], device.serial)
    except UserError as error:
        return Finding(f"adb:{device.serial}", False, error.message, error.hint)
    return Finding(f"adb:{device.serial}", True, device.model or "connected", "")
