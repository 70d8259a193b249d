from __future__ import annotations

from typing import Any

import pytest
import torch
from networks import SIZE, Mobile, batches, normalized

from edgedistill.compress.fake_quantize import WeightFakeQuantize
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import Prepared, calibrate, prepare
from edgedistill.compress.reconstruct import _descend, reconstruct
from edgedistill.program import value
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme


def weights(prepared: Prepared) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Each weight, and its scales."""
    found = {}
    for node in prepared.graph.graph.nodes:
        rounding: Any = (
            prepared.graph.get_submodule(node.target) if node.op == "call_module" else None
        )
        weight = value(prepared.graph, node.args[0]) if rounding is not None else None
        if weight is not None and isinstance(rounding, WeightFakeQuantize):
            rounding(weight)
            found[str(node.args[0].target)] = weight.clone(), rounding.scale.clone()
    return found


@pytest.mark.parametrize(
    "scheme",
    [
        Scheme(),
        Scheme(weight_bits=7),
        Scheme(per_channel=False),
        Scheme(weight_symmetric=False, per_channel=False),
    ],
)
def test_learned_weights_stay_within_one_step_and_keep_their_scales(scheme: Scheme) -> None:
    prepared = prepare(fold(normalized(Mobile()), image_inputs(3, SIZE, SIZE)), scheme)
    calibrate(prepared, batches(32, 16))
    before = weights(prepared)
    reconstruct(prepared, batches(32, 16), rounding=True, biases=False)
    after = weights(prepared)
    assert any(not torch.equal(after[name][0], before[name][0]) for name in before)
    for name, (was, scale) in before.items():
        now, scale_now = after[name]
        step = scale.view(-1, *[1] * (was.dim() - 1)) if len(scale) > 1 else scale
        assert torch.equal(scale, scale_now)
        assert float(((now - was).abs() / step).max()) < 1.001


def test_a_descent_ends_no_worse_than_it_began() -> None:
    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        exact = torch.randn(40, 12, generator=random)
        given = exact + 0.1 * torch.randn(40, 12, generator=random)
        wanted = torch.randn(5, 12, generator=random)
        up, down, start = wanted.ceil(), wanted.floor(), wanted.round()
        found = _descend(wanted, start, up, down, given.T @ given, exact.T @ given)
        errors = [(exact @ wanted.T - given @ each.T).square().sum(0) for each in (start, found)]
        assert bool((errors[1] <= errors[0] * (1 + 1e-5)).all())
        assert bool(((found == up) | (found == down)).all())
        assert float(errors[1].sum()) < float(errors[0].sum())


def test_a_corrected_bias_takes_the_mean_error_away() -> None:
    prepared = prepare(
        fold(normalized(Mobile()), image_inputs(3, SIZE, SIZE)), Scheme(per_channel=False)
    )
    calibrate(prepared, batches(64, 16))
    samples = batches(64, 16)
    rounded = torch.cat([prepared(*each) for each in samples])
    for each in prepared.roundings():
        each.disable_fake_quant()
    exact = torch.cat([prepared(*each) for each in samples])
    for each in prepared.roundings():
        each.enable_fake_quant()
    reconstruct(prepared, samples, rounding=False, biases=True)
    corrected = torch.cat([prepared(*each) for each in samples])
    before, after = ((each - exact).mean(0).abs().max() for each in (rounded, corrected))
    assert float(after) < float(before)
