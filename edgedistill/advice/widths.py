"""Widths that fill no whole block of the target's kernels: what is computed and thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgedistill.advice.facts import Facts
from edgedistill.advice.what_if import WhatIf, Width
from edgedistill.families.models import ResidualModel
from edgedistill.families.sound import DepthwiseModel
from edgedistill.records.advice import Advice

_LEAST = 0.01
"""Of an inference: less is not worth a change."""
_NEXT_TO_NOTHING = 0.005
"""Of an inference: so much more counts as free."""
_SHOWN = 3
_GOALS = ("macs", "padded_macs", "cost", "params", "weights_kb", "speedup")


def widths(facts: Facts) -> Iterator[Advice]:
    """Fewer channels where the last block is nearly empty, more where they cost next to nothing; of
    a pruned student only where the recipe can have it so."""
    asked = facts.what_if
    if asked is not None:
        yield from _lower(facts, asked)
        most = _NEXT_TO_NOTHING * asked.cost
        free = [each for each in asked.widths if not each.sparse and _extra(each, asked) <= most]
        for each in sorted(free, key=lambda width: _extra(width, asked))[:_SHOWN]:
            yield from _raise(facts, asked, each)


def _lower(facts: Facts, asked: WhatIf) -> Iterator[Advice]:
    sparse = [each for each in asked.widths if each.sparse]
    if asked.narrowed is None or not sparse:
        return
    gain = asked.cost - asked.narrowed
    if gain < _LEAST * asked.cost:
        return
    block = sparse[0].block
    lower = {each.channels: each.channels // block * block for each in sparse}
    key = _set(facts, asked, block, lower)
    if not key and facts.recipe.stages.prune is not None:
        return
    named = ", ".join(f"`{each.layer}` {lower[each.channels]} in place of {each.channels}"
                      for each in sparse)  # fmt: skip
    yield Advice(
        kind="width",
        of=", ".join(each.layer for each in sparse),
        change=f"leave out the channels of the last block: {named}",
        because=f"the kernels compute {block} channels at once, and less than half of these "
                "layers' last block is used",
        gain=gain, unit=asked.unit, share=gain / asked.cost, at_most=False, how="reckoned",
        set=key,
    )  # fmt: skip


def _extra(width: Width, asked: WhatIf) -> float:
    return width.higher.cost - asked.cost


def _raise(facts: Facts, asked: WhatIf, width: Width) -> Iterator[Advice]:
    more, extra = width.higher.channels, _extra(width, asked)
    key = _set(facts, asked, width.block, {width.channels: more})
    if not key and facts.recipe.stages.prune is not None:
        return
    yield Advice(
        kind="width",
        of=width.layer,
        change=f"let `{width.layer}` give {more} channels in place of {width.channels}",
        because=f"the kernels compute {width.block} channels at once: {more - width.channels} of "
                "those that they compute are thrown away, and the layers that would read them cost "
                "next to nothing more",
        gain=-extra, unit=asked.unit, share=-extra / asked.cost, at_most=False, how="reckoned",
        set=key,
    )  # fmt: skip


def _set(facts: Facts, asked: WhatIf, block: int, widths: Mapping[int, int]) -> tuple[str, ...]:
    """What makes these widths others, where the recipe decides about them."""
    student, pruning = facts.recipe.student, facts.recipe.stages.prune
    if pruning is not None:
        goals = {name for name in _GOALS if getattr(pruning, name) is not None}
        now = pruning.round_to or facts.target.channel_multiple
        if now % block == 0 or not asked.in_blocks or goals - {"macs", "speedup"}:
            return ()
        return (f"stages.prune.round_to={block}",)
    if isinstance(student, ResidualModel) and widths.keys() <= set(student.widths):
        changed = [widths.get(each, each) for each in student.widths]
        return (f"student.widths={changed}",)
    if isinstance(student, DepthwiseModel) and widths.keys() == {student.width}:
        return (f"student.width={widths[student.width]}",)
    return ()
