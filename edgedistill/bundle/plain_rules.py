"""What a decoder without Python and JSON reads of a recognizer: lines of fields between tabs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgedistill.signature import Signature
from edgedistill.transcripts.normalize import UNSPACED

if TYPE_CHECKING:
    from edgedistill.records.recognizer import Guards, Rules
    from edgedistill.transcribing.long import Settings

PLAIN: Final = "recognizer.txt"
_VERSION = 1
_RUNTIMES = ("litert", "onnxruntime")
"""That are opened without Python."""
Line = tuple[object, ...]


@dataclass(frozen=True)
class Placed:
    """A program in a model file."""

    runtime: str
    precision: str
    file: str
    bytes: int
    signature: Signature


def write_plain(
    path: Path,
    settings: Settings,
    pairs: Iterable[tuple[Placed, Placed]],
    shipped: tuple[str, str],
) -> None:
    """Write what the decoder in C reads: rules, the pairs of `encode` and `decode_step`, tokens.

    Left out are files whose numbers have scales, and those of runtimes that it does not know.
    """
    lines = [
        ("edgedistill recognizer", _VERSION),
        ("rate", settings.rate),
        ("window", settings.window),
        ("language", settings.language),
        ("spaced", int(settings.language not in UNSPACED)),
        *_rules(settings.rules),
        *_guards(settings.guards),
        ("shipped", *shipped),
        *_files(pairs),
        ("tokens", len(settings.vocabulary.pieces)),
        *((piece.hex(),) for piece in settings.vocabulary.pieces),
    ]
    path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))


def _rules(rules: Rules) -> Iterator[Line]:
    yield "limit", rules.limit
    yield "prompt", *rules.prompt
    yield "end", rules.end
    yield "suppressed", *rules.suppressed
    yield "suppressed_first", *rules.suppressed_first
    yield "no_speech", -1 if rules.no_speech is None else rules.no_speech


def _guards(guards: Guards) -> Iterator[Line]:
    yield "repeats", -1 if guards.repeats is None else guards.repeats
    yield "longest", guards.longest
    # Exact, and read alike wherever a comma stands for the point.
    share, exponent = math.frexp(guards.no_speech)
    yield "most_no_speech", int(share * 2**53), exponent - 53


def _files(pairs: Iterable[tuple[Placed, Placed]]) -> Iterator[Line]:
    opened = [
        (encode, step)
        for encode, step in pairs
        if encode.runtime in _RUNTIMES and _without_scales((encode, step))
    ]
    yield "pairs", len(opened)
    for encode, step in opened:
        yield "pair", encode.runtime, encode.precision
        yield "encode", encode.bytes, encode.file
        yield "decode_step", step.bytes, step.file
        heard = [each.name for each in encode.signature.outputs]
        yield "heard", *heard
        yield "takes", *(each.name for each in step.signature.inputs)
        yield "gives", *(each.name for each in step.signature.outputs)
        yield "from", *_sources(step.signature, heard)


def _sources(step: Signature, heard: list[str]) -> Iterator[str]:
    """Where each input of a step comes from: with a place among what `encode` or a step gives."""
    gives = [each.name for each in step.outputs]
    fed = {taken: gives.index(given) for given, taken in step.state.items()}
    for each in step.inputs:
        if each.name in fed:
            yield f"state {fed[each.name]}"
        elif each.name in heard:
            yield f"heard {heard.index(each.name)}"
        else:
            yield each.name


def _without_scales(entries: Iterable[Placed]) -> bool:
    return all(
        spec.scale is None
        for entry in entries
        for spec in (*entry.signature.inputs, *entry.signature.outputs)
    )
