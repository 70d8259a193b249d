"""Sound for a bundle's models: files and arrays as windows, and streams that are listened to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgedistill.bundle.parts import BundledListening
from edgedistill.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgedistill.bundle.bundle import Bundle
    from edgedistill.listening.ear import Ear, Hops
    from edgedistill.records.listening import Rule

    Chunk = NDArray[Any]
    """Samples (any number,) of one channel at the bundle's rate: int16, or floats in -1..1."""
    File = str | os.PathLike[str]
    Sounds = File | Chunk | Sequence[File | Chunk]
    Chunks = File | Chunk | Iterable[File] | Iterable[Chunk]

Say = Callable[[str], None]


@dataclass(frozen=True)
class Detection:
    """A keyword that was heard."""

    keyword: str
    seconds: float
    """From the beginning of the stream, or of its file, to the end of the step that heard it."""
    confidence: float
    """The keyword's smoothed probability, 0..1."""
    file: str | None = None
    """Where it was heard, if in a file."""


def is_file(sound: Any) -> bool:
    """Whether something is a file's name, and no samples."""
    return isinstance(sound, str | os.PathLike)


def windows(bundle: Bundle, sounds: Sounds) -> NDArray[np.float32]:
    """What the models take: float32 (batch, samples) in -1..1, of one sound or several, each a
    file's name or samples (any number,) at the bundle's rate, cut as the manifest says.

    Raises UserError: the models take no sound, or something is none.
    """
    from edgedistill.data.sound.reading import cut
    from edgedistill.data.sound.window import clip_window

    form = bundle.manifest.get("sound")
    if form is None:
        raise UserError(f"{bundle.path}: its models take no sound", "call `bundle.model()`")
    rate, length = form["rate"], form["samples"]
    alone = is_file(sounds) or (isinstance(sounds, np.ndarray) and sounds.ndim == 1)
    each_sound: list[Any] = [sounds] if alone else list(cast(Any, sounds))
    found = np.zeros((len(each_sound), length), np.float32)
    for row, each in zip(found, each_sound, strict=True):
        samples = _samples(each, rate)
        (start,) = clip_window(samples, length, form["cut"], rate)
        row[:] = cut(samples, int(start), length)
    return found


def _samples(sound: Any, rate: int) -> NDArray[np.int16]:
    """All of a file, or of an array. Raises UserError: it is no sound, or nothing."""
    from edgedistill.listening.ear import as_real

    if is_file(sound):
        return np.concatenate(list(file_blocks(sound, rate, lambda text: None)))
    if not len(real := as_real(sound)):
        raise UserError("sound without a sample", "give at least one")
    return np.rint(real * 32768).clip(-32768, 32767).astype(np.int16)


def listen(
    bundle: Bundle,
    chunks: Chunks,
    runtime: str | None,
    precision: str | None,
    threads: int,
    say: Say | None,
) -> Iterator[Detection]:
    """As `Bundle.listen` says it."""
    found = bundle.manifest.get("listening")
    if found is None:
        raise UserError(
            f"{bundle.path}: nothing in it listens: its task is no keywords, or its student has no "
            "program `step`",
            "compile a recipe of `task: keywords` whose student streams",
        )
    told = BundledListening.model_validate_json(json.dumps(found))
    heard = _Hearing(bundle, told, runtime, precision, threads)
    rate, quiet = told.rate, say or (lambda text: None)
    return _detections(heard, _streams(chunks, rate, quiet))


def _detections(
    heard: _Hearing, streams: Iterator[tuple[str | None, Iterable[Chunk]]]
) -> Iterator[Detection]:
    for file, pieces in streams:
        yield from heard.stream(pieces, file)


