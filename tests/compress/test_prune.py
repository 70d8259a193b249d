from __future__ import annotations

import re
from collections.abc import Callable

import nets
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prices import Steps
from torch import Tensor, nn

from edgedistill.compress.cost import MACS, PARAMS, measure, over, padded, priced
from edgedistill.compress.prune import importance, prune
from edgedistill.errors import UserError
from edgedistill.models import build, count
from edgedistill.models.pruned import replay
from edgedistill.recipe import ResidualModel, TorchvisionModel
from edgedistill.signature import image_inputs
from edgedistill.target import Kernel

EXAMPLE = torch.zeros(1, 3, 16, 16)
DOT = Kernel(output_channels=16, input_channels=4, depthwise=16)


def residual(shortcut: str = "conv", widths: tuple[int, int, int] = (16, 24, 32)) -> nn.Module:
    torch.manual_seed(0)
    model = ResidualModel.model_validate(
        {"family": "resnet_cifar", "depth": 8, "widths": widths, "shortcut": shortcut}
    )
    return build(model, 10, image_inputs(3, 16, 16))


def magnitude(model: nn.Module):  # type: ignore[no-untyped-def]
    return importance("magnitude", model, [])


def macs(model: nn.Module, example: Tensor = EXAMPLE) -> float:
    return measure(model, example, [MACS])[MACS]


def channels(model: nn.Module) -> list[int]:
    return [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]


@settings(max_examples=6, deadline=None)
@given(share=st.floats(0.3, 0.95), round_to=st.sampled_from([1, 4, 8]))
def test_prune_meets_its_goal_in_whole_blocks(share: float, round_to: int) -> None:
    model = residual()
    goal = {MACS: macs(model) * share}
    prune(model, EXAMPLE, goal, magnitude(model), round_to)
    assert not over(measure(model, EXAMPLE, goal), goal)
    assert all(count % round_to == 0 for count in channels(model))
    assert model(torch.rand(2, 3, 16, 16)).shape == (2, 10)


def test_prune_follows_both_goals() -> None:
    model = residual()
    before = measure(model, EXAMPLE, (MACS, PARAMS))
    goal = {MACS: before[MACS] * 0.9, PARAMS: before[PARAMS] * 0.4}
    prune(model, EXAMPLE, goal, magnitude(model), 4)
    assert not over(measure(model, EXAMPLE, goal), goal)


def test_replayed_steps_give_the_same_shapes() -> None:
    model, fresh = residual(), residual()
    goal = {MACS: macs(model) * 0.5}
    steps = prune(model, EXAMPLE, goal, magnitude(model), 8)
    replay(fresh, steps, image_inputs(3, 16, 16))
    fresh.load_state_dict(model.state_dict())
    pixels = torch.rand(2, 3, 16, 16)
    assert torch.equal(model.eval()(pixels), fresh.eval()(pixels))


def test_a_channel_of_no_use_goes_first() -> None:
    model = residual()
    block = model.get_submodule("layer3.0")
    with torch.no_grad():
        for name in ("conv1.weight", "bn1.weight"):
            block.get_parameter(name)[8:16] = 0
        block.get_parameter("conv2.weight")[:, 8:16] = 0
    kept = block.get_parameter("conv1.weight")[[*range(8), *range(16, 32)]].clone()
    prune(model, EXAMPLE, {MACS: macs(model) * 0.99}, magnitude(model), 8)
    assert torch.equal(block.get_parameter("conv1.weight"), kept)


@pytest.mark.parametrize("kind", ["taylor", "hessian"])
def test_importance_from_gradients_ranks_a_dead_channel_last(kind: str) -> None:
    model = residual()
    with torch.no_grad():
        model.get_parameter("layer1.0.bn1.weight")[3] = 0
        model.get_parameter("layer1.0.bn1.bias")[3] = 0
    pixels, target = torch.rand(8, 3, 16, 16), torch.arange(8)

    def loss() -> Tensor:
        return nn.functional.cross_entropy(model(pixels), target)

    score = importance(kind, model, [loss, loss])  # type: ignore[arg-type]
    from edgedistill.models.pruned import dependency_graph

    graph = dependency_graph(model, EXAMPLE)
    layer = model.get_submodule("layer1.0.conv1")
    handler = graph.get_pruner_of_module(layer).prune_out_channels
    scores = score(graph.get_pruning_group(layer, handler, list(range(16))))
    assert scores is not None and int(scores.argmin()) == 3


