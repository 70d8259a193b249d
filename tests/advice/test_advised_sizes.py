"""Smaller images and fewer bytes, where more was promised than reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from advising import given, only, reckoned

from edgedistill.advice import Facts
from edgedistill.advice.sizes import sizes
from edgedistill.advice.what_if import Operator

Make = Callable[..., Facts]
SIZES = {(28, 28): 800.0, (24, 24): 600.0, (16, 16): 250.0}


def test_images_are_as_small_as_a_missed_promise_asks(make_facts: Make) -> None:
    asked = reckoned(image_sizes=SIZES)  # of 4 M MACs
    found = only(sizes, make_facts(what_if=asked, contract={"max_macs": 2.6}))
    assert found.set == ("data.image_size=24",)
    assert (found.gain, found.share) == (400.0, 0.4)
    assert found.because == "MACs is 4 M and at most 2.6 was promised"
    assert not given(sizes, make_facts(what_if=asked, contract={"max_macs": 0.5}))


def test_a_teacher_that_is_not_trained_here_sees_what_it_saw(make_facts: Make) -> None:
    teacher = {"family": "resnet_cifar", "depth": 14, "weights": "teacher.safetensors"}
    changes = {"teacher": teacher, "stages": {"prune": {"speedup": 2}}, "contract": {"max_macs": 2}}
    found = only(sizes, make_facts(what_if=reckoned(image_sizes=SIZES), **changes))
    assert found.set == ("data.image_size=16", "teacher.image_size=8")


def test_a_kept_promise_asks_for_nothing(make_facts: Make) -> None:
    facts = make_facts(
        what_if=reckoned(image_sizes=SIZES), contract={"max_macs": 5, "max_size_kb": 50}
    )
    assert not given(sizes, facts)


LAYERS = (Operator("stem", "product", 970.0, 100), Operator("linear", "product", 30.0, 900))


def heavy(make_facts: Make, kb: float, **other: Any) -> Facts:
    asked = reckoned(operators=LAYERS, weights_kb=kb)
    return make_facts(what_if=asked, contract={"max_size_kb": 0.1}, **other)


def test_pruning_to_bytes_makes_a_file_small_enough(make_facts: Make) -> None:
    facts = heavy(make_facts, 10.0)
    found = only(sizes, facts)
    size = facts.report.summary.size_kb
    assert found.gain == size - 0.1
    (key,) = found.set
    assert key.startswith("stages.prune")
    assert "`linear` alone has 90% of the weights, for 3.0% of an inference's cost" in found.because
    assert found.of == "linear"


def test_a_file_that_is_too_large_without_weights_is_not_helped(make_facts: Make) -> None:
    assert not given(sizes, heavy(make_facts, 0.1))


def test_floats_become_integers(make_facts: Make) -> None:
    facts = heavy(make_facts, 10.0, stages={"teacher": {"train": {}}, "quantize": None})
    assert only(sizes, facts).set == ("stages.quantize={method: auto}",)
