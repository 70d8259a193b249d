from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.compress.surgeon import narrowed


def fed(inputs, rows=400, seed=0, mixed=True):
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randn(rows, inputs, generator=random)
    return drawn @ torch.randn(inputs, inputs, generator=random) if mixed else drawn


def error(weight, given_, kept, fitted):
    whole, rest = given_ @ weight.T, given_[:, kept] @ fitted.T
    return float(((whole - rest) ** 2).sum() / (whole**2).sum())


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 12), st.integers(1, 3), st.integers(0, 99), st.data())
def test_the_weights_are_the_least_squares_fit_of_what_stays(groups, group, seed, data):
    keep = data.draw(st.integers(1, groups))
    inputs = groups * group
    given_, weight = fed(inputs, seed=seed), torch.randn(5, inputs)
    found = narrowed(weight, given_.T @ given_, keep, group)
    assert len(found.kept) == keep * group
    assert (found.kept.reshape(-1, group) % group == torch.arange(group)).all()
    best = torch.linalg.lstsq(given_[:, found.kept], given_ @ weight.T).solution.T
    least = error(weight, given_, found.kept, best)
    assert error(weight, given_, found.kept, found.weight) == pytest.approx(least, abs=5e-3)
    assert found.error == pytest.approx(least, abs=5e-3)


def test_an_input_that_another_repeats_goes_and_nothing_is_lost():
    given_ = fed(6, mixed=False)
    given_[:, 4] = 3 * given_[:, 1]
    found = narrowed(torch.randn(4, 6), given_.T @ given_, 5)
    assert {1, 4} - set(found.kept.tolist())
    assert found.error < 1e-4


def test_the_choice_is_near_the_best_of_all():
    given_, weight = fed(8, seed=3), torch.randn(3, 8, generator=torch.Generator().manual_seed(3))
    found = narrowed(weight, given_.T @ given_, 4)
    errors = []
    for kept in combinations(range(8), 4):
        fitted = torch.linalg.lstsq(given_[:, list(kept)], given_ @ weight.T).solution.T
        errors.append(error(weight, given_, list(kept), fitted))
    assert found.error <= sorted(errors)[3] + 1e-3


def test_what_is_never_fed_goes_first():
    given_ = fed(6, mixed=False)
    given_[:, [0, 3]] = 0
    found = narrowed(torch.randn(4, 6), given_.T @ given_, 4)
    assert found.kept.tolist() == [1, 2, 4, 5]
    assert found.error < 1e-4
