"""One counter of multiply-accumulates, beside formulas and torch's own counter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from edgedistill.models import count
from edgedistill.models.work import Product, padded_macs, products, products_of
from edgedistill.signature import image_inputs
from edgedistill.target import Kernel

DOT = Kernel(output_channels=16, input_channels=4, depthwise=16)
PIXELS = torch.zeros(1, 3, 16, 16)


class Thrice(nn.Module):
    """One block, called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.block = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.last = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.block(self.block(self.stem(x))))
        found: Tensor = self.last(x.mean((2, 3)))
        return found


class Attentive(nn.Module):
    """Tokens of 8 channels that attend to each other, once by a layer and once by einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        x, _ = self.attention(x, x, x, need_weights=False)
        x = self.encoder(x)
        scores = torch.einsum("bnc,bmc->bnm", x, x)
        return (scores @ x).mean(1)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(3, 8, 3, groups=1)
        self.gru = nn.GRU(8, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.lstm = nn.LSTM(10, 6, batch_first=True, proj_size=4)
        self.cell = nn.GRUCell(4, 7)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.gru(self.stem(x.mean(2)).transpose(1, 2))
        x, _ = self.lstm(x)
        found: Tensor = self.cell(x[:, -1])
        return found


class Branching(nn.Module):
    """Nothing that torch.export takes: it looks at its values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


def transposed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, groups=8, padding=1),
        nn.Conv2d(8, 12, 1, groups=4), nn.ConvTranspose2d(12, 6, 2, 2, groups=2),
        nn.ConvTranspose2d(6, 4, 3, 2), nn.Flatten(2), nn.ConvTranspose1d(4, 2, 3, 2),
    )  # fmt: skip


def volume() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, (3, 2, 2), groups=1))


NETS: list[tuple[Callable[[], nn.Module], int]] = [
    # 8x8 positions of 27 x 16 weights, three times 144 x 16, and the last layer
    (Thrice, 64 * (27 * 16 + 3 * 144 * 16) + 160),
    # 16 tokens: the stem; twice (projections, products); the two layers after; two products
    (Attentive, 16 * (48 * 8 + 2 * (4 * 64 + 2 * 16 * 8) + 2 * 96 + 2 * 16 * 8)),
    # 14 steps: the stem; two layers in two directions; gates and projection; one step of a cell
    (Recurrent, 14 * (72 + 2 * 15 * (8 + 5) + 2 * 15 * (10 + 5) + 24 * (10 + 4) + 24) + 21 * 11),
    (Branching, 14 * 14 * 27 * 4),
    (transposed, 64 * (27 * 8 + 72 + 24) + 64 * 12 * 3 * 4 + 256 * 6 * 4 * 9 + 33 * 33 * 4 * 2 * 3),
    (volume, 15 * 15 * 4 * 12),
]


@pytest.mark.parametrize(("make", "wanted"), NETS)
def test_macs_are_those_of_the_formulas(make: Callable[[], nn.Module], wanted: int) -> None:
    macs, params = count(make(), image_inputs(3, 16, 16))
    assert round(macs * 1e6) == wanted
    assert params == sum(each.numel() for each in make().parameters()) / 1e3


@pytest.mark.parametrize("make", [make for make, _ in NETS])
def test_macs_are_those_of_torchs_own_counter(make: Callable[[], nn.Module]) -> None:
    module = make().eval()
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module(PIXELS)
    torch.backends.mha.set_fastpath_enabled(fused)
    assert counter.get_total_flops() / 2 == sum(x.macs for x in products(module, PIXELS))


def test_the_exported_graph_counts_the_same() -> None:
    module = Attentive().eval()
    with torch.no_grad():
        graph = torch.export.export(module, (PIXELS,))
    names = graph.graph_signature.inputs_to_parameters
    assert list(products_of(graph.graph_module, dict(names))) == products(module, PIXELS)


def test_each_product_knows_its_weights() -> None:
    found = [each.weight for each in products(Attentive(), PIXELS)]
    assert found[:2] == ["stem.weight", "attention.in_proj_weight"]
    assert found.count("") == 2 + 2 + 2


def test_channels_are_padded_to_whole_tiles() -> None:
    ordinary = Product(1, 24, 6, 9, 100, "w")
    assert ordinary.padded(DOT) == 32 * 8 * 9 * 100
    depthwise = Product(24, 1, 1, 9, 100, "w")
    assert depthwise.padded(DOT) == 32 * 9 * 100
    scale = Product(24, 1, 1, 1, 100, "w")  # computed as the smallest depthwise kernel
    assert scale.padded(DOT) == 32 * 3 * 100
    # A kernel of four elements runs in the one of nine, one of 49 in none: 24 convolutions.
    assert Product(24, 1, 1, 4, 100, "w").padded(DOT) == 32 * 9 * 100
    assert Product(24, 1, 1, 49, 100, "w").padded(DOT) == 24 * 16 * 4 * 49 * 100
    grouped = Product(4, 6, 6, 9, 100, "w")
    assert grouped.padded(DOT) == 4 * 16 * 8 * 9 * 100


def test_padded_macs_are_the_dot_products_that_a_phone_was_seen_to_compute() -> None:
    """MLPerf Tiny's ResNet-8 in int8, emulated Cortex-A76: 791 thousand `sdot` of 16 products."""
    from edgedistill.models import build
    from edgedistill.recipe import ResidualModel

    recipe = {"family": "resnet_cifar", "depth": 8, "shortcut": "conv"}
    found = products(
        build(ResidualModel.model_validate(recipe), 10, image_inputs(3, 32, 32)),
        torch.zeros(1, 3, 32, 32),
    )
    assert sum(each.macs for each in found) == pytest.approx(12.50e6, rel=0.001)
    assert padded_macs(found, DOT) / 16 == pytest.approx(791e3, rel=0.001)
