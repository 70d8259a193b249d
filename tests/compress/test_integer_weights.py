"""Weights in int8, activations in float."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from looked_up import SIGNATURE, LookedUp, tokens
from torch import nn

from edgedistill import program_file
from edgedistill.compress.fold import fold
from edgedistill.compress.weights import check_kept, integer_weights, rounded, sizes
from edgedistill.errors import UserError
from edgedistill.models.programs import Method
from edgedistill.program import Program, export, graph_of
from edgedistill.runtimes.program import rounds_weights_alone, unpack_weights
from edgedistill.signature import TensorSpec


@pytest.fixture(scope="module")
def plain() -> Program:
    return fold(LookedUp(), SIGNATURE)


@pytest.fixture(scope="module")
def program(plain: Program) -> Program:
    return integer_weights(plain, least=0)


def answer(program: Program, *inputs: Any) -> Any:
    with torch.no_grad():
        return graph_of(program)(*inputs)


def stored(program: Program) -> dict[str, torch.Tensor]:
    graph = graph_of(program)
    return {**dict(graph.named_parameters()), **dict(graph.named_buffers())}


@given(arrays(np.float32, (3, 5), elements=st.floats(-1e6, 1e6, width=32)))
@example(np.full((3, 5), 1.319e-42, np.float32))
def test_a_weight_is_rounded_to_within_half_a_step(weight: Any) -> None:
    steps, scales = rounded(torch.from_numpy(weight))
    assert steps.dtype == torch.int8 and int(steps.abs().max()) <= 127
    apart = (steps * scales[:, None] - torch.from_numpy(weight)).abs().amax(1)
    assert (apart <= scales * 0.5001).all()


@settings(max_examples=5, deadline=None)
@given(arrays(np.float32, (4, 6), elements=st.floats(-10, 10, width=32)))
def test_a_layer_answers_within_what_rounding_allows(weight: Any) -> None:
    layer = nn.Linear(6, 4)
    layer.weight.data = torch.from_numpy(weight)
    made = integer_weights(export(layer, (TensorSpec("x", (None, 6)),)), least=0)
    x = torch.rand(5, 6)
    _, scales = rounded(layer.weight)
    allowed = 0.5001 * x.sum(1, keepdim=True) * scales + 1e-4
    assert ((answer(made, x) - layer(x)).abs() <= allowed).all()


def test_the_whole_answers_nearly_the_same(plain: Program, program: Program) -> None:
    assert rounds_weights_alone(program) and not rounds_weights_alone(plain)
    found, wanted = answer(program, tokens()), answer(plain, tokens())
    assert (found - wanted).abs().max() < 0.03 * wanted.abs().max()


def test_a_table_that_is_a_layer_too_is_stored_once(program: Program) -> None:
    tables = [name for name, each in stored(program).items() if each.shape == (40, 16)]
    assert tables == ["table.weight_int8"]
    assert not any(
        each.dtype == torch.float32 and each.dim() > 1 for each in stored(program).values()
    )


def test_a_lookup_reads_one_row(program: Program) -> None:
    graph = graph_of(program).graph
    lookup = next(node for node in graph.nodes if "embedding" in str(node.target))
    assert lookup.meta["val"].dtype == torch.int8


def test_what_is_named_stays_in_float(plain: Program) -> None:
    kept = integer_weights(plain, ("body", "table"), least=0)
    held = stored(kept)
    assert held["body.0.weight"].dtype == held["table.weight"].dtype == torch.float32
    assert torch.equal(held["body.2.weight"], stored(plain)["body.2.weight"])
    assert held["last.weight_int8"].dtype == torch.int8
    assert set(sizes(plain)) == {"table", "body.0", "body.2", "last"}


def test_a_program_that_was_not_folded_has_its_names_without_the_wrapper() -> None:
    model = LookedUp()
    made = export(Method(model, model.forward), SIGNATURE)
    assert set(sizes(made)) == {"table", "body.0", "body.2", "last"}
    kept = integer_weights(made, ("last",), least=0)
    assert stored(kept)["model.last.weight"].dtype == torch.float32


def test_small_weights_stay(plain: Program) -> None:
    held = stored(integer_weights(plain, least=600))
    assert [name for name in held if name.endswith("_int8")] == ["table.weight_int8"]


def test_a_name_that_is_none_is_told(plain: Program) -> None:
    check_kept([plain], ("body", "body.0", "table"))
    with pytest.raises(UserError, match="no layer with weights `bodi`"):
        check_kept([plain], ("bodi",))


def test_a_weight_that_something_else_reads_stays() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) + self.linear.weight.sum()

    made = export(Shared(), (TensorSpec("x", (None, 4)),))
    assert not sizes(made) and not rounds_weights_alone(integer_weights(made, least=0))


def test_convolutions_and_tokens_of_several_axes() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.conv = nn.Embedding(9, 8), nn.Conv1d(8, 6, 3, padding=1)

        def forward(self, token: torch.Tensor) -> torch.Tensor:
            return self.conv(self.table(token).transpose(1, 2)).mean(2)

    net = Net()
    made = integer_weights(export(net, (TensorSpec("t", (None, 5), dtype="int32"),)), least=0)
    token = torch.randint(0, 9, (3, 5), dtype=torch.int32)
    assert {"table.weight_int8", "conv.weight_int8"} <= set(stored(made))
    torch.testing.assert_close(answer(made, token), net(token), rtol=0, atol=0.02)


def test_it_is_saved_and_read(program: Program, tmp_path: Any) -> None:
    program_file.save(program, tmp_path / "p.safetensors")
    again = program_file.load(tmp_path / "p.safetensors")
    assert torch.equal(answer(again, tokens()), answer(program, tokens()))


def test_unpacked_it_answers_to_the_bit(program: Program) -> None:
    plain, weights = unpack_weights(program)
    assert torch.equal(answer(plain, tokens()), answer(program, tokens()))
    assert [each.name for each in weights] == [
        "body.0.weight", "body.2.weight", "last.weight", "table.weight",
    ]  # fmt: skip


@pytest.mark.parametrize(("bits", "most"), [(8, 127), (7, 63)])
def test_steps_of_a_weight(bits: int, most: int) -> None:
    weight = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    steps, scales = rounded(weight, bits)
    assert steps.abs().amax(1).tolist() == [most] * 5
    assert bool(((steps * scales[:, None] - weight).abs() <= 0.5001 * scales[:, None]).all())
