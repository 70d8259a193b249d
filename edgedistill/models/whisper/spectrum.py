"""Whisper's front end: raw samples to its log-mel spectrum."""

from __future__ import annotations

import torch
from torch import Tensor

from edgedistill.models.mel import slaney_triangles
from edgedistill.models.spectrum import Spectrum

RATE, WINDOW, HOP = 16_000, 400, 160
"""Samples a second, of a window of the transform, and from one to the next."""
_LEAST, _DECADES = 1e-10, 8.0
"""Power is cut off below, and then at so many decades under the loudest of all."""


class LogMel(Spectrum):
    """As `WhisperFeatureExtractor` computes it (Radford et al. 2023, section 2.2): centred windows,
    the samples mirrored at both ends."""

    def __init__(self, bands: int) -> None:
        """bands: 80, or 128 of large-v3."""
        super().__init__(WINDOW, HOP, slaney_triangles(RATE, WINDOW, bands))

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, bands, length / 160) of samples (batch, length) in -1..1, a length of whole
        hops."""
        half = WINDOW // 2
        before = samples[:, 1 : half + 1].flip(1)
        after = samples[:, -(2 * HOP - half) - 1 : -1].flip(1)
        power = self.power(torch.cat((before, samples, after), 1))
        logarithm = torch.log10(power.clamp(min=_LEAST))
        loudest = logarithm.amax((1, 2), keepdim=True)
        return ((torch.maximum(logarithm, loudest - _DECADES) + 4.0) / 4.0).transpose(1, 2)
