"""Channels that fill no whole block of the kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from advising import given, only, reckoned

from edgedistill.advice import Facts, WhatIf
from edgedistill.advice.what_if import Option, Width
from edgedistill.advice.widths import widths

Make = Callable[..., Facts]
STUDENT = {"family": "resnet_cifar", "depth": 8, "widths": [18, 28, 64]}
UNPRUNED = {"student": STUDENT, "stages": {"teacher": {"train": {}}}}
PRUNED = {"student": STUDENT, "stages": {"teacher": {"train": {}}, "prune": {"macs": 1}}}


def width(channels: int, lower: float, higher: float) -> Width:
    low = channels // 16 * 16
    option = Option(low, lower) if low else None
    return Width(f"conv{channels}", channels, 16, option, Option(low + 16, higher))


def asked(*found: Width, narrowed: float | None = None, **other: Any) -> WhatIf:
    return reckoned(widths=found, narrowed=narrowed, **other)


def test_a_last_block_that_is_nearly_empty_is_left_out(make_facts: Make) -> None:
    facts = make_facts(what_if=asked(width(18, 900, 1050), narrowed=900.0), **UNPRUNED)
    found = only(widths, facts)
    assert (found.gain, found.share, found.how) == (100.0, 0.1, "reckoned")
    assert found.set == ("student.widths=[16, 28, 64]",)
    assert "`conv18` 16 in place of 18" in found.change


def test_one_that_is_half_full_stays(make_facts: Make) -> None:
    assert not given(widths, make_facts(what_if=asked(width(24, 900, 1050)), **UNPRUNED))


def test_a_saving_that_is_next_to_nothing_is_none(make_facts: Make) -> None:
    facts = make_facts(what_if=asked(width(18, 995, 1050), narrowed=995.0), **UNPRUNED)
    assert not given(widths, facts)


def test_channels_that_are_computed_anyway_are_used(make_facts: Make) -> None:
    found = only(widths, make_facts(what_if=asked(width(28, 900, 1004)), **UNPRUNED))
    assert (found.gain, found.share) == (-4.0, -0.004)
    assert found.set == ("student.widths=[18, 32, 64]",)


def test_channels_that_make_the_next_layer_dearer_are_not(make_facts: Make) -> None:
    assert not given(widths, make_facts(what_if=asked(width(28, 900, 1006)), **UNPRUNED))


def test_a_pruned_student_is_pruned_in_blocks_where_it_comes_to_its_goal(
    make_facts: Make,
) -> None:
    found = asked(width(18, 900, 1050), narrowed=900.0, in_blocks=True)
    facts = make_facts(what_if=found, **PRUNED)
    assert only(widths, facts).set == ("stages.prune.round_to=16",)
    found = asked(width(18, 900, 1050), narrowed=900.0, in_blocks=False)
    assert not given(widths, make_facts(what_if=found, **PRUNED))


def test_nothing_is_said_of_a_student_that_was_not_reckoned_with(make_facts: Make) -> None:
    assert not given(widths, make_facts(**UNPRUNED))
