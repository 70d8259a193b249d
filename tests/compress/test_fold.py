from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import SIZE, Mobile, Residual, lively, normalized, pixels
from torch import Tensor, nn

from edgedistill import program_file
from edgedistill.compress.fold import fold
from edgedistill.errors import UserError
from edgedistill.models.normalized import Normalized
from edgedistill.program import Program, graph_of
from edgedistill.signature import image_inputs


def operators(program: Program) -> list[str]:
    return [str(node.target) for node in program.exported.graph.nodes if node.op == "call_function"]


def assert_same(model: nn.Module, program: Program, x: Tensor) -> None:
    with torch.no_grad():
        expected, got = model(x), graph_of(program)(x)
    assert float((got - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("make", [Residual, lambda: Residual("conv"), Mobile])
def test_folding_changes_no_output_and_leaves_no_batch_norm(make: Callable[[], nn.Module]) -> None:
    model = normalized(make())
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert_same(model, program, pixels(5))
    names = operators(program)
    assert not any(part in name for name in names for part in ("batch_norm", "dropout", "_."))
    assert not any(name.startswith(("aten.sub", "aten.div", "aten.mean")) for name in names)


@pytest.mark.parametrize(
    ("name", "size"), [("mobilenet_v2", 32), ("mobilenet_v3_small", 32), ("resnet18", 32)]
)
def test_torchvision_models_fold_exactly(name: str, size: int) -> None:
    model = normalized(getattr(torchvision.models, name)(num_classes=4))
    x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    assert_same(model, fold(model, image_inputs(3, size, size)), x)


def test_folding_leaves_the_model_alone_and_keeps_weight_names() -> None:
    model = normalized(Residual())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    assert {"stem.weight", "blocks.1.conv2.bias", "linear.weight"} <= set(
        program.exported.state_dict
    )
    assert [each.shape for each in program.signature.inputs] == [(None, 3, SIZE, SIZE)]


def test_a_shift_before_zero_padding_becomes_a_depthwise_convolution() -> None:
    program = fold(normalized(Residual()), image_inputs(3, SIZE, SIZE))
    assert program.exported.state_dict["normalize.weight"].shape == (3, 1, 1, 1)
    assert program.exported.state_dict["normalize.bias"].shape == (3,)


@settings(max_examples=8, deadline=None)
@given(
    mean=st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    std=st.lists(st.floats(0.1, 2), min_size=4, max_size=4),
    groups=st.sampled_from([1, 2, 4]),
    padding=st.sampled_from([0, 1]),
    bias=st.booleans(),
)
def test_a_normalization_disappears_into_the_convolution_where_that_is_exact(
    mean: list[float], std: list[float], groups: int, padding: int, bias: bool
) -> None:
    conv = nn.Conv2d(4, 8, 3, padding=padding, groups=groups, bias=bias)
    shift = mean if padding == 0 else [0.0] * 4
    model = lively(Normalized(conv, shift, std))
    program = fold(model, image_inputs(4, SIZE, SIZE))
    assert operators(program) == ["aten.conv2d.default"]
    x = torch.rand(3, 4, SIZE, SIZE)
    assert_same(model, program, x)


def test_a_batch_norm_without_a_layer_before_it_becomes_a_convolution() -> None:
    model = lively(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3)))
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert operators(program).count("aten.conv2d.default") == 2
    assert_same(model, program, pixels(2) - 0.5)


@pytest.mark.parametrize("after", [[nn.Linear(4, 3)], [nn.ReLU()], []])
def test_a_batch_norm_of_features_goes_into_a_linear_layer(after: list[nn.Module]) -> None:
    pooled = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = lively(nn.Sequential(*pooled, nn.BatchNorm1d(4), *after))
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert operators(program).count("aten.linear.default") == 1
    assert not any("batch_norm" in each for each in operators(program))
    assert_same(model, program, pixels(2))


