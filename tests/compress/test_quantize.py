from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import SIZE, Mobile, Residual, batches, normalized, pixels
from torch import nn
from torch.nn import functional

from edgedistill import program_file
from edgedistill.compress.describe import describe
from edgedistill.compress.fake_quantize import ActivationFakeQuantize
from edgedistill.compress.fold import fold
from edgedistill.compress.operators import padding_value
from edgedistill.compress.post_training import TECHNIQUES, post_training
from edgedistill.compress.quantize import Prepared, calibrate, convert, prepare
from edgedistill.compress.sensitivity import sensitivity
from edgedistill.errors import UserError
from edgedistill.program import Program, graph_of, value
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

Change = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module")
def program() -> Program:
    return fold(normalized(Residual()), image_inputs(3, SIZE, SIZE))


def calibrated(program: Program, scheme: Scheme = Scheme(), keep: Any = ()) -> Prepared:  # noqa: B008
    prepared = prepare(program, scheme, keep)
    calibrate(prepared, batches(64, 16))
    return prepared


def integer_weights(program: Program) -> dict[str, torch.Tensor]:
    graph = graph_of(program)
    found = {}
    for node in graph.graph.nodes:
        kept = value(graph, node.args[0]) if node.args else None
        if kept is not None and "quantize_per" in str(node.target):
            args = [
                each if value(graph, each) is None else value(graph, each) for each in node.args
            ]
            found[str(node.args[0].target)] = node.target(*args)
    return found


def test_every_layer_is_quantized_and_none_is_left_in_float(program: Program) -> None:
    said = describe(convert(calibrated(program)))
    assert said.float_layers == ()
    names = {layer.name for layer in said.layers}
    assert {"normalize", "stem", "blocks.1.conv2", "linear", "add", "pad"} <= names
    assert all(layer.output_scale is not None for layer in said.layers)
    assert said.quantize_nodes <= said.dequantize_nodes


def test_a_mobile_network_is_quantized_whole() -> None:
    program = fold(normalized(Mobile()), image_inputs(3, SIZE, SIZE))
    assert describe(convert(calibrated(program))).float_layers == ()


def test_pixels_are_their_own_integers(program: Program) -> None:
    quantized = convert(calibrated(program))
    first = next(
        n for n in quantized.exported.graph.nodes if "quantize_per_tensor" in str(n.target)
    )
    assert first.args[1:5] == (pytest.approx(1 / 255), -128, -128, 127)
    levels = torch.arange(256, dtype=torch.float32) / 255
    assert torch.equal(
        first.target(levels, *first.args[1:]), torch.arange(-128, 128).to(torch.int8)
    )


def test_what_only_moves_values_keeps_their_scale(program: Program) -> None:
    layers = {each.name: each for each in describe(convert(calibrated(program))).layers}
    scales = {name: layers[name].output_scale for name in ("slice_1", "slice_2", "pad")}
    assert len(set(scales.values())) == 1
    assert scales["pad"] == layers["add"].output_scale
    assert layers["flatten"].output_scale == layers["adaptive_avg_pool2d"].output_scale


@settings(max_examples=5, deadline=None)
@given(
    bits=st.sampled_from([7, 8]),
    symmetric=st.booleans(),
    per_channel=st.booleans(),
    activations=st.booleans(),
)
def test_every_scheme_keeps_to_its_range_and_close_to_the_float_network(
    program: Program, bits: Any, symmetric: bool, per_channel: bool, activations: bool
) -> None:
    scheme = Scheme(
        weight_bits=bits,
        weight_symmetric=symmetric,
        per_channel=per_channel,
        activation_symmetric=activations,
    )
    prepared = calibrated(program, scheme)
    quantized = convert(prepared)
    limit = 2 ** (bits - 1) - 1
    for weight in integer_weights(quantized).values():
        assert int(weight.max()) <= limit and int(weight.min()) >= -limit - (not symmetric)
    with torch.no_grad():
        exact, rounded = graph_of(program)(pixels(64)), graph_of(quantized)(pixels(64))
    assert float((rounded - exact).norm() / exact.norm()) < 0.15
    if activations:
        zeros = [each.output_zero_point for each in describe(quantized).layers]
        assert set(zeros) == {0}


