from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional as F

from edgedistill.distill.sequences import sequence_level, token_level, top_tokens

BATCH, LENGTH, VOCABULARY = 2, 3, 5
logits = hnp.arrays("float32", (BATCH, LENGTH, VOCABULARY), elements=st.floats(-6, 6, width=32))
ALL = torch.ones(BATCH, LENGTH, dtype=torch.bool)


def random(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, LENGTH, VOCABULARY, generator=generator)


@given(logits, logits, st.floats(0.5, 8))
def test_with_all_tokens_kept_it_is_the_whole_divergence(
    student: Any, teacher: Any, temperature: float
) -> None:
    own, other = torch.tensor(student), torch.tensor(teacher)
    kept = top_tokens(other, VOCABULARY, temperature)
    value = token_level(own, *kept, ALL, temperature)
    both = [torch.log_softmax(each / temperature, 2) for each in (own, other)]
    whole = F.kl_div(*both, reduction="none", log_target=True).sum(2).mean(1) * temperature**2
    assert torch.allclose(value, whole, atol=0.02 * temperature**2)


@given(logits, logits, st.integers(1, VOCABULARY - 1))
def test_with_fewer_it_is_below_it_and_never_negative(student: Any, teacher: Any, k: int) -> None:
    own, other = torch.tensor(student), torch.tensor(teacher)
    value = token_level(own, *top_tokens(other, k), ALL)
    whole = token_level(own, *top_tokens(other, VOCABULARY), ALL)
    assert (value <= whole + 0.02).all()
    assert (value >= -0.02).all()


def test_a_perfect_copy_is_worth_nothing_and_has_no_gradient() -> None:
    teacher = random(0)
    student = teacher.clone().requires_grad_()
    value = token_level(student, *top_tokens(teacher, 2), ALL)
    value.sum().backward()
    assert value.abs().max() < 1e-3
    assert student.grad is not None and student.grad.abs().max() < 1e-3


def test_a_step_down_its_gradient_brings_the_teacher_s_tokens_closer() -> None:
    student, teacher = random(0).requires_grad_(), random(1)
    kept = top_tokens(teacher, 3)
    before = token_level(student, *kept, ALL).mean()
    (gradient,) = torch.autograd.grad(before, student)
    after = token_level(student - 0.5 * gradient, *kept, ALL).mean()
    assert after < before


def test_the_teacher_s_output_is_learned_like_a_label() -> None:
    student, tokens = random(0), torch.tensor([[0, 1, 2], [4, 3, 0]])
    value = sequence_level(student, tokens, ALL)
    wanted = -torch.log_softmax(student, 2).gather(2, tokens[:, :, None])[:, :, 0].mean(1)
    assert torch.allclose(value, wanted)


@pytest.mark.parametrize("loss", ["token", "sequence"])
def test_positions_after_the_end_do_not_count(loss: str) -> None:
    student, teacher = random(0), random(1)
    counted = torch.tensor([[True, True, False], [True, False, False]])

    def value(own: torch.Tensor) -> torch.Tensor:
        if loss == "token":
            return token_level(own, *top_tokens(teacher, 2), counted)
        return sequence_level(own, teacher.argmax(2), counted)

    changed = student.clone()
    changed[~counted] += 7 * random(2)[~counted]
    assert torch.equal(value(changed), value(student))
    assert (value(student) > 0).all()