def test_a_convolution_used_twice_is_folded_with_each_batch_norm() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.one, self.two = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.two(self.conv(self.one(self.conv(x))))
            return out

    model = lively(Twice())
    assert_same(model, fold(model, image_inputs(3, SIZE, SIZE)), pixels(2))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for run in ("one", "two"):
        path = tmp_path / run
        program_file.save(fold(normalized(Residual()), image_inputs(3, SIZE, SIZE)), path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_a_squeeze_and_excitation_gate_becomes_relu6() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.squeeze, self.project = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            gate = nn.functional.hardsigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))
            out: Tensor = self.project(x * gate)
            return out

    model = lively(Gated())
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert "aten.hardsigmoid.default" not in operators(program)
    assert "aten.hardtanh.default" in operators(program)
    assert_same(model, program, 4 * pixels(3) - 2)


class Written(nn.Module):
    """Writes into a part of a tensor, as `how` does."""

    def __init__(self, how: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)
        self._how = how

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        self._how(x)
        found: Tensor = self.second(x).mean((2, 3))
        return found


@pytest.mark.parametrize(
    "how",
    [lambda x: x[:, :4].add_(1), lambda x: x[:, 0].copy_(x[:, 1]), lambda x: x[:, :, 1:].mul_(3),
     lambda x: x[:, ::2].add_(1), lambda x: x.mul_(3)],
)  # fmt: skip
def test_what_is_written_into_a_tensor_is_folded(how: Callable[[Tensor], object]) -> None:
    model = Written(how).eval()
    assert_same(model, fold(model, image_inputs(3, SIZE, SIZE)), pixels(3))


def test_a_graph_that_answers_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgedistill.compress.fold.without_writes", lambda program: program)
    with pytest.raises(UserError, match="as one graph answers up to"):
        fold(Written(lambda x: x[:, :4].add_(1)), image_inputs(3, SIZE, SIZE))


def test_what_cannot_be_exported_is_told() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3)) if float(x.sum()) > 3 else x.sum((2, 3))

    with pytest.raises(UserError, match="cannot be made into one graph"):
        fold(Branching(), image_inputs(3, SIZE, SIZE))


class Tokens(nn.Module):
    """A batch norm over tokens, or over channels of one axis, behind `layer`."""

    def __init__(self, layer: nn.Module, size: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, size // 4, size // 4)
        self.layer, self.norm, self.linear = layer, nn.BatchNorm1d(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(self.norm(self.layer(self.patches(x).flatten(2))).mean(1))
        return found


@pytest.mark.parametrize("layer", [nn.Linear(16, 16), nn.Conv1d(16, 16, 3, padding=1)])
def test_a_batch_norm_of_other_axes_becomes_a_product_and_a_sum(layer: nn.Module) -> None:
    model = lively(Tokens(layer, SIZE))
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert_same(model, program, pixels(3))
    assert not any("batch_norm" in name for name in operators(program))


def test_a_batch_norm_right_before_the_mean() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.norm(nn.functional.gelu(self.conv(x))).mean((2, 3))
            return found

    model = lively(Late())
    assert_same(model, fold(model, image_inputs(3, SIZE, SIZE)), pixels(3))


def test_a_batch_norm_without_statistics_is_told() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False), nn.Flatten()
    )
    with pytest.raises(UserError, match="keeps no running statistics"):
        fold(model, image_inputs(3, SIZE, SIZE))


