from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.losses.relations import angles, distances
from edgedistill.losses.similarity import similarity


def random(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


TERMS = pytest.mark.parametrize("term", [distances, angles, similarity])


@TERMS
def test_the_same_relations_cost_nothing_at_any_scale(term) -> None:  # type: ignore[no-untyped-def]
    points = random(0, 6, 4)
    assert term(points * 3, points) < 1e-12


@TERMS
def test_sides_may_have_different_widths(term) -> None:  # type: ignore[no-untyped-def]
    assert term(random(0, 6, 4), random(1, 6, 9)) > 0


@TERMS
def test_gradients_are_right(term) -> None:  # type: ignore[no-untyped-def]
    teacher = random(1, 5, 3)
    student = random(0, 5, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda own: term(own, teacher), student, atol=1e-4)


@TERMS
def test_samples_that_coincide_have_a_finite_gradient(term) -> None:  # type: ignore[no-untyped-def]
    student = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    term(student, random(1, 4, 3)).backward()
    assert student.grad is not None and student.grad.isfinite().all()


@given(st.floats(0, 2 * math.pi))
def test_distances_and_angles_ignore_rotation(turn: float) -> None:
    points = random(0, 6, 2)
    c, s = math.cos(turn), math.sin(turn)
    rotation = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    assert distances(points @ rotation, points) < 1e-12
    assert angles(points @ rotation, points) < 1e-12
