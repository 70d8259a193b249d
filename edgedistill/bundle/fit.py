"""Whether what a recognizer's manifest says of its files, window and tokens goes together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgedistill.records.recognizer import Guards, Rules
from edgedistill.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from edgedistill.bundle.recognizer import RecognizerManifest

_TYPES = ("float32", "float16", "int8", "uint8", "int16", "int32")
_LARGEST, _LONGEST_NAME = 1 << 27, 200
"""Values of a tensor, and characters of its name."""
_MOST_GUARDED = 10_000
_TOLD = ("token", "position")
"""Of a step, beside what it is given by `encode` and by the step before."""


def mistakes(told: RecognizerManifest) -> Iterator[str]:
    """What is wrong, in words; each line holds only where those before it do not."""
    pairs = _pairs(told)
    for (runtime, precision), pair in pairs.items():
        if sorted(name for name, _ in pair) != ["decode_step", "encode"]:
            yield (
                f"`files`: those of {runtime} and {precision} are not one of `encode` and one of "
                "`decode_step`"
            )
    shipped = told.shipped
    if (shipped.runtime, shipped.precision) not in pairs:
        yield f"`shipped`: no file is of {shipped.runtime} and {shipped.precision}"
    named = {told.vocabulary, *(each.file for each in told.files)}
    lost = (named | {each.file for each in told.golden}) - told.digests.keys()
    if lost:
        yield f"names `{min(lost)}` without its digest"
    for pair in pairs.values():
        programs = dict(pair)
        yield from _wrong_tensors(programs.values())
        yield from _wrong_encode(programs["encode"], told.window)
        yield from _wrong_step(programs["encode"], programs["decode_step"], told.rules.limit)
    if any(_width(dict(pair)["decode_step"]) != told.width for pair in pairs.values()):
        yield "`files`: their steps choose from different numbers of tokens"
    yield from _wrong_rules(told.rules, told.width)
    yield from _wrong_guards(told.guards)
    said = (token for each in told.golden for said in each.said for token in said.tokens)
    if any(not 0 <= token < told.width for token in said):
        yield f"`golden`: names what is none of {told.width} tokens"


def _pairs(told: RecognizerManifest) -> dict[tuple[str, str], list[tuple[str, Signature]]]:
    """Programs by runtime and precision."""
    found: dict[tuple[str, str], list[tuple[str, Signature]]] = {}
    for each in told.files:
        pair = found.setdefault((each.runtime, each.precision), [])
        pair.append((each.program, each.signature))
    return found


def _wrong_tensors(programs: Iterable[Signature]) -> Iterator[str]:
    for signature in programs:
        for ends in (signature.inputs, signature.outputs):
            if len({each.name for each in ends}) < len(ends):
                yield "`files`: two inputs, or two outputs, have one name"
            for each in ends:
                if not _plain(each):
                    yield (
                        f"`files`: `{each.name[:60]}` is no tensor of a recognizer: {each.dtype} "
                        f"of shape {each.shape}"
                    )


def _plain(spec: TensorSpec) -> bool:
    """Whether it is of one sample, of a fixed and bearable size, with numbers that its type has."""
    sizes = [size or 0 for size in spec.shape]
    if len(spec.name) > _LONGEST_NAME or spec.dtype not in _TYPES or len(sizes) < 1:
        return False
    if sizes[0] != 1 or min(sizes) < 1 or math.prod(sizes) > _LARGEST:
        return False
    if spec.scale is None:
        return spec.zero_point is None
    if spec.dtype.startswith("float") or not 0 < spec.scale < math.inf:
        return False
    limits = np.iinfo(spec.dtype)
    return limits.min <= (spec.zero_point or 0) <= limits.max


def _wrong_encode(encode: Signature, window: int) -> Iterator[str]:
    taken = [(each.name, each.shape) for each in encode.inputs]
    if taken != [("samples", (1, window))] or encode.state:
        yield f"`files`: `encode` takes something else than `samples`, {window} of the window"


def _wrong_step(encode: Signature, step: Signature, limit: int) -> Iterator[str]:
    inputs = {each.name: each for each in step.inputs}
    outputs = {each.name: each for each in step.outputs}
    if any(inputs.get(name) != TensorSpec(name, (1,), dtype="int32") for name in _TOLD):
        yield "`files`: `decode_step` does not take one `token` at one `position`, int32"
    heard = [each.name for each in encode.outputs]
    if {*inputs} != {*_TOLD, *heard, *step.state.values()} or len(inputs) != (
        len(_TOLD) + len(heard) + len({*step.state.values()})
    ):
        yield "`files`: `decode_step` takes something else than what `encode` and a step give"
    if {*outputs} != {"logits", *step.state} or len({*step.state.values()}) < len(step.state):
        yield "`files`: `decode_step` gives something else than `logits` and its states"
    fed = [(each, inputs[each.name]) for each in encode.outputs]
    fed += [(outputs[given], inputs[taken]) for given, taken in step.state.items()]
    for given, taken in fed:
        if _held(given) != _held(taken):
            yield f"`files`: `{taken.name}` of `decode_step` is not what it is fed"
    if len(outputs["logits"].shape) != 2:
        yield "`files`: `logits` are not one for each token"
    for name in step.state.values():
        shape = inputs[name].shape
        if len(shape) != 4 or (shape[2] or 0) < limit:
            yield f"`rules.limit`: `{name}` has no place for {limit} tokens"


def _held(spec: TensorSpec) -> tuple[object, ...]:
    return spec.shape, spec.dtype, spec.scale, spec.zero_point


def _width(step: Signature) -> int | None:
    return step.outputs[step.answer].shape[-1]


def _wrong_rules(rules: Rules, width: int) -> Iterator[str]:
    named = (*rules.prompt, rules.end, *rules.suppressed, *rules.suppressed_first)
    no_speech = () if rules.no_speech is None else (rules.no_speech,)
    beyond = [each for each in (*named, *no_speech) if not 0 <= each < width]
    if beyond:
        yield f"`rules`: {beyond[0]} is none of {width} tokens"
    if not 0 < len(rules.prompt) < rules.limit:
        yield (
            f"`rules.prompt`: a transcript of at most {rules.limit} tokens cannot begin with "
            f"{len(rules.prompt)}"
        )
    if rules.end in rules.suppressed:
        yield "`rules.suppressed`: names the end, so that no transcript would have one"


def _wrong_guards(guards: Guards) -> Iterator[str]:
    repeats = 0 if guards.repeats is None else guards.repeats
    if not 0 <= repeats <= _MOST_GUARDED or not 1 <= guards.longest <= _MOST_GUARDED:
        yield f"`guards`: `repeats` are 0 to {_MOST_GUARDED}, `longest` is 1 to {_MOST_GUARDED}"
    if not 0 <= guards.no_speech <= 1:
        yield "`guards.no_speech`: is no probability"