def _streams(chunks: Chunks, rate: int, say: Say) -> Iterator[tuple[str | None, Iterable[Chunk]]]:
    """Each file is a stream of its own; samples, in however many pieces, are one."""
    if is_file(chunks):
        yield str(chunks), file_blocks(chunks, rate, say)
        return
    if isinstance(chunks, np.ndarray):
        yield None, [chunks]
        return
    pieces: Iterator[Any] = iter(cast(Any, chunks))
    first = next(pieces, None)
    if first is None:
        return
    if not is_file(first):
        yield None, _again(first, pieces)
        return
    for file in _again(first, pieces):
        yield str(file), file_blocks(file, rate, say)


def _again(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


def file_blocks(file: Any, rate: int, say: Say) -> Iterator[Chunk]:
    """A file's samples, int16, block by block at the wanted rate; what was changed is said.

    Raises UserError: it is no sound.
    """
    from edgedistill.data.sound.decode import SILENT, BadSound, Heard, decoded_blocks

    name, seen, told = str(file), Heard(), False
    try:
        for block in decoded_blocks(Path(file), rate, seen):
            if not told and seen.rate != rate:
                say(f"{name}: {seen.rate} samples a second, resampled to {rate}")
            if not told and seen.channels > 1:
                say(f"{name}: {seen.channels} channels, mixed into one")
            told = True
            yield block
    except BadSound as error:
        raise UserError(f"{name}: {error.reason}", "give a WAV, FLAC, MP3 or Ogg file") from None
    if seen.peak < SILENT:
        say(f"{name}: silent: nothing in it rises above -70 decibels")
    if seen.clipped:
        say(f"{name}: {seen.clipped} samples at full scale: recorded too loud")


class _Hearing:
    """A file's step, and the rule by which a keyword counts as heard."""

    def __init__(
        self,
        bundle: Bundle,
        told: BundledListening,
        runtime: str | None,
        precision: str | None,
        threads: int,
    ) -> None:
        self._open: Callable[[], Ear] = lambda: ear(bundle, told, runtime, precision, threads)
        self._rule, self._seconds = _rule(told), told.hop / told.rate
        self._open()  # what is wrong with the bundle is told before there is sound

    def stream(self, pieces: Iterable[Chunk], file: str | None) -> Iterator[Detection]:
        """What is heard in one stream, as it comes."""
        from edgedistill.listening.decision import Decider

        listening, decider = self._open(), Decider(self._rule)
        for piece in pieces:
            for each in decider.feed(listening.feed(piece)):
                seconds = (each.step + 1) * self._seconds
                name = self._rule.keywords[each.keyword]
                yield Detection(name, seconds, each.confidence, file)


def ear(
    bundle: Bundle, told: BundledListening, runtime: str | None, precision: str | None, threads: int
) -> Ear:
    """A file's step at its beginning; told: the manifest's `listening`. Raises UserError: the step
    or the labels are others than that says."""
    from edgedistill.listening.ear import Ear

    stream = bundle.stream(told.program, runtime, precision, threads)
    hops = _hops(bundle, told)
    (fresh, *more) = stream.signature.fresh
    if more or fresh.shape[-1] != hops.hop or len(fresh.shape) != 2:
        raise UserError(
            f"{bundle.path}: its program `{told.program}` takes something else than "
            f"{hops.hop} samples",
            "compile the bundle again",
        )
    return Ear(stream.judged, hops)


def _hops(bundle: Bundle, told: BundledListening) -> Hops:
    from edgedistill.listening.ear import Hops

    unknown = sorted(told.thresholds.keys() - {*bundle.labels})
    if unknown:
        raise UserError(
            f"{bundle.path}: listens for `{unknown[0]}`, which is none of its labels",
            "compile the bundle again",
        )
    classes = tuple(bundle.labels.index(name) for name in told.thresholds)
    return Hops(told.hop, told.lead_in, bundle.manifest["temperature"], classes)


def _rule(told: BundledListening) -> Rule:
    from edgedistill.records.listening import Rule

    return Rule(
        keywords=tuple(told.thresholds),
        thresholds=tuple(told.thresholds.values()),
        smoothing=told.smoothing,
        refractory=told.refractory,
    )