def test_shuffled_channels_are_folded() -> None:
    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3, groups=2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            count, channels, height, width = x.shape
            parts = x.view(count, 2, channels // 2, height, width).transpose(1, 2).contiguous()
            found: Tensor = self.second(parts.view(count, channels, height, width)).mean((2, 3))
            return found

    model = Shuffled().eval()
    assert_same(model, fold(model, image_inputs(3, SIZE, SIZE)), pixels(3))


class Standardized(nn.Conv2d):
    """Qiao et al. 2019: weights of mean 0 and deviation 1."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight.std((1, 2, 3), keepdim=True) + 1e-5)
        return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class Around(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first, self.layer, self.linear = nn.Conv2d(3, 8, 3), layer, nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(self.layer(torch.relu(self.first(x))).mean((2, 3)))
        return found


@pytest.mark.parametrize(
    "layer",
    [
        Standardized(8, 8, 3),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3)),
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 8, 3)),
    ],
)
def test_weights_that_are_computed_become_weights(layer: nn.Module) -> None:
    model = Around(layer).eval()
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert_same(model, program, pixels(3))
    assert "layer.weight" in program.exported.state_dict
    kept = [name for name in operators(program) if not name.startswith("aten.")]
    assert not kept and len(operators(program)) == 6


def test_a_shared_computed_weight_keeps_its_source() -> None:
    class Shared(Around):
        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.first(x))
            assert isinstance(self.layer, nn.Conv2d)
            x = self.layer(x) + nn.functional.conv2d(x, 2 * self.layer.weight)
            found: Tensor = self.linear(x.mean((2, 3)))
            return found

    model = Shared(nn.Conv2d(8, 8, 3)).eval()
    assert_same(model, fold(model, image_inputs(3, SIZE, SIZE)), pixels(3))


@pytest.mark.parametrize("parts", [2, 3, [5, 3]])
def test_parts_become_slices(parts: int | list[int]) -> None:
    class Parts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            cut = x.chunk(parts, 1) if isinstance(parts, int) else x.split(parts, 1)
            return torch.cat([cut[1], cut[0]], 1)

    class Padded(Around):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.layer(self.first(x)).mean((2, 3))
            return found

    model = Padded(Parts()).eval()
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert_same(model, program, pixels(3))
    assert operators(program).count("aten.slice.Tensor") == 2


class Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm = nn.ConvTranspose2d(8, 8, 2, 2), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(self.up(x))
        return found


class OneAxis(Transposed):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm = nn.Conv1d(8, 8, 3), nn.BatchNorm1d(8)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(2)).unsqueeze(2)


@pytest.mark.parametrize("make", [Transposed, OneAxis])
def test_a_batch_norm_behind_any_convolution_is_folded(make: type[Transposed]) -> None:
    layer = make()
    for tensor in (layer.norm.running_mean, layer.norm.running_var, layer.norm.weight):
        assert tensor is not None
        tensor.data.uniform_(0.5, 2)
    model = Around(layer).eval()
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert_same(model, program, pixels(3))
    assert not any("batch_norm" in name for name in operators(program))
    assert sum("conv" in name for name in operators(program)) == 2


def test_a_model_that_answers_differently_each_time_is_told_as_that() -> None:
    class Dropping(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x, 0.2)

    with pytest.raises(UserError, match="answers differently each time"):
        fold(Around(Dropping()).eval(), image_inputs(3, SIZE, SIZE))


def test_what_is_the_same_for_every_sample_is_a_constant() -> None:
    """As the zeros that a recurrent net begins with, and what its first step makes of them."""

    class Beginning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.state, self.joined = nn.Linear(4, 4), nn.Linear(8, 2)

        def forward(self, pixels: Tensor) -> Tensor:
            x = pixels.mean((2, 3)) @ torch.ones(3, 4)
            zeros = torch.zeros(pixels.shape[0], 4)
            seen = torch.sigmoid(x + self.state(zeros))
            answer: Tensor = self.joined(torch.cat([seen, torch.tanh(self.state(zeros))], 1))
            return answer

    torch.manual_seed(0)
    model = Beginning().eval()
    program = fold(model, image_inputs(3, SIZE, SIZE))
    assert_same(model, program, pixels(3))
    nodes = graph_of(program).graph.nodes
    names = [str(node.target) for node in nodes if node.op == "call_function"]
    assert names.count("aten.linear.default") == 1
    assert not any("zeros" in name or "tanh" in name for name in names)


def test_what_was_not_learned_is_not_trained_either() -> None:
    class Placed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.scale = nn.Parameter(torch.rand(4, 1, 1))
            self.register_buffer("places", torch.rand(1, 4, SIZE, SIZE))

        def forward(self, x: Tensor) -> Tensor:
            seen = torch.relu(self.conv(x)) * self.scale + self.places
            return (seen + torch.arange(SIZE).float()).mean((2, 3))

    graph = graph_of(fold(Placed().eval(), image_inputs(3, SIZE, SIZE)))
    assert {name for name, _ in graph.named_parameters()} == {
        "conv.weight", "conv.bias", "scale",
    }  # fmt: skip
