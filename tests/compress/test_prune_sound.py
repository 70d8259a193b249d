"""Models of sound lose channels, and their steps with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sound_models import BC_RESNET, CLASSES, DS_CNN, LENGTH, TRANSFORMER, built, model_of, waves
from torch import Tensor, nn

from edgedistill.compress.cost import PARAMS, measure
from edgedistill.compress.prune import importance, prune
from edgedistill.compress.trial import Trial
from edgedistill.models import count, describe, load, save
from edgedistill.models.programs import programs
from edgedistill.models.pruned import Step, dependency_graph
from edgedistill.models.sub_spectral import SubSpectralNorm
from edgedistill.models.work import products
from edgedistill.program import rollout
from edgedistill.signature import Signature, blank, sound_inputs

INPUTS = sound_inputs(LENGTH)
WIDE = BC_RESNET | {"scale": 1}


def halved(module: nn.Module, said: list[str] | None = None) -> list[Step]:
    (example,) = blank(INPUTS)
    score = importance("magnitude", module, [])
    say = (said if said is not None else []).append
    goal = {PARAMS: 0.6 * measure(module, example, [PARAMS])[PARAMS]}
    return prune(module, example, goal, score, 2, say=say)


def last_answer(module: nn.Module, heard: Tensor) -> Tensor:
    call, signature = programs(module, INPUTS)["step"]
    assert isinstance(signature, Signature)
    hop: Any = module.hop
    *_, (_, given) = rollout(call, signature, [(each,) for each in torch.split(heard, hop, 1)])
    return given[0]


@pytest.mark.parametrize(
    "values", [DS_CNN, DS_CNN | {"pool": "depthwise"}, WIDE], ids=["ds_cnn", "pool", "bc_resnet"]
)
def test_a_pruned_models_step_is_its_window(values: dict[str, Any], tmp_path: Path) -> None:
    module, heard, said = built(values), waves(2), list[str]()
    before = count(module, INPUTS)
    steps = halved(module, said)
    after = count(module, INPUTS)
    assert not said, "no layer stays whole"
    assert after[1] <= 0.6 * before[1] and after[0] < before[0]
    with torch.no_grad():
        wanted = module(heard)
        assert torch.allclose(last_answer(module, heard), wanted, atol=1e-5)
        save(module, tmp_path / "model", describe(model_of(values), CLASSES, INPUTS, steps))
        assert torch.equal(load(tmp_path / "model")(heard), wanted)


def test_a_transformer_is_pruned_as_far_as_it_goes() -> None:
    module, heard = built(TRANSFORMER), waves(2)
    before = count(module, INPUTS)
    halved(module)
    assert count(module, INPUTS)[1] < before[1]
    assert module(heard).shape == (2, CLASSES)


def test_a_sub_spectral_norm_loses_what_is_dropped_and_gets_it_back() -> None:
    module, heard = built(WIDE), waves(2)
    (example,) = blank(INPUTS)
    norm: Any = module.get_submodule("blocks.0.norm")
    assert isinstance(norm, SubSpectralNorm)
    with torch.no_grad():
        wanted = module(heard)
        graph = dependency_graph(module, example)
        layer = module.get_submodule("blocks.0.frequency")
        with Trial(module, graph):
            handler = graph.get_pruner_of_module(layer).prune_out_channels
            graph.get_pruning_group(layer, handler, [1, 5]).prune()
            assert norm.channels == 6 and norm.norm.weight.shape == (12,)
            assert module(heard).shape == wanted.shape
        assert norm.channels == 8 and torch.equal(module(heard), wanted)


@pytest.mark.parametrize("training", [False, True])
def test_a_sub_spectral_norm_is_a_batch_norm_of_each_part(training: bool) -> None:
    torch.manual_seed(0)
    norm = SubSpectralNorm(3, 2)
    with torch.no_grad():
        for each in (norm.norm.weight, norm.norm.bias, norm.norm.running_mean):
            assert each is not None
            each.normal_()
    x, wanted = torch.randn(2, 3, 5, 4), []
    for part, piece in enumerate(torch.split(x, 2, 3)):
        own = nn.BatchNorm2d(3)
        own.load_state_dict(
            {name: value if value.dim() == 0 else value.reshape(3, 2)[:, part]
             for name, value in norm.norm.state_dict().items()}
        )  # fmt: skip
        wanted.append(own.train(training)(piece))
    assert torch.allclose(norm.train(training)(x), torch.cat(wanted, 3), atol=1e-6)


def test_the_front_ends_products_are_counted_and_no_layers() -> None:
    module = built(DS_CNN)
    (example,) = blank(INPUTS)
    found = products(module, example)
    nameless = sum(each.macs for each in found if not each.weight)
    # 34 frames of 240 samples: 20 x 12 places of which 11 are computed, and the bands.
    front_end: Any = module.get_submodule("front_end")
    bands = sum(front_end.get_buffer(f"bands{n}").numel() for n in range(len(front_end.columns)))
    assert nameless == 34 * (12 * 20 * 22 + 22 * 12 * 24 + bands)
    assert count(module, INPUTS)[0] * 1e6 == sum(each.macs for each in found)
