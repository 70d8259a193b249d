"""Speech to text: sound cut at its quietest places, decoded piece by piece, joined."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .app import Description
from .decoding import Decoder
from .parting import parted, silent
from .runtime import Program
from .selftest import Check, SelfTestFailed
from .sounds import Samples, as_real, read


@dataclass(frozen=True)
class Segment:
    """What is said in a piece of sound that was decoded at once."""

    start: float
    """Seconds from the beginning."""
    end: float
    text: str
    tokens: tuple[int, ...]
    ended: bool
    """Whether all of it was transcribed, and neither its tokens nor the guards cut it off."""


@dataclass(frozen=True)
class Transcript:
    """What is said in a sound; silence between segments is in none."""

    text: str
    segments: tuple[Segment, ...]
    seconds: float


class Recognizer:
    """What `open` gives for speech."""

    def __init__(self, app: Description, threads: int) -> None:
        self._app, self._told = app, app.document["transcription"]
        path = app.folder / self._told["vocabulary"]
        pieces = json.loads(path.read_text(encoding="utf-8"))["pieces"]
        self._pieces = [base64.b64decode(each) for each in pieces]
        encode, step = (Program(app, name, threads) for name in ("encode", "decode_step"))
        self._decoder = Decoder(encode, step, self._told["rules"], self._told["guards"])

    def transcribe(self, sound: Any) -> Transcript:
        """What is said in samples (any number,) at the model's rate, int16 or floats in -1..1, or
        in a WAV file of that rate. Raises ValueError: it is neither."""
        samples = read(sound, self._told["rate"])
        found = tuple(self.segments(samples))
        texts = [each.text for each in found if each.text]
        joined = (" " if self._told["spaced"] else "").join(texts)
        return Transcript(joined, found, len(samples) / self._told["rate"])

    def segments(self, sound: Any) -> Iterator[Segment]:
        """The same, piece by piece as they are decoded."""
        rate, window = self._told["rate"], self._told["window"]
        end = 0
        for piece in parted(read(sound, rate), window, rate):
            start, end = end, end + len(piece)
            if not silent(piece, rate):
                tokens, ended = self._decoder.decode(self._filled(piece))
                text = self._text(tokens)
                yield Segment(start / rate, end / rate, text, tuple(tokens), ended)

    def _filled(self, piece: Samples) -> Any:
        found = np.zeros((1, self._told["window"]), np.float32)
        found[0, : len(piece)] = as_real(piece)
        return found

    def _text(self, tokens: list[int]) -> str:
        return b"".join(self._pieces[each] for each in tokens).decode(errors="replace").strip()

    def self_test(self) -> Check:
        """Decode the golden utterances. Raises SelfTestFailed: to too many other tokens."""
        golden, wrong, count = self._app.document["golden"], 0, 0
        for each in golden["utterances"]:
            found = self.transcribe(self._app.folder / each["file"])
            tokens = [token for segment in found.segments for token in segment.tokens]
            wrong += edits(tokens, each["tokens"])
            count += len(each["tokens"])
        if wrong > golden["edits"] * count:
            raise SelfTestFailed(
                f"{wrong} edits of {count} tokens; a share of {golden['edits']:g} may be"
            )
        return Check(float(wrong), golden["edits"] * count, equal=wrong == 0, tokens=count)


def edits(found: list[int], wanted: list[int]) -> int:
    """How many tokens are put in, left out or changed (Levenshtein)."""
    row = list(range(len(wanted) + 1))
    for at, token in enumerate(found):
        above, row = row, [at + 1]
        for to, right in enumerate(wanted):
            row.append(min(above[to] + (token != right), above[to + 1] + 1, row[to] + 1))
    return row[-1]
