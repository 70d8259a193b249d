from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from edgedistill.distill.label_filter import LabelUse
from edgedistill.distill.objective import Cohort, Objective
from edgedistill.errors import UserError
from edgedistill.models import build
from edgedistill.recipe import (
    Attention,
    Decoupled,
    Exits,
    Hints,
    Labels,
    Pair,
    Peers,
    Relations,
    ResidualModel,
    Similarity,
    SoftTargets,
)
from edgedistill.signature import image_inputs
from edgedistill.tasks.classification import soft_targets

LABELS = Labels(kind="labels", weight=0.3)
SOFT = SoftTargets(kind="soft_targets", weight=0.7, temperature=2.0)
TARGET = torch.tensor([0, 1, 2, 3])


def network(depth: int, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = ResidualModel(family="resnet_cifar", depth=depth, widths=(8, 8, 16))
    return build(model, 4, image_inputs(3, 16, 16))


def pixels() -> torch.Tensor:
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def answers() -> torch.Tensor:
    return torch.randn(4, 4, generator=torch.Generator().manual_seed(1))


def objective(*losses: Any, teacher: bool = True) -> Objective:
    torch.manual_seed(0)
    known = network(14, 9) if teacher else None
    return Objective(losses, network(8, 3), known, (pixels()[:1],), weighed=0.5)


def test_the_value_is_the_weighted_sum() -> None:
    both = objective(SOFT, LABELS).eval()
    logits = both.student(pixels())
    wanted = 0.7 * soft_targets(logits, answers(), 2.0).mean() + 0.3 * F.cross_entropy(
        logits, TARGET
    )
    assert torch.allclose(both((pixels(),), TARGET, answers()), wanted)


def test_a_distrusted_answer_counts_as_far_as_it_is_trusted() -> None:
    alone = objective(SOFT).eval()
    each = 0.7 * soft_targets(alone.student(pixels()), answers(), 2.0)
    label_uses = torch.tensor([LabelUse.KEEP, LabelUse.DROP, LabelUse.WEIGH, LabelUse.LABELS])
    got = alone((pixels(),), TARGET, answers(), label_uses)
    assert torch.allclose(got, (each * torch.tensor([1.0, 0.0, 0.5, 0.0])).mean())


def test_where_the_label_stands_in_it_gets_all_the_weight() -> None:
    both = objective(SOFT, LABELS).eval()
    each = F.cross_entropy(both.student(pixels()), TARGET, reduction="none")
    label_uses = torch.full((4,), LabelUse.LABELS)
    assert torch.allclose(both((pixels(),), TARGET, answers(), label_uses), each.mean())
    label_uses = torch.full((4,), LabelUse.DROP)
    assert both((pixels(),), TARGET, answers(), label_uses) == 0


def test_what_layers_are_worth_is_no_part_of_the_weight_that_a_label_takes_over() -> None:
    many = objective(SOFT, LABELS, Hints(kind="hints", weight=50)).eval()
    each = F.cross_entropy(many.student(pixels()), TARGET, reduction="none")
    label_uses = torch.full((4,), LabelUse.LABELS)
    assert torch.allclose(many((pixels(),), TARGET, answers(), label_uses), each.mean())


@pytest.mark.parametrize("loss", [Exits(kind="exits"), Peers(kind="peers")])
def test_a_dropped_sample_teaches_nothing_by_other_ways_either(loss: Any) -> None:
    torch.manual_seed(0)
    made = Objective((loss,), network(8, 3), None, (pixels()[:1],)).eval()
    dropped, peer = torch.full((4,), LabelUse.DROP), [answers()]
    logits = made.answer((pixels(),))
    assert made.judge(logits, TARGET, None, None, peer) > 0
    assert made.judge(logits, TARGET, None, dropped, peer) == 0


def test_the_teacher_goes_where_the_student_goes() -> None:
    made = objective(Hints(kind="hints")).double()
    assert made._teacher is not None
    kinds = {p.dtype for p in [*made.parameters(), *made._teacher[0].parameters()]}
    assert kinds == {torch.float64}


@pytest.mark.parametrize(
    "loss",
    [
        SOFT,
        Decoupled(kind="decoupled"),
        Hints(kind="hints"),
        Hints(kind="hints", layers=(Pair(student="layer3", teacher="layer2"),)),
        Attention(kind="attention"),
        Relations(kind="relations"),
        Relations(kind="relations", of="logits"),
        Similarity(kind="similarity"),
        Exits(kind="exits"),
    ],
    ids=lambda loss: f"{loss.kind}-{getattr(loss, 'of', getattr(loss, 'layers', ''))}"[:24],
)
def test_every_loss_moves_the_student_and_not_the_teacher(loss: Any) -> None:
    made = objective(loss).train()
    made((pixels(),), TARGET, answers()).backward()
    grads = [p.grad for p in made.student.parameters() if p.grad is not None]
    assert grads and any(grad.abs().max() > 0 for grad in grads)
    assert made._teacher is None or all(p.grad is None for p in made._teacher[0].parameters())


def test_what_the_losses_learn_is_trained_and_thrown_away() -> None:
    made = objective(Hints(kind="hints"))
    names = set(made.state_dict())
    assert any(name.startswith("learned.") for name in names)
    assert set(made.student.state_dict()) == set(network(8, 3).state_dict())
    assert not any("teacher" in name for name in names)


def test_after_closing_the_student_is_heard_no_more() -> None:
    made = objective(Hints(kind="hints"))
    made.close()
    assert not any(module._forward_hooks for module in made.student.modules())


def test_a_teacher_without_layers_cannot_give_hints() -> None:
    with pytest.raises(UserError, match="the loss `hints` compares inner layers") as caught:
        objective(Hints(kind="hints"), teacher=False)
    assert caught.value.hint == "take a teacher that is a torch model, or losses on the logits"


def test_paired_layers_must_exist() -> None:
    pair = Pair(student="layer9", teacher="layer2")
    with pytest.raises(UserError, match="the student has no layer `layer9`"):
        objective(Attention(kind="attention", layers=(pair,)))


def test_exits_need_layers_of_different_resolution() -> None:
    with pytest.raises(UserError, match="no two layers of different resolution"):
        Objective(
            (Exits(kind="exits"),),
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 4)), None, (pixels()[:1],),
        )  # fmt: skip


def test_peers_learn_from_each_other_and_not_through_each_other() -> None:
    losses = (Peers(kind="peers", temperature=3.0),)
    first, second = (Objective(losses, network(8, seed), None, (pixels()[:1],)) for seed in (1, 2))
    cohort = Cohort([first, second]).eval()
    a, b = first.student(pixels()), second.student(pixels())
    wanted = soft_targets(a, b, 3.0).mean() + soft_targets(b, a, 3.0).mean()
    value = cohort((pixels(),), TARGET, None)
    assert torch.allclose(value, wanted)
    value.backward()
    alone = soft_targets(first.student(pixels()), b.detach(), 3.0).mean()
    wanted_grad = torch.autograd.grad(alone, first.student.linear.weight)[0]  # type: ignore[union-attr,arg-type]
    assert torch.allclose(first.student.linear.weight.grad, wanted_grad, atol=1e-6)  # type: ignore[union-attr,arg-type]
