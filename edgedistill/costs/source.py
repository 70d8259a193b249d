"""Where the price list of a target's device comes from: all that a stage's config holds of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgedistill.costs.opened import identified, open_prices
from edgedistill.costs.prices import Prices
from edgedistill.costs.probe_file import Numbers
from edgedistill.devices import open_device
from edgedistill.errors import UserError
from edgedistill.target import Frozen, Kernel, Target


class PriceSource(Frozen):
    """A device, and what is to be asked of it."""

    device: str
    numbers: Numbers
    """Of the files that ship."""
    kernel: Kernel | None
    threads: int
    digest: str
    """Of the device's identity, its runtimes and all of these: not of what was asked so far."""

    @classmethod
    def of(cls, target: Target, numbers: Numbers) -> PriceSource:
        """The target's device, which is looked for; nothing runs there.

        Raises UserError: the target names none or has another primary runtime than LiteRT, or the
        device is not there or runs no LiteRT files.
        """
        if target.device is None or target.primary != "litert":
            where = f"`{target.device}`" if target.device else "no device"
            raise UserError(
                f"the target {target.name} names {where}, and there is no price list of it for "
                f"{target.primary}",
                "give a `device` that runs LiteRT's files in a target file of your own, such as "
                "emulator:cortex-a76",
            )
        device = open_device(target.device)
        digest, _ = identified(device, target, numbers)
        return cls(
            device=target.device, numbers=numbers, kernel=target.kernel, threads=target.threads,
            digest=digest,
        )  # fmt: skip

    def open(self, cache: Path, say: Callable[[str], None]) -> Prices:
        """The device's prices. cache: the cache's folder.

        Raises UserError: it is another device by now, or is not there.
        """
        device = open_device(self.device)
        if identified(device, self, self.numbers)[0] != self.digest:
            raise UserError(
                f"`{self.device}` is another device or has other runtimes than when the compile "
                "was planned",
                "compile again",
            )
        return open_prices(device, self, self.numbers, cache, say)
