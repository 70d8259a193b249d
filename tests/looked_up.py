"""A net that looks tokens up in a table, and ends in the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.signature import Signature, TensorSpec

TOKENS, WIDTH = 40, 16
SIGNATURE = Signature(
    (TensorSpec("token", (2,), dtype="int32"),), (TensorSpec("logits", (2, TOKENS)),)
)


class LookedUp(nn.Module):
    """A token's row through two layers and a third one to what it is like in the table."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.random.get_rng_state()
        torch.manual_seed(0)
        self.table = nn.Embedding(TOKENS, WIDTH)
        self.body = nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, WIDTH))
        self.last = nn.Linear(WIDTH, WIDTH)
        torch.random.set_rng_state(generator)
        self.eval()

    def forward(self, token: Tensor) -> Tensor:
        """Logits (2, TOKENS) of two tokens (2,)."""
        row = self.last(self.body(self.table(token)))
        return functional.linear(row, self.table.weight)


def tokens() -> Tensor:
    return torch.tensor([3, 39], dtype=torch.int32)
