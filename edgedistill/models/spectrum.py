"""Raw samples to the power in bands of the mel scale, as matrix products that any runtime has."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.models.mel import Matrix, shares, transform


class Spectrum(nn.Module):
    """Power of Hann windows (periodic) in bands: the discrete Fourier transform in two stages, and
    of its power what each band takes. What it multiplies with are constants, neither trained nor
    pruned."""

    window: Tensor
    first: Tensor
    cosine: Tensor
    sine: Tensor
    second: Tensor
    filters: Tensor

    def __init__(self, window: int, hop: int, filters: Matrix) -> None:
        """window, hop: in samples; filters: (window // 2 + 1, bands), as `mel.triangles` gives.

        Raises ValueError: a band has no bin.
        """
        super().__init__()
        self.hop, self.size = hop, window
        self.blocks = -(-window // hop)
        """Hops that a window reaches into: it is joined from neighbouring blocks."""
        self.transform = used = transform(window)
        cosine, sine = used.twist()
        turn = torch.arange(window, dtype=torch.float64) / window * 2 * torch.pi
        self.constant("window", 0.5 - 0.5 * torch.cos(turn))
        self.constant("first", torch.from_numpy(used.first().T))
        self.constant("cosine", torch.from_numpy(cosine))
        self.constant("sine", torch.from_numpy(sine))
        self.constant("second", torch.from_numpy(used.second().T))
        self.register_buffer("filters", torch.from_numpy(filters.T).float(), persistent=False)
        self.columns = []
        for number, share in enumerate(shares(filters, used)):
            self.columns.append(share.columns)
            self.constant(f"bands{number}", torch.from_numpy(share.weights.T))

    def constant(self, name: str, value: Tensor) -> None:
        """Keep `value` as a float32 buffer."""
        self.register_buffer(name, value.float().contiguous())

    def power(self, samples: Tensor) -> Tensor:
        """Power in each band (batch, hops - blocks + 1, bands) of samples (batch, hops * hop).

        Training takes torch's own Fourier transform, several times as fast and at most rounding
        apart; no runtime's file can.
        """
        if self.training and not torch.compiler.is_exporting():
            frames = samples.shape[1] // self.hop - self.blocks + 1
            windows = samples.unfold(1, self.size, self.hop)[:, :frames] * self.window
            spectrum = torch.fft.rfft(windows)
            return functional.linear(spectrum.real.square() + spectrum.imag.square(), self.filters)
        used, batch = self.transform, samples.shape[0]
        windows = self._windows(samples)
        windows = windows.reshape(batch, windows.shape[1], used.rows, used.columns)
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

    def _windows(self, samples: Tensor) -> Tensor:
        """(batch, frames, window)."""
        hops = samples.reshape(samples.shape[0], samples.shape[1] // self.hop, self.hop)
        frames = hops.shape[1] - self.blocks + 1
        parts = [hops.narrow(1, at, frames) for at in range(self.blocks)]
        over = self.blocks * self.hop - self.size
        if over:
            parts[-1] = parts[-1].narrow(2, 0, self.hop - over)
        return torch.cat(parts, 2) * self.window

    def _bands(self, power: Tensor) -> Tensor:
        """power: (batch, frames, half, columns) of the transform."""
        batch, frames, _, columns = power.shape
        found = []
        for number, (first, last) in enumerate(self.columns):
            mirror = power[..., columns - last : columns - first]
            read = torch.cat((power[..., first:last], mirror), 3).reshape(batch, frames, -1)
            found.append(functional.linear(read, self.get_buffer(f"bands{number}")))
        return torch.cat(found, 2)
