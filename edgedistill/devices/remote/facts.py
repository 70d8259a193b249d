"""What a device tells of itself: questions for its shell, and readers of the answers.

Whatever a device does not know is left out: each answer may be empty, cut short or an error's text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgedistill.devices.machine import processor_in

_MARK = "@@ "

IDENTITY = {
    "machine": "uname -m",
    "kernel": "uname -sr",
    "cpuinfo": "cat /proc/cpuinfo",
    "page size": "getconf PAGESIZE",
    "governor": "cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    "board": "cat /proc/device-tree/model",
    "getprop": "getprop",
}
"""Which device that is. The board's name is that of a Raspberry Pi and its like."""

ANDROID = {
    "thermal": "dumpsys thermalservice",
    "headroom": "cmd thermalservice headroom 0",
    "battery": "dumpsys battery",
    "load": "cat /proc/loadavg",
}
"""An Android device's state. `headroom` is known from Android 14 on."""

LINUX = {
    "load": "cat /proc/loadavg",
    "zones": "cat /sys/class/thermal/thermal_zone*/temp",
}
"""Any other device's state."""

# android.os.Temperature, THROTTLING_*.
_THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


def asking(questions: Mapping[str, str]) -> str:
    """A script that prints each answer under its name."""
    lines = (f"echo; echo '{_MARK}{name}'; {command}" for name, command in questions.items())
    return "{\n" + "\n".join(lines) + "\n} 2>/dev/null\n"


def answers(printed: str) -> dict[str, str]:
    """What was printed under each name, without space around it; "" for what was not told."""
    parts = re.split(rf"^{_MARK}(.*)$", printed, flags=re.MULTILINE)
    told = zip(parts[1::2], parts[2::2], strict=True)
    return {name.strip(): words.strip("\0\n ") for name, words in told}


def blocks(printed: str, first: str) -> list[dict[str, str]]:
    """The answers of a script that asked several times; `first` is what it asked first."""
    parts = re.split(rf"^(?={_MARK}{first}$)", printed, flags=re.MULTILINE)
    return [answers(part) for part in parts[1:]]


def properties(printed: str) -> dict[str, str]:
    """Android's system properties, as `getprop` lists them; the empty ones left out."""
    return dict(re.findall(r"^\[(.+?)\]: \[(.+?)\]$", printed, flags=re.MULTILINE))


def processor(told: Mapping[str, str]) -> tuple[str, list[str]]:
    """The processor's name ("" where none is told), and its features as targets name them."""
    return processor_in(told.get("cpuinfo", ""))


def name(told: Mapping[str, str]) -> str:
    """The device in one line for people: a phone's model, a board's or a processor's name."""
    phone = properties(told.get("getprop", "")).get("ro.product.model", "")
    return phone or told.get("board", "") or processor(told)[0] or told.get("machine", "")


def system(told: Mapping[str, str]) -> str:
    """`Android 15`, or the kernel with its release."""
    android = properties(told.get("getprop", "")).get("ro.build.version.release")
    return f"Android {android}" if android else told.get("kernel", "")


def more(told: Mapping[str, str]) -> dict[str, str]:
    """What else of a device bears on its figures: soc, fingerprint, page_size, governor, cores,
    kernel; those that it tells."""
    known = properties(told.get("getprop", ""))
    makers = (known.get("ro.soc.manufacturer", ""), known.get("ro.soc.model", ""))
    facts = {
        "soc": " ".join(filter(None, makers)),
        "fingerprint": known.get("ro.build.fingerprint", ""),
        "page_size": told.get("page size", ""),
        "governor": ", ".join(sorted(set(told.get("governor", "").split()))),
        "cores": str(_cores(told) or ""),
        "kernel": told.get("kernel", ""),
    }
    return {key: value for key, value in facts.items() if value}


def _cores(told: Mapping[str, str]) -> int:
    return len(re.findall(r"^processor\s*:", told.get("cpuinfo", ""), re.MULTILINE))


def state(told: Mapping[str, str]) -> dict[str, str | float]:
    """A device's conditions: thermal_status, thermal_headroom (1.0 is where throttling is severe),
    skin_c and hottest_c in degrees Celsius, battery_percent, charging, load (of one minute)."""
    facts: dict[str, str | float] = {**_thermal(told.get("thermal", ""))}
    headroom = re.search(r"seconds: (-?[\d.]+)", told.get("headroom", ""))
    if headroom:
        facts["thermal_headroom"] = float(headroom[1])
    facts |= _battery(told.get("battery", ""))
    zones = [int(line) / 1000 for line in re.findall(r"^\d+$", told.get("zones", ""), re.MULTILINE)]
    if zones:
        facts["hottest_c"] = max(zones)
    load = re.match(r"[\d.]+", told.get("load", ""))
    if load:
        facts["load"] = float(load[0])
    return facts


def _thermal(dump: str) -> dict[str, str | float]:
    """From `dumpsys thermalservice`. Its cached temperatures may be minutes old: only those that
    it has just read count."""
    facts: dict[str, str | float] = {}
    status = re.search(r"^\s*Thermal Status: (\d)", dump, re.MULTILINE)
    if status and int(status[1]) < len(_THERMAL):
        by_hand = ", set by hand" if "IsStatusOverride: true" in dump else ""
        facts["thermal_status"] = _THERMAL[int(status[1])] + by_hand
    now = dump.partition("Current temperatures from HAL:")[2].partition("Current cooling")[0]
    sensors = re.findall(r"mValue=(-?[\d.]+),[^}]*?mName=([^,}]*)", now)
    skin = [float(value) for value, sensor in sensors if "skin" in sensor.lower()]
    if skin:
        facts["skin_c"] = max(skin)
    return facts


def _battery(dump: str) -> dict[str, str | float]:
    """From `dumpsys battery`, unless somebody froze what it says (`dumpsys battery set`)."""
    if "UPDATES STOPPED" in dump:
        return {}
    facts: dict[str, str | float] = {}
    level, scale = (
        re.search(rf"^\s*{key}: (\d+)", dump, re.MULTILINE) for key in ("level", "scale")
    )
    if level:
        full = int(scale[1]) if scale else 0
        facts["battery_percent"] = 100 * int(level[1]) / (full or 100)
    powered = re.findall(r"^\s*(\w+) powered: (true|false)", dump, re.MULTILINE)
    if powered:
        facts["charging"] = ", ".join(by for by, on in powered if on == "true") or "no"
    return facts