def test_zero_padded_shortcuts_keep_their_stream() -> None:
    model = residual("pad")
    goal = {MACS: macs(model) * 0.7}
    prune(model, EXAMPLE, goal, magnitude(model), 4)
    assert model.get_submodule("layer1.0.conv2").out_channels == 16  # type: ignore[union-attr]
    assert model(torch.rand(1, 3, 16, 16)).shape == (1, 10)


def test_depthwise_convolutions_are_pruned_with_their_neighbours() -> None:
    torch.manual_seed(0)
    model = build(
        TorchvisionModel(family="torchvision", name="mobilenet_v2"), 5, image_inputs(3, 32, 32)
    )
    example = torch.zeros(1, 3, 32, 32)
    goal = {MACS: macs(model, example) * 0.6}
    prune(model, example, goal, magnitude(model), 8)
    assert macs(model, example) <= goal[MACS]
    assert model.eval()(torch.rand(1, 3, 32, 32)).shape == (1, 5)


def test_a_goal_out_of_reach_says_how_far_it_goes() -> None:
    model = residual()
    with pytest.raises(
        UserError, match=r"pruning cannot reach 1e-05 M MACs and .* the least is 0\.\d+ M MACs"
    ):
        prune(model, EXAMPLE, {MACS: 10, PARAMS: 10}, magnitude(model), 8)


