"""The price list of a target's device."""

from __future__ import annotations

from edgedistill.compress.cost import PriceList
from edgedistill.errors import UserError
from edgedistill.target import Target


def price_list(device: str | None, runtime: str) -> PriceList | None:
    """What a device, by its name, takes for each product in files of integers of a runtime; None
    where nobody has counted or measured that."""
    return None


def needed_prices(target: Target, key: str) -> PriceList:
    """The price list of the target's device for its primary runtime. key: of the recipe, that asks
    for it. Raises UserError: there is none."""
    found = price_list(target.device, target.primary)
    if found is None:
        where = f"`{target.device}`" if target.device else "no device"
        raise UserError(
            f"stages.prune.{key}: the target {target.name} names {where}, and there is no price "
            f"list of it for {target.primary}",
            "prune to `macs`, or give a `device` that has one in a target file of your own",
        )
    return found
