from __future__ import annotations

import copy
from typing import Any

import nets
import pytest
import torch
from torch import Tensor, nn

from edgedistill.compress import cost, prune
from edgedistill.compress.cost import MACS, measure
from edgedistill.compress.prune import importance
from edgedistill.compress.trial import Trial, cut, that_can_go
from edgedistill.models.pruned import dependency_graph

EXAMPLE = torch.zeros(1, 3, 16, 16)
BODIES: dict[str, Any] = {
    "called three times": nets.Thrice,
    "grouped": nets.Residual,
    "shuffled": nets.Shuffled,
    "attention": nets.Attentive,
    "recurrent": nets.Recurrent,
}


class Embedded(nn.Module):
    """Adds a parameter of its own, which a cut replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(16, 16, 1)
        self.added = nn.Parameter(torch.rand(1, 16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x) + self.added
        return found


def net(body: nn.Module, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nets.Net(body, last=16).eval()


def shapes(graph: Any) -> list[tuple[Any, ...]]:
    """What a dependency graph knows of every node's width."""
    return [
        (id(node), id(node.module), graph.get_out_channels(node), str(node.module))
        for node in graph.module2node.values()
    ]


@pytest.mark.parametrize("body", [*BODIES.values(), Embedded], ids=[*BODIES, "parameter"])
def test_what_was_cut_on_trial_is_put_back(body: Any) -> None:
    model = net(body())
    graph: Any = dependency_graph(model, EXAMPLE)
    pixels = torch.rand(2, 3, 16, 16)
    before, tensors = model(pixels), {name: id(each) for name, each in model.named_parameters()}
    known = shapes(graph)
    for _ in range(2):
        with Trial(model, graph):
            assert cut(model, graph, {"stem.0": [0, 1, 2, 3]}) == [("stem.0", True, [0, 1, 2, 3])]
            assert model.get_submodule("stem.0").out_channels == 12
        assert {name: id(each) for name, each in model.named_parameters()} == tensors
        assert shapes(graph) == known
        assert graph.pruning_history() == []
        assert torch.equal(model(pixels), before)


def test_a_trial_that_fails_is_put_back_and_one_that_is_kept_is_not() -> None:
    model = net(nets.Residual())
    graph: Any = dependency_graph(model, EXAMPLE)
    first = model.get_submodule("stem.0")
    with pytest.raises(KeyError), Trial(model, graph):
        raise KeyError(cut(model, graph, {"stem.0": [0]}))
    assert first.out_channels == 16
    with Trial(model, graph) as trial:
        cut(model, graph, {"stem.0": [0, 4]})
        trial.keep()
    assert first.out_channels == 14
    assert model(EXAMPLE).shape == (1, 10)


def test_hooks_can_still_be_removed_after_a_trial() -> None:
    model = net(nets.Residual())
    graph: Any = dependency_graph(model, EXAMPLE)
    seen: list[int] = []
    handle = model.get_submodule("stem.0").register_forward_hook(lambda *_: seen.append(1))
    with Trial(model, graph):
        cut(model, graph, {"stem.0": [0]})
    handle.remove()
    model(EXAMPLE)
    assert seen == []


def test_finding_what_can_go_leaves_the_weights_to_the_bit() -> None:
    model = net(nn.Sequential(nets.Mixing(), nets.Residual(groups=1)))
    weights = copy.deepcopy(model.state_dict())
    graph: Any = dependency_graph(model, EXAMPLE)
    score = importance("magnitude", model, [])
    found, _, whole = prune.candidates(model, graph, [], score, 4)
    kept = that_can_go(model, graph, EXAMPLE, found, whole)
    assert 0 < len(kept) < len(found)
    assert "loses track" in whole["body.0.first.0"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_pruning_builds_one_graph_and_counts_work_before_and_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = dict.fromkeys(("dependency_graph", "products"), 0)

    def counting(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*args: Any) -> Any:
            counted[name] += 1
            return real(*args)

        monkeypatch.setattr(module, name, call)

    model = net(nn.Sequential(nets.Mixing(), nets.Residual(groups=1)))
    goal = {MACS: measure(model, EXAMPLE, [MACS])[MACS] * 0.9}
    score = importance("magnitude", model, [])
    counting(prune, "dependency_graph")
    counting(cost, "products")
    monkeypatch.setattr(
        nn.Module, "__deepcopy__", lambda *_: pytest.fail("a model was copied"), raising=False
    )
    prune.prune(model, EXAMPLE, goal, score, 4)
    assert counted == {"dependency_graph": 1, "products": 2}
