"""Ways to tell an activation's range from calibration: what to clip for a finer step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgedistill.compress.fake_quantize import ActivationFakeQuantize

if TYPE_CHECKING:
    from edgedistill.compress.quantize import Batch, Prepared

_BINS = 2048
_SHARES = torch.linspace(0.3, 1.0, 36)
Range = tuple[float, float]


def _percentile(share: float) -> Callable[[ActivationFakeQuantize, Tensor, Tensor], Range]:
    def of(rounding: ActivationFakeQuantize, places: Tensor, counts: Tensor) -> Range:
        below = counts.cumsum(0) / counts.sum()
        low = int((below > 1 - share).nonzero()[0])
        high = int((below >= share).nonzero()[0])
        return float(places[low]), float(places[high])

    return of


def _least_squares(rounding: ActivationFakeQuantize, places: Tensor, counts: Tensor) -> Range:
    """The range whose rounding and clipping err least (Choukroun et al. 2019), of those that clip
    both ends, or the one that is further out, alike."""
    low, high = float(places[0]), float(places[-1])
    most = max(-low, high)
    steps = rounding.quant_max - rounding.quant_min

    def error(ends: Range) -> float:
        step = max(ends[1] - ends[0], 1e-12) / steps
        clipped = (places - places.clamp(*ends)).square()
        return float((counts * (clipped + step**2 / 12)).sum())

    tried = [(max(low, -share * most), min(high, share * most)) for share in _SHARES.tolist()]
    best: Range = min(reversed(tried), key=error)
    return best


METHODS: dict[str, Callable[[ActivationFakeQuantize, Tensor, Tensor], Range]] = {
    "the extremes of all": lambda rounding, places, counts: (
        float(places[0]),
        float(places[-1]),
    ),
    "99.99 %": _percentile(0.9999),
    "least squared error": _least_squares,
}
"""From a histogram's places and counts to a range; beside the mean of the batches' extremes, which
`calibrate` takes."""


def histograms(
    prepared: Prepared, batches: Iterable[Batch]
) -> dict[ActivationFakeQuantize, tuple[Tensor, Tensor]]:
    """(places, counts) of what each activation is in float, from its least to its largest value."""
    samples = list(batches)
    roundings = prepared.roundings()
    enabled = [each.rounds for each in roundings]
    for each in roundings:
        each.disable_fake_quant()
    watched: list[ActivationFakeQuantize] = prepared.roundings(ActivationFakeQuantize)
    extremes = dict.fromkeys(watched, (torch.inf, -torch.inf))
    counts = {each: torch.zeros(_BINS) for each in watched}

    def widen(rounding: ActivationFakeQuantize, x: Tensor) -> None:
        low, high = extremes[rounding]
        extremes[rounding] = min(low, float(x.amin())), max(high, float(x.amax()))

    def count(rounding: ActivationFakeQuantize, x: Tensor) -> None:
        counts[rounding] += torch.histc(x, _BINS, *extremes[rounding])

    for watch in (widen, count):
        hooks = [
            each.register_forward_pre_hook(lambda module, args, to=watch: to(module, args[0]))
            for each in watched
        ]
        with torch.no_grad():
            for inputs in samples:
                prepared(*inputs)
        for hook in hooks:
            hook.remove()
    for each, was in zip(roundings, enabled, strict=True):
        each.enable_fake_quant(was)
    return {each: (torch.linspace(*extremes[each], _BINS), counts[each]) for each in watched}


def set_ranges(found: dict[ActivationFakeQuantize, tuple[Tensor, Tensor]], method: str) -> None:
    """Give every activation the range that a method of `METHODS` tells from its histogram."""
    for rounding, (places, counts) in found.items():
        low, high = METHODS[method](rounding, places, counts)
        rounding.low.fill_(low)
        rounding.high.fill_(high)
        rounding.derive()
