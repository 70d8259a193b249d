from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgedistill.program import answers, export, graph_of, placeholders, results, rollout, value
from edgedistill.signature import Signature, TensorSpec, image_inputs

PICTURE = image_inputs(3, 8, 8)[0]
VECTOR = TensorSpec("vector", (None, 5), "NC")
FEATURES, LOGITS = TensorSpec("features", (None, 4), "NC"), TensorSpec("logits", (None, 2), "NC")
SEVERAL = Signature((PICTURE, VECTOR), (FEATURES, LOGITS))


class Several(nn.Module):
    """A picture and a vector to features and logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(9, 2)

    def forward(self, pixels: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.relu(self.conv(pixels)).mean((2, 3))
        return features, self.linear(torch.cat([features, vector], 1))


class AnyNumber(Several):
    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().forward(*given)


@pytest.mark.parametrize("kind", [Several, AnyNumber])
def test_several_inputs_and_outputs_are_exported_for_any_batch(kind: type[nn.Module]) -> None:
    module = kind().eval()
    program = export(module, SEVERAL)
    assert program.signature == SEVERAL
    graph = graph_of(program)
    for batch in (1, 2, 5):
        given = torch.rand(batch, 3, 8, 8), torch.rand(batch, 5)
        for found, wanted in zip(graph(*given), module(*given), strict=True):
            assert torch.equal(found, wanted)


def test_inputs_and_outputs_are_in_the_signatures_order() -> None:
    graph = graph_of(export(Several().eval(), SEVERAL))
    assert [node.meta["val"].shape[1:] for node in placeholders(graph)] == [(3, 8, 8), (5,)]
    assert [node.meta["val"].shape[1] for node in results(graph)] == [4, 2]


def test_a_single_result_is_one_too() -> None:
    graph = graph_of(export(nn.Conv2d(3, 4, 3).eval(), image_inputs(3, 8, 8)))
    (only,) = results(graph)
    assert "conv2d" in str(only.target)


def test_inputs_alone_stand_for_logits() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    program = export(model, image_inputs(3, 8, 8))
    assert program.signature == Signature(
        image_inputs(3, 8, 8), (TensorSpec("logits", (None, 4), "NC"),)
    )


def test_a_size_that_is_given_stays() -> None:
    """A state of one stream: no batch in it."""

    class Step(nn.Module):
        def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            return x + state, x * 2

    fixed = TensorSpec("x", (1, 4)), TensorSpec("state", (1, 4))
    graph = graph_of(export(Step(), Signature(fixed, fixed)))
    shapes = [tuple(node.meta["val"].shape) for node in placeholders(graph)]
    assert shapes == [(1, 4), (1, 4)]


def test_weights_in_another_order_in_memory_are_laid_out_anew() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3)).to(memory_format=torch.channels_last)
    weights = [
        each
        for each in export(model.eval(), image_inputs(3, 8, 8)).exported.state_dict.values()
        if each.ndim == 4
    ]
    assert len(weights) == 1 and all(each.is_contiguous() for each in weights)


def test_what_a_call_gives_is_a_tuple() -> None:
    one, other = torch.zeros(2), torch.ones(2)
    assert answers(one) == (one,)
    assert answers([one, other]) == answers((one, other)) == (one, other)


def test_only_stored_values_are_looked_up() -> None:
    graph = graph_of(export(Several().eval(), SEVERAL))
    weights = {
        str(node.target): value(graph, node) for node in graph.graph.nodes if node.op == "get_attr"
    }
    assert set(weights) == {"conv.weight", "conv.bias", "linear.weight", "linear.bias"}
    weight = weights["linear.weight"]
    assert weight is not None and weight.shape == (2, 9) and not weight.requires_grad
    assert value(graph, placeholders(graph)[0]) is None
    assert value(graph, 3.0) is None


class Running(nn.Module):
    """Gives the sum of all that it was given, which it keeps, beside what it keeps of the last."""

    def forward(self, total: Tensor, x: Tensor, last: Tensor) -> tuple[Tensor, ...]:
        return total + x, x - last, x


RUNNING = Signature(
    tuple(TensorSpec(name, (None, 2)) for name in ("total", "x", "last")),
    tuple(TensorSpec(name, (None, 2)) for name in ("sum", "change", "kept")),
    {"sum": "total", "kept": "last"},
)


@pytest.mark.parametrize("exported", [False, True])
def test_a_step_is_fed_what_the_one_before_gave(exported: bool) -> None:
    call: Any = graph_of(export(Running(), RUNNING)) if exported else Running()
    pieces = [(torch.full((3, 2), float(each)),) for each in (1, 5, 2)]
    steps = list(rollout(call, RUNNING, iter(pieces)))
    totals = [[float(each[0, 0]) for each in given] for given, _ in steps]
    assert totals == [[0, 1, 0], [1, 5, 1], [6, 2, 5]]
    outputs = [[float(each[0, 0]) for each in given] for _, given in steps]
    assert outputs == [[1, 1, 1], [6, 4, 5], [8, -3, 2]]
    assert all(each.shape == (3, 2) for given, _ in steps for each in given)


def test_without_a_state_each_step_stands_alone() -> None:
    stateless = Signature(RUNNING.inputs[1:2], RUNNING.outputs[:1])
    pieces = [(torch.full((1, 2), float(each)),) for each in (1, 2)]
    found = [float(given[0][0, 0]) for _, given in rollout(torch.neg, stateless, pieces)]
    assert found == [-1, -2]


def test_nothing_comes_of_an_empty_sequence() -> None:
    assert list(rollout(Running(), RUNNING, [])) == []
