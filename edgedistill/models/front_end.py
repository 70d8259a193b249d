"""Raw samples to the log of the power in bands of the mel scale, as a part of the model: an app
feeds samples and computes nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.errors import UserError
from edgedistill.families.sound import FrontEndSettings
from edgedistill.models.mel import Matrix, Share, shares, transform, triangles
from edgedistill.models.streaming import Before, Nothing

HOPS = 3
"""Hops that a window of the transform has: frames are joined from neighbouring blocks."""
HOPS_A_SECOND = 100


_SMOOTHING, _ALPHA, _DELTA, _EPSILON = 0.025, 0.98, 2.0, 1e-6
"""Of per-channel energy normalization (Wang et al. 2017, section 3, with r = 1/2)."""


class FrontEnd(nn.Module):
    """Log-mel spectrum of samples, its bands normalized: Hann windows (periodic) of 30 ms every
    10 ms, none of them over the edge; the discrete Fourier transform in two stages; its power in
    triangles of the HTK scale; log(power + floor), or per-channel energy
    normalization, whose mean of the recent power ends after a while instead of never: so an answer
    depends on its window alone.

    What it multiplies with are constants, about 20 KB for 40 bands, that are neither trained nor
    pruned. Each band's mean and deviation are those of the training, as a batch norm's.
    """

    window: Tensor
    first: Tensor
    cosine: Tensor
    sine: Tensor
    second: Tensor
    recent: Tensor
    filters: Tensor

    def __init__(self, settings: FrontEndSettings | None = None) -> None:
        """Raises UserError: so many bands that one has no bin of the transform."""
        super().__init__()
        self.settings = settings = settings or FrontEndSettings()
        self.hop = settings.rate // HOPS_A_SECOND
        size = HOPS * self.hop
        self.transform = used = transform(size)
        cosine, sine = used.twist()
        turn = torch.arange(size, dtype=torch.float64) / size * 2 * torch.pi
        self._constant("window", 0.5 - 0.5 * torch.cos(turn))
        self._constant("first", torch.from_numpy(used.first().T))
        self._constant("cosine", torch.from_numpy(cosine))
        self._constant("sine", torch.from_numpy(sine))
        self._constant("second", torch.from_numpy(used.second().T))
        filters = triangles(settings.rate, size, settings.bands, *settings.range_hz)
        self.register_buffer("filters", torch.from_numpy(filters.T).float(), persistent=False)
        self.columns = []
        for number, share in enumerate(_shares(settings, filters, size)):
            self.columns.append(share.columns)
            self._constant(f"bands{number}", torch.from_numpy(share.weights.T))
        self.memory = settings.memory_ms // 10 if settings.compression == "pcen" else 1
        self._constant("recent", _fading(self.memory).reshape(1, 1, -1, 1))
        self.norm = nn.BatchNorm1d(settings.bands, affine=False)

    @property
    def seen(self) -> int:
        """Hops that one frame is made of."""
        return HOPS + self.memory - 1

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.float().contiguous())

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

    def power(self, samples: Tensor) -> Tensor:
        """Power in each band (batch, frames, bands) of samples (batch, hops * hop).

        Training takes torch's own Fourier transform, several times as fast and at most rounding
        apart; no runtime's file can.
        """
        if self.training and not torch.compiler.is_exporting():
            windows = samples.unfold(1, HOPS * self.hop, self.hop) * self.window
            spectrum = torch.fft.rfft(windows)
            return functional.linear(spectrum.real.square() + spectrum.imag.square(), self.filters)
        used, batch = self.transform, samples.shape[0]
        blocks = samples.reshape(batch, samples.shape[1] // self.hop, self.hop)
        frames = blocks.shape[1] - HOPS + 1
        parts = [blocks.narrow(1, at, frames) for at in range(HOPS)]
        windows = (torch.cat(parts, 2) * self.window).reshape(
            batch, frames, used.rows, used.columns
        )
        stage = functional.linear(windows.transpose(2, 3), self.first)
        real, imaginary = stage[..., : used.half], stage[..., used.half :]
        turned = torch.cat(
            (
                real * self.cosine + imaginary * self.sine,
                imaginary * self.cosine - real * self.sine,
            ),
            3,
        )
        spectrum = functional.linear(turned.transpose(2, 3), self.second)
        above, below = spectrum[..., : used.half, :], spectrum[..., used.half :, :]
        real = above[..., : used.columns] + below[..., used.columns :]
        imaginary = below[..., : used.columns] - above[..., used.columns :]
        return self._bands(real * real + imaginary * imaginary)

    def _bands(self, power: Tensor) -> Tensor:
        """power: (batch, frames, half, columns) of the transform."""
        batch, frames, _, columns = power.shape
        found = []
        for number, (first, last) in enumerate(self.columns):
            mirror = power[..., columns - last : columns - first]
            read = torch.cat((power[..., first:last], mirror), 3).reshape(batch, frames, -1)
            found.append(functional.linear(read, self.get_buffer(f"bands{number}")))
        return torch.cat(found, 2)

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


def _shares(settings: FrontEndSettings, filters: Matrix, size: int) -> list[Share]:
    try:
        return shares(filters, transform(size))
    except ValueError as error:
        raise UserError(
            f"front end: {settings.bands} bands are too many: {error}, whose bins lie "
            f"{settings.rate / size:.1f} Hz apart",
            "lower `bands`, or raise `lowest_hz`",
        ) from None
