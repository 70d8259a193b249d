"""A batch norm of each part of the frequency axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_OF_CHANNELS = ("weight", "bias", "running_mean", "running_var")


class SubSpectralNorm(nn.Module):
    """A batch norm for each channel in each of `parts` equal parts of the frequency axis (Chang et
    al. 2021, "SubSpectral Normalization for Neural Audio Data Processing", section 2)."""

    def __init__(self, channels: int, parts: int) -> None:
        super().__init__()
        self.channels, self.parts = channels, parts
        self.norm = nn.BatchNorm2d(channels * parts)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time, bands), `parts` dividing the bands."""
        batch, channels, time, bands = x.shape
        norm, part = self.norm, bands // self.parts
        if norm.training:
            apart = x.reshape(batch, channels, time, self.parts, part).transpose(2, 3)
            flat: Tensor = norm(apart.reshape(batch, channels * self.parts, time, part))
            whole = flat.reshape(batch, channels, self.parts, time, part).transpose(2, 3)
            return whole.reshape(x.shape)
        # One product and one sum: cut apart, and joined again, the map would be laid out anew.
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        return x * self._spread(scale, part) + self._spread(shift, part)

    def _spread(self, values: Tensor, part: int) -> Tensor:
        """(1, channels, 1, bands) of values (channels * parts)."""
        apart = values.reshape(self.channels, self.parts, 1).expand(-1, -1, part)
        return apart.reshape(1, self.channels, 1, self.parts * part)

    def drop_channels(self, gone: Sequence[int]) -> None:
        """Lose these channels, as pruning takes them from the layers around it. The tensors are new
        ones, so that who holds the old can put them back."""
        kept = sorted(set(range(self.channels)) - set(gone))
        for name in _OF_CHANNELS:
            value = getattr(self.norm, name)
            chosen = value.detach().reshape(self.channels, self.parts)[kept].flatten()
            setattr(self.norm, name, nn.Parameter(chosen) if name in _OF_CHANNELS[:2] else chosen)
        self.channels = len(kept)
        self.norm.num_features = self.channels * self.parts
