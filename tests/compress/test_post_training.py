from __future__ import annotations

import pytest
import torch
from networks import SIZE, Mobile, Residual, batches, normalized
from torch import nn

from edgedistill.compress.fold import fold
from edgedistill.compress.post_training import TECHNIQUES, _is_better, post_training
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme


@pytest.mark.parametrize("net", [Residual, Mobile])
def test_what_is_kept_lowers_the_error_and_nothing_else_is(net: type[nn.Module]) -> None:
    program = fold(normalized(net()), image_inputs(3, SIZE, SIZE))
    _, rows = post_training(program, Scheme(), batches(32, 8))
    assert [row.name for row in rows] == list(TECHNIQUES)
    error = rows[0].error_before
    for row in rows:
        assert row.error_before == error
        if row.kept:
            assert row.error_after < error
            error = row.error_after


def test_a_few_samples_are_enough() -> None:
    program = fold(normalized(Mobile()), image_inputs(3, SIZE, SIZE))
    for count in (1, 9):
        _, rows = post_training(program, Scheme(), batches(count, 4))
        assert len(rows) == len(TECHNIQUES)


def test_few_samples_do_not_talk_anybody_into_chance() -> None:
    before = torch.tensor([1.0, 1.0, 1.0, 9.0])
    assert not _is_better(torch.tensor([2.0, 2.0, 2.0, 1.0]), before)
    assert _is_better(before - 0.5, before)