def test_the_converted_program_computes_what_training_did(program: Program) -> None:
    prepared = calibrated(program)
    quantized = convert(prepared)
    biases = {k: v for k, v in quantized.exported.state_dict.items() if k.endswith(".bias")}
    prepared.graph.load_state_dict(biases, strict=False)
    with torch.no_grad():
        trained, converted = prepared(pixels(32)), graph_of(quantized)(pixels(32))
    step = describe(quantized).layers[-1].output_scale
    assert float((trained - converted).abs().max()) <= 1.01 * step
    assert float((trained != converted).float().mean()) < 0.02


def test_biases_lie_on_the_grid_of_their_integers(program: Program) -> None:
    graph = graph_of(convert(calibrated(program)))
    for node in graph.graph.nodes:
        if str(node.target) == "aten.conv2d.default":
            step = node.args[0].args[1] * value(graph, node.args[1].args[1])
            levels = value(graph, node.args[2]) / step
            assert float((levels - levels.round()).abs().max()) < 0.01


def test_named_layers_stay_in_float(program: Program) -> None:
    quantized = convert(calibrated(program, keep=("stem", "linear")))
    assert describe(quantized).float_layers == ("stem", "linear")
    assert "stem.weight" not in integer_weights(quantized)


def test_an_unknown_layer_is_refused_with_the_nearest_name(program: Program) -> None:
    with pytest.raises(UserError) as caught:
        prepare(program, Scheme(), ("blocks.0.conv3",))
    assert (
        caught.value.message == "stages.quantize.keep_float: no layer with weights `blocks.0.conv3`"
    )
    assert caught.value.hint.startswith("did you mean `blocks.0.conv")


