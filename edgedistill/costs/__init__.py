"""What one inference costs on a device, told from operators that were counted or timed there once.

`open_prices(device, ...)` gives `Prices`: `of(product)` is what one operator costs,
`predict(works)` a whole model. What is not known yet is asked of the device, and remembered.
`PriceSource.of(target, ...)` tells where a target's prices come from, and asks nothing.
"""

from edgedistill.costs.opened import open_prices
from edgedistill.costs.prices import Prices
from edgedistill.costs.probe import Probe
from edgedistill.costs.source import PriceSource

__all__ = ["PriceSource", "Prices", "Probe", "open_prices"]
