"""What is promised and missed: smaller images, and fewer bytes."""

from __future__ import annotations

from collections.abc import Iterator

from edgedistill.advice.facts import Facts
from edgedistill.records.advice import Advice

_COSTS = ("latency", "MACs", "padded MACs")
_HEAVY, _CHEAP = 0.4, 0.1
"""A layer that stands out has so much of the weights, and no more of the cost."""


def sizes(facts: Facts) -> Iterator[Advice]:
    """Only where the contract asks for less than was reached."""
    yield from _image_size(facts)
    yield from _weights(facts)


def _image_size(facts: Facts) -> Iterator[Advice]:
    """The largest images with which every promise about cost would be kept."""
    asked = facts.what_if
    over = [line for line in facts.report.contract if line.name in _COSTS
            and line.status == "missed" and line.limit and line.value]  # fmt: skip
    if asked is None or not over:
        return
    wanted = min((line.limit or 0.0) / (line.value or 1.0) for line in over)
    fit = {size: cost for size, cost in asked.image_sizes.items() if cost <= wanted * asked.cost}
    if not fit:
        return
    height, width = size = max(fit)
    told = ", ".join(f"{line.name} is {line.value:.4g} {line.unit} and at most {line.limit:g} was "
                     "promised" for line in over)  # fmt: skip
    gain = asked.cost - fit[size]
    yield Advice(
        kind="image size", of="data",
        change=f"show the student images of {height} x {width} pixels; what that does to quality "
               "only a compile tells",
        because=told, gain=gain, unit=asked.unit, share=gain / asked.cost, at_most=False,
        how="reckoned",
        set=(f"data.image_size={_told(size)}", *_teachers_own(facts)),
    )  # fmt: skip


def _told(size: tuple[int, int]) -> str:
    return str(size[0] if size[0] == size[1] else list(size))


def _teachers_own(facts: Facts) -> tuple[str, ...]:
    """That a teacher which is not trained here sees what it saw before."""
    recipe, now = facts.recipe, getattr(facts.recipe.data, "image_size", None)
    if now is None or recipe.teacher.image_size or recipe.stages.teacher.train is not None:
        return ()
    return (f"teacher.image_size={_told(now)}",)


def _weights(facts: Facts) -> Iterator[Advice]:
    """Integers, or pruning to the bytes that are missing, with the layer that has most of them."""
    line = next((each for each in facts.report.contract
                 if each.name == "size" and each.status == "missed"), None)  # fmt: skip
    if line is None or line.limit is None or line.value is None:
        return
    recipe, asked = facts.recipe, facts.what_if
    because = f"the file has {line.value:.4g} KB and at most {line.limit:g} was promised"
    if recipe.stages.quantize is None:
        yield Advice(
            kind="weights", of=facts.report.summary.file, change="ship integers of 8 bits",
            because=f"{because}; its weights are floats of {facts.report.summary.precision}",
            gain=None, unit="KB", share=None, at_most=False, how="reckoned",
            set=("stages.quantize={method: auto}",),
        )  # fmt: skip
        return
    missing = line.value - line.limit
    if asked is None or asked.weights_kb <= missing:
        return  # what is too large is not the weights
    heavy = max(asked.operators, key=lambda each: each.weights)
    total = sum(each.weights for each in asked.operators)
    share = heavy.weights / total if total else 0.0
    if share >= _HEAVY and heavy.cost <= _CHEAP * asked.cost:
        because += (
            f"; `{heavy.layer}` alone has {share:.0%} of the weights, for "
            f"{heavy.cost / asked.cost:.1%} of an inference's cost"
        )
    goal = f"{asked.weights_kb - missing:.4g}"
    prefix = "stages.prune.weights_kb=" + goal
    yield Advice(
        kind="weights", of=heavy.layer if share >= _HEAVY else facts.report.summary.file,
        change="prune to bytes; before it trains, a compile says whether that can be reached",
        because=because, gain=missing, unit="KB",
        share=missing / line.value, at_most=False, how="reckoned",
        set=(prefix if recipe.stages.prune else f"stages.prune={{weights_kb: {goal}}}",),
    )  # fmt: skip