def test_training_lowers_the_loss_and_leaves_the_program_alone(program: Program) -> None:
    before = {name: tensor.clone() for name, tensor in program.exported.state_dict.items()}
    prepared = calibrated(program).to(memory_format=torch.channels_last)
    x, y = pixels(32), torch.arange(32) % 4
    optimizer = torch.optim.SGD(prepared.parameters(), 0.05, momentum=0.9)
    losses = []
    prepared.train()
    for step in range(25):
        if step == 15:
            prepared.freeze_observers()
            frozen = [each.scale.clone() for each in prepared.roundings(ActivationFakeQuantize)]
        loss = torch.nn.functional.cross_entropy(prepared(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    scales = [each.scale for each in prepared.roundings(ActivationFakeQuantize)]
    assert all(torch.equal(now, then) for now, then in zip(scales, frozen, strict=True))
    assert describe(convert(prepared)).float_layers == ()
    assert all(torch.equal(program.exported.state_dict[name], was) for name, was in before.items())


def test_evaluation_moves_no_range(program: Program) -> None:
    prepared = calibrated(program)
    before = copy.deepcopy(prepared.state_dict())
    prepared.eval()(10 * pixels(8))
    assert all(torch.equal(value, before[key]) for key, value in prepared.state_dict().items())
    prepared.train()(10 * pixels(8))
    assert any(not torch.equal(v, before[key]) for key, v in prepared.state_dict().items())


def test_a_checkpoint_restores_a_prepared_network(program: Program, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    prepared = calibrated(program)
    save_file(prepared.state_dict(), tmp_path / "checkpoint.safetensors")
    other = prepare(program, Scheme())
    other.load_state_dict(load_file(tmp_path / "checkpoint.safetensors"))
    assert torch.equal(other(pixels(4)), prepared(pixels(4)))


def test_post_training_stays_close_and_says_what_the_correction_did(
    program: Program,
) -> None:
    said: list[str] = []
    quantized, _ = post_training(program, Scheme(), batches(32, 8), say=said.append)
    assert describe(quantized).float_layers == ()
    with torch.no_grad():
        exact, rounded = graph_of(program)(pixels(64)), graph_of(quantized)(pixels(64))
    assert float((rounded - exact).norm() / exact.norm()) < 0.1
    assert [line.split(" kept")[0].split(" undone")[0] for line in said] == list(TECHNIQUES)


def test_a_quantized_program_survives_the_disk_with_the_same_bytes(
    program: Program, tmp_path: Path
) -> None:
    digests = []
    for run in ("one", "two"):
        path = tmp_path / run
        program_file.save(convert(calibrated(program)), path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    loaded = graph_of(program_file.load(path))
    for batch in (1, 3):
        assert loaded(pixels(batch)).shape == (batch, 4)


class Joined(nn.Module):
    """A concatenation with what has a scale of its own: pixels, or a sigmoid's output."""

    def __init__(self, gated: bool) -> None:
        super().__init__()
        self.gated = gated
        self.wide, self.gate = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.last, self.linear = nn.Conv2d(11, 8, 3), nn.Linear(8, 4)
        nn.init.normal_(self.wide.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        narrow = torch.sigmoid(self.gate(x)) if self.gated else x
        joined = torch.cat([narrow, self.wide(x)], 1)
        found: torch.Tensor = self.linear(torch.relu(self.last(joined)).mean((2, 3)))
        return found


@pytest.mark.parametrize("gated", [False, True])
def test_a_fixed_scale_is_not_forced_on_what_it_is_joined_with(gated: bool) -> None:
    torch.manual_seed(0)
    model = Joined(gated).eval()
    program = fold(model, image_inputs(3, SIZE, SIZE))
    quantized = convert(calibrated(program))
    with torch.no_grad():
        wanted, found = model(pixels(64)), graph_of(quantized)(pixels(64))
    assert float((found - wanted).pow(2).mean().sqrt()) < 0.05 * float(wanted.std())
    assert describe(quantized).float_layers == ()


def test_what_has_no_weights_cannot_be_left_in_float(program: Program) -> None:
    with pytest.raises(UserError, match="no layer with weights `add`"):
        prepare(program, Scheme(), ("add",))


def error(model: nn.Module) -> float:
    """Of the int8 graph's answers, as a share of the float module's."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(module.weight)
    quantized = convert(calibrated(fold(model.eval(), image_inputs(3, SIZE, SIZE))))
    with torch.no_grad():
        wanted, found = model(pixels(64)), graph_of(quantized)(pixels(64))
    return float((found - wanted).norm() / wanted.norm())


class Between(nn.Module):
    """`change` between two convolutions, or between the pixels and the first."""

    def __init__(self, change: Change, before: int = 8, after: int = 8) -> None:
        super().__init__()
        self.change = change
        convolved = nn.Sequential(nn.Conv2d(3, before, 3, padding=1), nn.ReLU())
        self.first = convolved if before > 3 else nn.Identity()
        self.last, self.linear = nn.Conv2d(after, 8, 3), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.change(self.first(x))
        found: torch.Tensor = self.linear(torch.relu(self.last(x)).mean((2, 3)))
        return found


def pad(x: torch.Tensor, value: float) -> torch.Tensor:
    return functional.pad(x, (1, 1, 1, 1), value=value)


PADDED: dict[str, Change] = {
    "below a relu": lambda x: pad(x, -3.0),
    "above": lambda x: pad(x, 5.0),
    "two in a row": lambda x: pad(pad(x, -2.0), 4.0),
    "a sigmoid": lambda x: pad(torch.sigmoid(x), -1.0),
    "a softmax": lambda x: pad(torch.softmax(x, 1), 2.0),
    "a pooled": lambda x: functional.max_pool2d(pad(x, -2.0), 2, 1),
    "an infinite one for pooling": lambda x: functional.max_pool2d(pad(x, -torch.inf), 3, 1),
    "one that stands for infinity": lambda x: functional.max_pool2d(pad(x, -1e9), 3, 1),
    "reflected": lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"),
    "averages above their inputs": lambda x: functional.avg_pool2d(x, 3, 1, 1, divisor_override=1),
    "averages with padding": lambda x: functional.avg_pool2d(x + 3, 3, 1, 1),
    "a clamp": lambda x: x.clamp(0.2, 0.5),
}


@pytest.mark.parametrize(("name", "before"), [*((name, 8) for name in PADDED), ("above", 3)])
def test_what_padding_fills_in_is_within_the_range(name: str, before: int) -> None:
    assert error(Between(PADDED[name], before, before)) < 0.05


JOINED: dict[str, Change] = {
    "a constant plane": lambda x: torch.cat([x, torch.full_like(x[:, :1], -3.0)], 1),
    "a padded part": lambda x: torch.cat([pad(x[:, :1], -2.0), pad(x, 3.0)], 1),
    "a padding of what was joined": lambda x: pad(torch.cat([x, 0.05 * x[:, :1]], 1), -2.0),
    "small values": lambda x: torch.cat([x, 0.05 * x[:, :1]], 1),
}


@pytest.mark.parametrize(("name", "before"), [*((name, 3) for name in JOINED), ("small values", 8)])
def test_what_is_joined_shares_a_range_that_holds_it_all(name: str, before: int) -> None:
    assert error(Between(JOINED[name], before, before + 1)) < 0.05


def test_a_padding_with_infinity_fills_in_the_end_of_the_range() -> None:
    program = fold(
        Between(PADDED["an infinite one for pooling"]).eval(), image_inputs(3, SIZE, SIZE)
    )
    graph = graph_of(convert(calibrated(program)))
    (node,) = (node for node in graph.graph.nodes if padding_value(node) is not None)
    (quantize,) = node.users
    scale, zero_point, low, _ = quantize.args[1:5]
    assert padding_value(node) == pytest.approx((low - zero_point) * scale)


def test_a_mask_of_infinities_leaves_what_reads_it_in_float() -> None:
    mask = torch.triu(torch.full((SIZE, SIZE), -torch.inf), 1)

    def attend(x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x + mask, 3)

    model = Between(attend)
    assert error(model) < 0.05
    said = describe(convert(calibrated(fold(model, image_inputs(3, SIZE, SIZE)))))
    assert {"add", "softmax"} <= set(said.float_layers)


def test_added_constants_are_quantized_like_what_they_are_added_to() -> None:
    position = nn.Parameter(torch.linspace(-1, 1, SIZE).view(1, 1, 1, SIZE))
    quantized = convert(
        calibrated(fold(Between(lambda x: x + position).eval(), image_inputs(3, SIZE, SIZE)))
    )
    graph = graph_of(quantized)
    (sum_,) = (node for node in graph.graph.nodes if str(node.target) == "aten.add.Tensor")
    assert all("dequantize" in str(each.target) for each in sum_.all_input_nodes)


def test_a_padding_of_pixels_has_a_scale_of_its_own_and_its_sensitivity() -> None:
    prepared = calibrated(
        fold(Between(lambda x: pad(x, -1.0), 3, 3).eval(), image_inputs(3, SIZE, SIZE))
    )
    rows = sensitivity(prepared, (pixels(8),), lambda outputs: 0.0)
    assert {"pad", "last", "linear"} <= {row.layer for row in rows}
    assert describe(convert(prepared)).float_layers == ()


def test_an_operator_without_integer_form_is_float_between_quantized_neighbours() -> None:
    program = fold(Between(functional.gelu).eval(), image_inputs(3, SIZE, SIZE))
    assert describe(convert(calibrated(program))).float_layers == ("gelu",)


def test_silu_is_computed_in_integers() -> None:
    float_program = fold(Between(functional.silu).eval(), image_inputs(3, SIZE, SIZE))
    quantized = convert(calibrated(float_program))
    said = describe(quantized)
    assert said.float_layers == ()
    assert {"sigmoid", "mul"} <= {layer.operator for layer in said.layers}
    with torch.no_grad():
        wanted, found = (graph_of(each)(pixels(8)) for each in (float_program, quantized))
    assert float((wanted - found).abs().max()) < 0.05 * float(wanted.abs().max())


def test_a_graph_that_a_technique_does_not_take_is_quantized_without_it(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr("edgedistill.compress.post_training.reconstruct", refuse)
    said: list[str] = []
    quantized, rows = post_training(program, Scheme(), batches(16, 8), say=said.append)
    assert describe(quantized).float_layers == ()
    assert said[-1].startswith("bias correction skipped: NotImplementedError")
    assert [row.name for row in rows] == ["equalization", "ranges"]


def test_the_entries_of_a_tensor_keep_its_scale() -> None:
    """As the frames of a sequence: rounded once, not again for each."""

    class Frames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3 * SIZE, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, *_, last = x.flatten(1, 2).unbind(2)
            answer: torch.Tensor = self.linear(first) + self.linear(last)
            return answer

    torch.manual_seed(0)
    quantized = convert(calibrated(fold(Frames().eval(), image_inputs(3, SIZE, SIZE))))
    assert describe(quantized).float_layers == ()