class Mixed(nn.Module):
    """The first layer's channels are put in an order of their own: none may go."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.linear = nn.Linear(8, 4)
        self.order: Tensor
        self.register_buffer("order", torch.arange(7, -1, -1))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x)).index_select(1, self.order)
        found: Tensor = self.linear(torch.relu(self.second(x)).mean((2, 3)))
        return found


def test_channels_that_cannot_go_are_left() -> None:
    model = Mixed().eval()
    goal = {MACS: macs(model) * 0.8}
    prune(model, EXAMPLE, goal, magnitude(model), 1)
    assert model(EXAMPLE).shape == (1, 4)
    assert model.first.out_channels == 8
    assert model.second.out_channels < 8


def test_a_model_that_cannot_be_followed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise IndexError("index out of range")

    monkeypatch.setattr("edgedistill.compress.prune.dependency_graph", lost)
    with pytest.raises(UserError, match="does not understand this model: IndexError: index out"):
        prune(residual(), EXAMPLE, {MACS: 1}, magnitude(residual()), 1)


BODIES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "called three times": (nets.Thrice, 16),
    "grouped": (nets.Residual, 16),
    "grouped by as many as there are channels to each group": (lambda: nets.Residual(16), 16),
    "shuffled": (lambda: nn.Sequential(nets.Shuffled(), nets.Shuffled()), 16),
    "attention": (nets.Attentive, 16),
    "gru": (nets.Recurrent, 16),
    "lstm": (lambda: nets.Recurrent("LSTM", both=False), 8),
    "transposed and one-dimensional": (nets.Lines, 16),
    "group norms": (nets.normed, 16),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_goal_reached_is_reached_as_the_report_counts(kind: str) -> None:
    body, last = BODIES[kind]
    torch.manual_seed(0)
    model, fresh = (nets.Net(body(), last=last).eval() for _ in range(2))
    goal = {MACS: count(model, image_inputs(3, 16, 16))[0] * 0.7e6}
    steps = prune(model, EXAMPLE, goal, magnitude(model), 4)
    assert count(model, image_inputs(3, 16, 16))[0] * 1e6 <= goal[MACS]
    replay(fresh, steps, image_inputs(3, 16, 16))
    fresh.load_state_dict(model.state_dict())
    pixels = torch.rand(2, 3, 16, 16)
    assert torch.equal(model(pixels), fresh(pixels))
    assert model(pixels).shape == (2, 10)


def test_channels_that_torch_pruning_loses_track_of_stay() -> None:
    torch.manual_seed(0)
    model = nets.Net(nn.Sequential(nets.Mixing(), nets.Residual(groups=1)))
    said: list[str] = []
    goal = {MACS: macs(model) * 0.9}
    prune(model, EXAMPLE, goal, magnitude(model), 4, say=said.append)
    assert model.get_submodule("body.0.first.0").out_channels == 32
    assert "loses track of where its channels go" in said[0]


def test_grouped_convolutions_lose_as_many_channels_in_each_group() -> None:
    model = nets.Net(nets.Residual(groups=4, width=32))
    middle = model.get_submodule("body.middle.0")
    goal = {MACS: macs(model) * 0.6}
    prune(model, EXAMPLE, goal, magnitude(model), 8)
    assert (middle.groups, middle.in_channels % 8) == (4, 0)
    assert middle.weight.shape == (middle.out_channels, middle.in_channels // 4, 3, 3)
    assert middle.out_channels < 32


def test_a_grouped_convolution_is_named_where_it_is_why_a_goal_is_missed() -> None:
    model = nets.Net(nn.Sequential(nets.Residual(groups=16, width=32)))
    with pytest.raises(UserError) as told:
        prune(model, EXAMPLE, {MACS: 2e4}, magnitude(model), 32)
    assert "`body.0.middle.0` (grouped, 16 times 2 channels, of which none can go" in str(
        told.value
    )


def test_what_keeps_its_channels_is_said() -> None:
    model = nets.Net(nn.Sequential(nets.Residual(groups=16), nets.Residual(groups=1, width=64)))
    said: list[str] = []
    goal = {MACS: macs(model) * 0.9}
    prune(model, EXAMPLE, goal, magnitude(model), 32, say=said.append)
    assert said[0].startswith(
        "pruning: these layers keep all their channels: `body.0.middle.0` (grouped, 16 times 2 "
        "channels, of which none can go in multiples of 32)"
    )


def test_a_goal_in_padded_macs_is_reached_in_them() -> None:
    model = residual()
    figure = padded(DOT)
    before = measure(model, EXAMPLE, (MACS, figure))
    assert before[figure] > before[MACS]
    goal = {figure: before[figure] * 0.5}
    # Of 24 channels, eight must go together with eight more before a tile is saved.
    prune(model, EXAMPLE, goal, magnitude(model), 8)
    assert not over(measure(model, EXAMPLE, goal), goal)


def test_widths_that_do_not_pay_are_said() -> None:
    model, price, said = residual(), priced(Steps(tail=1.5)), list[str]()
    goal = {price: measure(model, EXAMPLE, [price])[price] * 0.8}
    prune(model, EXAMPLE, goal, magnitude(model), 8, say=said.append)
    (text,) = said
    assert text.startswith("pruning: widths that cost no less than more channels are not taken: `")
    assert re.search(r"`[\w.]+` with 8 \(then [\d.]+ M instructions; with 16, ", text)


def test_whatever_torch_pruning_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_pruning import DependencyGraph

    def lost(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    model = residual()
    monkeypatch.setattr(DependencyGraph, "build_dependency", lost)
    with pytest.raises(UserError, match="does not understand this model: IndexError: list index"):
        prune(model, EXAMPLE, {MACS: 1}, magnitude(model), 1)


def test_a_layer_that_torch_pruning_does_not_understand_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch_pruning import DependencyGraph

    model, followed = residual(), DependencyGraph.get_pruning_group
    lost = model.get_submodule("layer3.0.conv1")

    def group(self: object, module: nn.Module, *rest: object) -> object:
        if module is lost:
            raise IndexError("list index out of range")
        return followed(self, module, *rest)

    monkeypatch.setattr(DependencyGraph, "get_pruning_group", group)
    said: list[str] = []
    goal = {MACS: macs(model) * 0.8}
    prune(model, EXAMPLE, goal, magnitude(model), 8, say=said.append)
    assert lost.out_channels == 32 and macs(model) <= goal[MACS]
    assert said[0].startswith(
        "pruning: these layers keep all their channels: `layer3.0.conv1` (torch-pruning does not "
        "understand it: IndexError: list index out of range)"
    )
