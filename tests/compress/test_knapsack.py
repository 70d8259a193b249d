from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prices import Steps

from edgedistill.compress.candidates import Block, Candidate, Touch
from edgedistill.compress.cost import MACS, PARAMS, Costs, Figure, Layer, over, priced
from edgedistill.compress.knapsack import Knapsack
from edgedistill.models.work import Product

Net = tuple[list[int], dict[str, Layer], list[Candidate]]


def chain(widths: Sequence[int], round_to: int = 4, seed: int = 0) -> Net:
    """Convolutions one after the other, from 3 channels to 10 outputs that stay."""
    random = np.random.default_rng(seed)
    sizes = [3, *widths, 10]
    layers = {}
    for at, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        call = Product(1, outputs, inputs, 9, 64, f"{at}.weight")
        whole = (outputs, inputs)
        layers[str(at)] = Layer([call], 9.0 * inputs * outputs, outputs, whole, *whole, False)
    found = []
    for at, width in enumerate(widths):
        scores = np.sort(random.exponential(size=width))
        bounds = [0, *range(width % round_to or round_to, width - round_to + 1, round_to)]
        blocks = [
            Block(list(range(a, b)), float(scores[a:b].sum()))
            for a, b in itertools.pairwise(bounds)
        ]
        touches = [Touch(str(at), True, 1.0), Touch(str(at + 1), False, 1.0)]
        found.append(Candidate(str(at), blocks, touches, width))
    return list(widths), layers, found


def costs_of(net: Net, figures: Sequence[Figure], gone: Mapping[str, int]) -> Costs:
    """Of the net without so many channels of each layer, counted from scratch."""
    left = [3, *(width - gone.get(str(at), 0) for at, width in enumerate(net[0])), 10]
    total = dict.fromkeys(figures, 0.0)
    for inputs, outputs in itertools.pairwise(left):
        call = Product(1, outputs, inputs, 9, 64)
        for each in figures:
            weights = each.weight * 9 * inputs * outputs + each.vector * outputs
            total[each] += each.of(call) + weights
    return total


def knapsack(net: Net, figures: Sequence[Figure]) -> Knapsack:
    return Knapsack(costs_of(net, figures, {}), net[1], net[2])


def gone(choice: Knapsack) -> dict[str, int]:
    return {root: len(channels) for root, channels in choice.chosen.items()}


WIDTHS = st.lists(st.integers(2, 12).map(lambda blocks: 4 * blocks), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(widths=WIDTHS, seed=st.integers(0, 99), share=st.floats(0.3, 1.0), both=st.booleans())
def test_the_choice_is_within_its_limits_as_counted_from_scratch(
    widths: list[int], seed: int, share: float, both: bool
) -> None:
    net, price = chain(widths, seed=seed), priced(Steps())
    figures = (price, PARAMS) if both else (price,)
    limits = {each: share * cost for each, cost in costs_of(net, figures, {}).items()}
    choice = knapsack(net, figures)
    reached = choice.fill(limits)
    assert choice.costs == pytest.approx(costs_of(net, figures, gone(choice)))
    assert reached is not bool(over(choice.costs, limits))
    for at, width in enumerate(widths):
        assert (width - gone(choice).get(str(at), 0)) % 4 == 0


@settings(deadline=None, max_examples=60)
@given(widths=WIDTHS, seed=st.integers(0, 99), share=st.floats(0.3, 1.0))
def test_what_is_cut_is_cut_to_whole_steps_of_the_device(
    widths: list[int], seed: int, share: float
) -> None:
    net, price = chain(widths, seed=seed), priced(Steps())
    choice = knapsack(net, [price])
    choice.fill({price: share * choice.costs[price]})
    for at, channels in gone(choice).items():
        assert (net[0][int(at)] - channels) % 16 == 0


def best(net: Net, limits: Costs) -> float:
    """The least importance that can be lost, of all choices there are."""
    counts = [range(len(each.blocks) + 1) for each in net[2]]
    losses = []
    for cuts in itertools.product(*counts):
        parts = list(zip(net[2], cuts, strict=True))
        channels = {each.root: sum(len(b.channels) for b in each.blocks[:cut])
                    for each, cut in parts}  # fmt: skip
        if not over(costs_of(net, list(limits), channels), limits):
            losses.append(sum(b.importance for each, cut in parts for b in each.blocks[:cut]))
    return min(losses)


def test_the_choice_is_near_the_best_there_is() -> None:
    ratios = []
    for seed, share in itertools.product(range(8), (0.4, 0.6, 0.8)):
        net = chain((24, 32, 28), seed=seed)
        for figure in (MACS, priced(Steps())):
            choice = knapsack(net, [figure])
            limits = {figure: share * choice.costs[figure]}
            assert choice.fill(limits)
            ratios.append(choice.lost / best(net, limits))
    assert min(ratios) > 1 - 1e-9
    assert np.mean(ratios) < 1.02 and max(ratios) < 1.3


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 99), low=st.floats(0.35, 1.0), high=st.floats(0.35, 1.0))
def test_a_larger_budget_keeps_at_least_as_much_of_one_layer(
    seed: int, low: float, high: float
) -> None:
    net, price = chain([48], seed=seed), priced(Steps())
    kept = []
    for share in sorted((low, high)):
        choice = knapsack(net, [price])
        choice.fill({price: share * choice.costs[price]})
        kept.append(-choice.lost)
    assert kept[0] <= kept[1]


def test_fewer_channels_that_cost_more_are_found_and_refused() -> None:
    # 48 channels are three steps; 44 and 40 leave a tail for which the device has no kernel.
    net, price = chain([48, 32]), priced(Steps(tail=1.5))
    choice = knapsack(net, [price])
    found = {(root, width): (larger, costs, others)
             for root, width, larger, costs, others in choice.useless()}  # fmt: skip
    larger, costs, others = found["0", 40]
    assert larger == 48 and costs[price] > others[price]
    assert costs_of(net, [MACS], {"0": 8})[MACS] < costs_of(net, [MACS], {})[MACS]
    assert ("0", 32) not in found
    assert choice.fill({price: 0.99 * choice.costs[price]})
    assert all((net[0][int(at)] - channels) % 16 == 0 for at, channels in gone(choice).items())


def test_a_larger_budget_keeps_no_less_of_several_layers() -> None:
    for seed, figure in itertools.product(range(6), (MACS, priced(Steps()))):
        net = chain((24, 56, 32, 40), round_to=8, seed=seed)
        lost = []
        for share in (0.35, 0.5, 0.65, 0.8, 0.95):
            choice = knapsack(net, [figure])
            assert choice.fill({figure: share * choice.costs[figure]})
            lost.append(choice.lost)
        assert lost == sorted(lost, reverse=True)
