"""Prices of a device: read from where they are kept, and asked of it where they are not known.

<cache>/costs/<key>.jsonl holds a line for each operator, written as soon as the device has told;
the key is of all that decides about prices. Interrupted, the next call goes on from there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from edgedistill.costs.ask import Asking
from edgedistill.costs.prices import Fixed, Prices, Unit
from edgedistill.costs.probe import Probe
from edgedistill.costs.probe_file import Numbers
from edgedistill.devices import Device, in_words
from edgedistill.errors import UserError
from edgedistill.target import Kernel

VERSION = 3
"""Of the operators' files and of how they are asked; prices of another are not read."""
FLOAT = Kernel(output_channels=8)
"""Of XNNPACK's float kernels: the least of their tiles on x86 and Arm."""
INT8 = Kernel(output_channels=8, input_channels=8, depthwise=8)
"""Where the target does not tell: the steps on x86, of which some kernels take two at once."""


class Kernels(Protocol):
    """A target, as far as prices depend on it."""

    @property
    def kernel(self) -> Kernel | None:
        """As `Target.kernel`."""

    @property
    def threads(self) -> int:
        """As `Target.threads`."""


def open_prices(
    device: Device,
    target: Kernels,
    numbers: Numbers,
    cache: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Prices:
    """LiteRT's prices on a device, in instructions where it counts them, else in microseconds. The
    device is entered whenever it is asked for something, and left. cache: the cache's folder.

    Raises UserError: the device does not run LiteRT's files, or one fails there.
    """
    key, where = identified(device, target, numbers)
    kernel = FLOAT if numbers == "fp32" else target.kernel or INT8
    unit: Unit = "instructions" if device.how == "emulated" else "microseconds"
    path = cache / "costs" / f"{key}.jsonl"
    asking = Asking(device, numbers, target.threads, say)
    known = dict(_read(path))
    fixed = known.pop(_FIXED, None), known.pop(_EACH, None)
    if fixed[0] is None or fixed[1] is None:
        with device:
            asked = asking.fixed()
        _append(path, {_FIXED: asked.whole, _EACH: asked.each})
    else:
        asked = Fixed(fixed[0], fixed[1])

    def ask(probes: list[Probe]) -> Mapping[Probe, float]:
        found: dict[Probe, float] = {}
        with device:
            for part in asking.prices(probes):
                _append(path, {probe.key: price for probe, price in part.items()})
                found |= part
        return found

    prices = {Probe.read(key): price for key, price in known.items()}
    return Prices(unit, where, kernel, prices, asked, ask)


def identified(device: Device, target: Kernels, numbers: Numbers) -> tuple[str, str]:
    """A key of all that decides about a device's prices, whatever was asked so far; and the device
    in words. Nothing runs there.

    Raises UserError: the device is not there, or runs no LiteRT files.
    """
    with device:
        if "litert" not in device.runtimes:
            raise UserError(
                f"costs: {device.name} runs no LiteRT files, whose operators are priced",
                "name a device that does: `edgedistill device list`",
            )
        told = [VERSION, device.how, asdict(device.identity()), numbers, target.threads]
        where = in_words(device.identity())
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16], where


_FIXED, _EACH = "inference", "operator"


def _read(path: Path) -> Iterator[tuple[str, float]]:
    """What was told before; a last line that was cut off is asked again."""
    if path.is_file():
        for line in path.read_text().splitlines():
            with suppress(ValueError):
                key, price = json.loads(line)
                yield key, price


def _append(path: Path, rows: Mapping[str, float]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(f"{json.dumps([key, price])}\n" for key, price in rows.items())
