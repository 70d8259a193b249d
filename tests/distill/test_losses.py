from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional as F

from edgedistill.distill.losses import needs_teacher, soft_targets, total
from edgedistill.recipe import Labels, SoftTargets

logits = hnp.arrays("float32", (4, 5), elements=st.floats(-8, 8, width=32))
temperatures = st.floats(0.5, 20)


@given(logits, logits, temperatures)
def test_soft_targets_are_never_negative(student, teacher, temperature) -> None:  # type: ignore[no-untyped-def]
    value = soft_targets(torch.tensor(student), torch.tensor(teacher), temperature)
    assert value >= -1e-4


@given(logits, temperatures)
def test_soft_targets_vanish_for_a_perfect_copy(teacher, temperature) -> None:  # type: ignore[no-untyped-def]
    copy = torch.tensor(teacher, requires_grad=True)
    value = soft_targets(copy, torch.tensor(teacher), temperature)
    value.backward()
    assert value.abs() < 1e-4
    assert copy.grad is not None and copy.grad.abs().max() < 1e-4


@given(logits, logits, st.floats(-50, 50))
def test_soft_targets_ignore_a_constant_added_to_logits(student, teacher, shift) -> None:  # type: ignore[no-untyped-def]
    plain = soft_targets(torch.tensor(student), torch.tensor(teacher), 3.0)
    moved = soft_targets(torch.tensor(student) + shift, torch.tensor(teacher) - shift, 3.0)
    assert torch.allclose(plain, moved, atol=1e-3)


def test_soft_targets_gradient_is_the_difference_of_softened_probabilities() -> None:
    torch.manual_seed(0)
    student = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(6, 4, dtype=torch.float64)
    soft_targets(student, teacher, 3.0).backward()
    wanted = 3.0 * (F.softmax(student / 3, 1) - F.softmax(teacher / 3, 1)) / 6
    assert student.grad is not None and torch.allclose(student.grad, wanted)


def test_at_high_temperature_it_is_half_the_squared_error_of_centred_logits() -> None:
    torch.manual_seed(1)
    student = torch.randn(3, 4, dtype=torch.float64)
    teacher = torch.randn(3, 4, dtype=torch.float64)
    a, b = (x - x.mean(1, keepdim=True) for x in (student, teacher))
    wanted = ((a - b) ** 2).sum(1).mean() / (2 * 4)
    assert soft_targets(student, teacher, 1e4) == pytest.approx(float(wanted), rel=1e-3)


def test_total_is_the_weighted_sum() -> None:
    torch.manual_seed(2)
    student, teacher, target = torch.randn(5, 3), torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    losses = (
        SoftTargets(kind="soft_targets", weight=0.7, temperature=2.0),
        Labels(kind="labels", weight=0.3, smoothing=0.1),
    )
    wanted = 0.7 * soft_targets(student, teacher, 2.0) + 0.3 * F.cross_entropy(
        student, target, label_smoothing=0.1
    )
    assert torch.allclose(total(losses, student, target, teacher), wanted)


def test_a_loss_without_weight_needs_no_teacher() -> None:
    assert not needs_teacher([SoftTargets(kind="soft_targets", weight=0), Labels(kind="labels")])
    assert needs_teacher([SoftTargets(kind="soft_targets")])
