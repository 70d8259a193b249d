from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional as F

from edgedistill.losses import needs_answers, needs_layers
from edgedistill.losses.bounded import bounded
from edgedistill.losses.decoupled import decoupled
from edgedistill.recipe import Hints, Labels, Relations, SoftTargets
from edgedistill.tasks import TASKS
from edgedistill.tasks.classification import cross_entropy, soft_targets, z_score
from edgedistill.tasks.multilabel import binary, binary_cross_entropy
from edgedistill.tasks.regression import squared

logits = hnp.arrays("float32", (4, 5), elements=st.floats(-8, 8, width=32))
temperatures = st.floats(0.5, 20)
TARGET = torch.tensor([0, 3, 4, 1])


def random(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@given(logits, logits, temperatures, st.booleans())
def test_soft_targets_are_never_negative(
    student: Any, teacher: Any, temperature: float, standardize: bool
) -> None:
    value = soft_targets(torch.tensor(student), torch.tensor(teacher), temperature, standardize)
    assert value.shape == (4,)
    assert value.min() >= -1e-3


@given(logits, temperatures)
def test_soft_targets_vanish_for_a_perfect_copy(teacher: Any, temperature: float) -> None:
    copy = torch.tensor(teacher, requires_grad=True)
    value = soft_targets(copy, torch.tensor(teacher), temperature).mean()
    value.backward()
    assert value.abs() < 1e-3
    assert copy.grad is not None and copy.grad.abs().max() < 1e-3


@given(logits, logits, st.floats(-50, 50))
def test_soft_targets_ignore_a_constant_added_to_logits(
    student: Any, teacher: Any, shift: float
) -> None:
    plain = soft_targets(torch.tensor(student), torch.tensor(teacher), 3.0)
    moved = soft_targets(torch.tensor(student) + shift, torch.tensor(teacher) - shift, 3.0)
    assert torch.allclose(plain, moved, atol=2e-3)


def test_soft_targets_gradient_is_the_difference_of_softened_probabilities() -> None:
    student, teacher = random(0, 6, 4).requires_grad_(), random(1, 6, 4)
    soft_targets(student, teacher, 3.0).mean().backward()
    wanted = 3.0 * (F.softmax(student / 3, 1) - F.softmax(teacher / 3, 1)) / 6
    assert student.grad is not None and torch.allclose(student.grad, wanted)


def test_at_high_temperature_it_is_half_the_squared_error_of_centred_logits() -> None:
    student, teacher = random(0, 3, 4), random(1, 3, 4)
    a, b = (x - x.mean(1, keepdim=True) for x in (student, teacher))
    wanted = ((a - b) ** 2).sum(1) / (2 * 4)
    assert torch.allclose(soft_targets(student, teacher, 1e4), wanted, rtol=1e-3)


@given(logits, st.floats(0.25, 8), st.floats(-5, 5))
def test_standardized_targets_ignore_scale_and_shift(
    values: Any, scale: float, shift: float
) -> None:
    teacher = torch.tensor(values, dtype=torch.float64)
    if teacher.std(dim=1).min() < 1e-2:
        return
    other = soft_targets(teacher * scale + shift, teacher, 2.0, standardize=True)
    assert other.abs().max() < 1e-4


def test_z_scores_have_mean_0_and_deviation_1() -> None:
    scores = z_score(random(0, 8, 10) * 7 + 3)
    assert torch.allclose(scores.mean(1), torch.zeros(8, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(scores.std(1, correction=0), torch.ones(8, dtype=torch.float64))


def test_decoupled_with_the_teachers_doubt_as_weight_is_plain_soft_targets() -> None:
    student, teacher = random(0, 4, 5), random(1, 4, 5)
    plain = soft_targets(student, teacher, 2.0)
    label = decoupled(student, teacher, TARGET, 2.0, 1.0, 0.0)
    rest = decoupled(student, teacher, TARGET, 2.0, 0.0, 1.0)
    doubt = 1 - F.softmax(teacher / 2, 1).gather(1, TARGET[:, None])[:, 0]
    assert torch.allclose(label + doubt * rest, plain)


def test_decoupled_gradient_is_right() -> None:
    teacher = random(1, 4, 5)

    def value(student: torch.Tensor) -> torch.Tensor:
        return decoupled(student, teacher, TARGET, 4.0, 1.0, 8.0)

    assert torch.autograd.gradcheck(value, random(0, 4, 5).requires_grad_())


def test_decoupled_takes_the_teachers_answer_where_the_label_is_unknown() -> None:
    student, teacher = random(0, 4, 5), random(1, 4, 5)
    own = decoupled(student, teacher, teacher.argmax(1), 2.0, 1.0, 1.0)
    assert torch.equal(own, decoupled(student, teacher, torch.full((4,), -1), 2.0, 1.0, 1.0))


def test_decoupled_survives_a_teacher_that_is_certain() -> None:
    teacher = torch.zeros(4, 5)
    teacher[torch.arange(4), TARGET] = 200.0
    student = torch.zeros(4, 5, requires_grad=True)
    decoupled(student, teacher, TARGET, 1.0, 1.0, 8.0).mean().backward()
    assert student.grad is not None and student.grad.isfinite().all()


def test_an_unknown_label_costs_nothing() -> None:
    values = cross_entropy(random(0, 3, 5), torch.tensor([1, -1, 2]))
    assert values[1] == 0 and values[0] > 0


def test_binary_is_the_sum_of_bernoulli_divergences() -> None:
    student, teacher = random(0, 3, 4), random(1, 3, 4)
    p, q = teacher.sigmoid(), student.sigmoid()
    wanted = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean(1)
    assert torch.allclose(binary(student, teacher, 1.0), wanted)
    assert binary(teacher, teacher, 3.0).abs().max() < 1e-12


def test_bounded_leaves_a_student_alone_that_beats_the_teacher() -> None:
    target, teacher = torch.zeros(2, 3), torch.ones(2, 3)
    student = torch.tensor([[0.1, 0.1, 0.1], [2.0, 2.0, 2.0]])
    values = bounded(student, teacher, target, 0.5)
    assert values[0] == 0
    assert values[1] == 12


def test_what_each_loss_needs() -> None:
    assert not needs_answers([SoftTargets(kind="soft_targets", weight=0), Labels(kind="labels")])
    assert needs_answers([SoftTargets(kind="soft_targets")])
    assert needs_layers([Hints(kind="hints")]) and not needs_answers([Hints(kind="hints")])
    assert needs_layers([Relations(kind="relations")])
    assert needs_answers([Relations(kind="relations", of="logits")])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_labels_are_cross_entropy(smoothing: float) -> None:
    student = random(0, 4, 5)
    wanted = F.cross_entropy(student, TARGET, label_smoothing=smoothing)
    assert torch.allclose(cross_entropy(student, TARGET, smoothing).mean(), wanted)


@given(logits, hnp.arrays("float32", (4, 5), elements=st.sampled_from([0.0, 1.0])))
def test_binary_labels_are_each_class_s_cross_entropy(student: Any, target: Any) -> None:
    logit, wanted = torch.tensor(student), torch.tensor(target)
    value = binary_cross_entropy(logit, wanted)
    each = -(wanted * F.logsigmoid(logit) + (1 - wanted) * F.logsigmoid(-logit))
    assert torch.allclose(value, each.mean(1), atol=1e-5)


def test_losses_of_values_pass_over_what_nobody_knows() -> None:
    student = random(0, 3, 2).requires_grad_()
    target = torch.tensor([[1.0, 0.0], [torch.nan, torch.nan], [0.0, 1.0]], dtype=torch.float64)
    for loss in (binary_cross_entropy, squared):
        value = loss(student, target)
        assert value[1] == 0 and value[0] > 0
        (gradient,) = torch.autograd.grad(value.sum(), student)
        assert gradient.isfinite().all() and not gradient[1].any() and gradient[0].any()


def test_squared_is_the_distance_and_its_gradient_twice_the_difference() -> None:
    student, target = random(0, 4, 3).requires_grad_(), random(1, 4, 3)
    squared(student, target).sum().backward()
    assert student.grad is not None and torch.allclose(student.grad, 2 * (student - target))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_cross_entropy_of_mixed_labels_is_mixed(smoothing: float) -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    own, other = torch.tensor([0, 1, -1, -1]), torch.tensor([2, -1, 0, -1])
    shares = torch.tensor([0.3, 0.5, 0.6, 0.2])
    labels = TASKS["classification"].labels
    mixed = labels.mixed(own.numpy(), other.numpy(), shares.numpy(), 3)
    one, two = (cross_entropy(logits, each, smoothing) for each in (own, other))
    found = cross_entropy(logits, torch.from_numpy(mixed), smoothing)
    assert torch.allclose(found, (1 - shares) * one + shares * two, atol=1e-6)
