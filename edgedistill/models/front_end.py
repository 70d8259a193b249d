"""Raw samples to the log of the power in bands of the mel scale, as a part of the model: an app
feeds samples and computes nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.errors import UserError
from edgedistill.families.sound import FrontEndSettings
from edgedistill.models.mel import triangles
from edgedistill.models.spectrum import Spectrum
from edgedistill.models.streaming import Before, Nothing

HOPS = 3
"""Hops that a window of the transform has: frames are joined from neighbouring blocks."""
HOPS_A_SECOND = 100


_SMOOTHING, _ALPHA, _DELTA, _EPSILON = 0.025, 0.98, 2.0, 1e-6
"""Of per-channel energy normalization (Wang et al. 2017, section 3, with r = 1/2)."""


class FrontEnd(Spectrum):
    """Log-mel spectrum of samples, its bands normalized: Hann windows (periodic) of 30 ms every
    10 ms, none of them over the edge; the discrete Fourier transform in two stages; its power in
    triangles of the HTK scale; log(power + floor), or per-channel energy
    normalization, whose mean of the recent power ends after a while instead of never: so an answer
    depends on its window alone.

    What it multiplies with are constants, about 20 KB for 40 bands, that are neither trained nor
    pruned. Each band's mean and deviation are those of the training, as a batch norm's.
    """

    recent: Tensor

    def __init__(self, settings: FrontEndSettings | None = None) -> None:
        """Raises UserError: so many bands that one has no bin of the transform."""
        settings = settings or FrontEndSettings()
        hop = settings.rate // HOPS_A_SECOND
        filters = triangles(settings.rate, HOPS * hop, settings.bands, *settings.range_hz)
        try:
            super().__init__(HOPS * hop, hop, filters)
        except ValueError as error:
            raise UserError(
                f"front end: {settings.bands} bands are too many: {error}, whose bins lie "
                f"{settings.rate / (HOPS * hop):.1f} Hz apart",
                "lower `bands`, or raise `lowest_hz`",
            ) from None
        self.settings = settings
        self.memory = settings.memory_ms // 10 if settings.compression == "pcen" else 1
        self.constant("recent", _fading(self.memory).reshape(1, 1, -1, 1))
        self.norm = nn.BatchNorm1d(settings.bands, affine=False)

    @property
    def seen(self) -> int:
        """Hops that one frame is made of."""
        return HOPS + self.memory - 1

    def forward(self, samples: Tensor, before: Before | None = None) -> Tensor:
        """(batch, frames, bands) of samples (batch, hops * hop) in -1..1: as many frames as hops in
        a step, and `seen - 1` fewer of a window.

        It is computed in float32 wherever the rest is computed in fewer bits, where the power of
        a loud sound would be beyond a number's range.
        """
        before = before or Nothing()
        joined = before.join("samples", samples, (HOPS - 1) * self.hop, 1)
        if torch.is_autocast_enabled(samples.device.type):
            with torch.autocast(samples.device.type, enabled=False):
                return self._compressed(self.power(joined.float()), before)
        return self._compressed(self.power(joined), before)

    def _compressed(self, power: Tensor, before: Before) -> Tensor:
        if self.memory == 1:
            return self._normalized(torch.log(power + self.settings.floor))
        heard = before.join("power", power, self.memory - 1, 1)
        recent = functional.conv2d(heard.unsqueeze(1), self.recent).squeeze(1)
        gain = torch.exp(-_ALPHA * torch.log(recent + _EPSILON))
        now = heard[:, self.memory - 1 :]
        return self._normalized(torch.sqrt(now * gain + _DELTA) - _DELTA**0.5)

    def _normalized(self, bands: Tensor) -> Tensor:
        """A batch norm of each band over batch and time; where it stands still, as a difference
        and a product, which have no channels to be cut or laid out anew."""
        norm = self.norm
        if norm.training:
            flat: Tensor = norm(bands.reshape(-1, bands.shape[2]))
            return flat.reshape(bands.shape)
        assert norm.running_mean is not None and norm.running_var is not None
        return (bands - norm.running_mean) * torch.rsqrt(norm.running_var + norm.eps)


def _fading(frames: int) -> Tensor:
    """(frames,), the latest last: weights of a mean that each frame counts less in than the next,
    as in a smoother of first order (Wang et al. 2017, eq. 2)."""
    weights = (1.0 - _SMOOTHING) ** torch.arange(frames - 1, -1, -1, dtype=torch.float64)
    return weights / weights.sum()
