"""Sound to text with a bundle's recognizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.bundle.hearing import file_blocks, is_file
from edgedistill.bundle.opened import choose
from edgedistill.bundle.recognizer import RecognizerFile
from edgedistill.data.sound.decode import BLOCK, FULL, Samples
from edgedistill.errors import UserError
from edgedistill.files import check_regular
from edgedistill.signature import Signature
from edgedistill.transcribing import long
from edgedistill.transcribing.long import Counted, Segment, Settings, Transcript

if TYPE_CHECKING:
    from edgedistill.bundle.bundle import Bundle
    from edgedistill.bundle.hearing import Chunk, File, Say
    from edgedistill.records.recognizer import Guards
    from edgedistill.transcribing.decoding import Recognizer


def transcribe(
    bundle: Bundle,
    sound: File | Chunk,
    runtime: str | None,
    precision: str | None,
    threads: int,
    guards: Guards | None,
    say: Say | None,
) -> Transcript:
    """As `Bundle.transcribe` says it."""
    settings, quiet = _settings(bundle, guards), say or _unsaid
    blocks = Counted(_blocks(sound, settings.rate, quiet))
    recognizer = _recognizer(bundle, runtime, precision, threads)
    found = list(_told(recognizer, blocks, settings, _name(sound), quiet))
    return long.transcript(found, blocks.samples, settings)


def segments(
    bundle: Bundle,
    sound: File | Chunk,
    runtime: str | None,
    precision: str | None,
    threads: int,
    guards: Guards | None,
    say: Say | None,
) -> Iterator[Segment]:
    """As `Bundle.segments` says it; what is wrong with the bundle is told at once."""
    settings, quiet = _settings(bundle, guards), say or _unsaid
    blocks = _blocks(sound, settings.rate, quiet)
    recognizer = _recognizer(bundle, runtime, precision, threads)
    return _told(recognizer, blocks, settings, _name(sound), quiet)


def _unsaid(text: str) -> None:
    pass


def _settings(bundle: Bundle, guards: Guards | None) -> Settings:
    told = bundle.recognizer
    return Settings(
        language=told.language,
        rate=told.rate,
        window=told.window,
        rules=told.rules,
        guards=guards or told.guards,
        vocabulary=bundle.tokens,
    )


def _recognizer(
    bundle: Bundle, runtime: str | None, precision: str | None, threads: int
) -> Recognizer:
    """By the files of a runtime and precision. Raises UserError: there are none, or they are others
    than the manifest says."""
    from edgedistill.transcribing.recognizers import InRuntime

    opened = []
    for entry in chosen(bundle, runtime, precision):
        loaded = bundle.open_program(entry.runtime, entry.file, entry.program, threads)
        if _ends(loaded.signature) != _ends(entry.signature):
            raise UserError(
                f"{bundle.path}: `{entry.program}` in {entry.file} takes or gives something else "
                "than the manifest says",
                "compile the bundle again",
            )
        opened.append(loaded)
    return InRuntime(*opened)


Pair = tuple[RecognizerFile, RecognizerFile]
"""`encode` and `decode_step` of a runtime and a precision."""


def pairs(bundle: Bundle) -> tuple[Pair, ...]:
    """All of a bundle's, in its order."""
    found: dict[tuple[str, str], dict[str, RecognizerFile]] = {}
    for each in bundle.recognizer.files:
        found.setdefault((each.runtime, each.precision), {})[each.program] = each
    return tuple((each["encode"], each["decode_step"]) for each in found.values())


def chosen(bundle: Bundle, runtime: str | None, precision: str | None) -> Pair:
    """By default those that ship. Raises UserError: the bundle has no such files."""
    shipped = bundle.recognizer.shipped
    kind = shipped.runtime, shipped.precision
    entry = choose(bundle.files, kind, runtime, precision, bundle.path)
    wanted = entry["runtime"], entry["precision"]
    return next(each for each in pairs(bundle) if (each[0].runtime, each[0].precision) == wanted)


def _ends(signature: Signature) -> tuple[Any, ...]:
    """What an app has to know of a program's inputs and outputs."""
    ends = [
        [(each.name, each.shape, each.dtype, each.scale, each.zero_point) for each in specs]
        for specs in (signature.inputs, signature.outputs)
    ]
    return *ends, dict(signature.state)


def _name(sound: File | Chunk) -> str:
    return str(sound) if is_file(sound) else "the sound"


def _blocks(sound: Any, rate: int, say: Say) -> Iterable[Samples]:
    """(samples,) int16 at the wanted rate, block by block; what was changed in a file is said.

    Raises UserError: no such file, or what is no sound; of a file later too, as it is read.
    """
    if is_file(sound):
        check_regular(Path(sound), "sound file")
        return file_blocks(sound, rate, say)
    samples = np.asarray(sound)
    _as_int16(samples[:0])
    if not len(samples):
        raise UserError("sound without a sample", "give at least one")
    pieces = [samples[at : at + BLOCK] for at in range(0, len(samples), BLOCK)]
    for each in pieces:
        _as_int16(each)  # what is wrong is told before minutes of it were decoded
    return map(_as_int16, pieces)


def _as_int16(samples: Chunk) -> Samples:
    """As a WAV file of the samples is read. Raises UserError: they are no sound."""
    from edgedistill.listening.ear import as_real

    scaled = np.rint(as_real(samples) * np.float32(FULL)).clip(-FULL, FULL - 1)
    whole: Samples = scaled.astype(np.int16)
    return whole


def _told(
    recognizer: Recognizer,
    blocks: Iterable[Samples],
    settings: Settings,
    name: str,
    say: Callable[[str], None],
) -> Iterator[Segment]:
    """The segments, and words on what is odd about them."""
    said = False
    for each in long.segments(recognizer, blocks, settings):
        if each.looped:
            say(f"{name}: {_place(each)}: said the same again and again; ended there")
        elif not each.ended:
            say(f"{name}: {_place(each)}: cut off, as a transcript takes no more tokens")
        said = said or bool(each.text)
        yield each
    if not said:
        say(f"{name}: nothing is said in it")


def _place(segment: Segment) -> str:
    return f"{segment.start:.2f} to {segment.end:.2f} s"
