"""Which of a teacher's transcripts are fit to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from edgedistill.transcripts.errors import align
from edgedistill.transcripts.loops import (
    CHARACTERS_A_WORD,
    compression_ratio,
    longest_n_gram,
    repeats,
    words,
)
from edgedistill.transcripts.normalize import UNSPACED, Normalize

Kind = Literal["empty", "loop", "compressed", "too fast", "wrong", "silent", "unsure"]
"""Why a transcript is dropped; of several reasons the first of these."""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Up to where a transcript is believed.

    What its text alone tells (`empty`, `loop`, `compressed`, `too fast`) counts always. A reference
    that it agrees with vouches for it; the teacher's own confidence (`silent`, `unsure`) is asked
    only where there is none, as what is hard for the teacher and right is worth most.
    """

    word_error_rate: float = 10.0
    """Against the reference, in percent, at most: the threshold that Distil-Whisper was trained
    with (Gandhi et al. 2023)."""
    compression_ratio: float = 2.4
    """At most: Radford et al. 2023, section 4.5."""
    log_probability: float = -1.0
    """The mean of the tokens', at least: Radford et al. 2023, section 4.5."""
    no_speech: float = 0.6
    """Its probability, at most: Radford et al. 2023, section 4.5, who ask for a low log-probability
    too, as they drop what a person wants to read: a sample less is no such loss."""
    repeats: int = 3
    """Times that an n-gram of up to 8 words follows itself, at most. People do say `no, no, no,
    no`; a decoder that loops goes on to its limit. Our own choice: in LibriSpeech once is rare."""
    words_per_second: float = 6.0
    """At most; a word is two characters in languages without spaces. Our own choice: read English
    has 2 to 4, and no language much more than 8 syllables (Pellegrino et al. 2011)."""


@dataclass(frozen=True, kw_only=True)
class Transcribed:
    """What a teacher made of an utterance."""

    text: str
    log_probability: float
    """Of a token, natural, on average."""
    no_speech: float
    """The probability of the token for it, first of all."""
    seconds: float
    """How long the utterance is."""
    reference: str | None = None
    """What was said; empty where that was nothing, None where nobody knows."""


@dataclass(frozen=True)
class Filtered:
    """What became of each transcript."""

    dropped: tuple[Kind | None, ...]
    """None for what is kept."""

    @property
    def counts(self) -> dict[Kind, int]:
        """How many were dropped for each of `KINDS`."""
        found = Counter(self.dropped)
        return {kind: found[kind] for kind in KINDS}


def sift(
    utterances: Iterable[Transcribed], config: FilterConfig, language: str, normalize: Normalize
) -> Filtered:
    """Which transcripts, in `language` (a code, as `en`), are dropped, and why. `normalize` is the
    language's `normalizer`. A figure that is not a number drops what it belongs to.

    No text at all is kept where the reference has none either: it teaches silence.
    """
    return Filtered(tuple(_kind(each, config, language, normalize) for each in utterances))


def _kind(
    each: Transcribed, config: FilterConfig, language: str, normalize: Normalize
) -> Kind | None:
    if not normalize(each.text):
        silence = each.reference is not None and not normalize(each.reference)
        return None if silence and not each.text.strip() else "empty"
    found = _by_text(each, config, language)
    if found is not None:
        return found
    if each.reference is None:
        return _by_confidence(each, config)
    (counts,) = align([each.reference], [each.text], normalize, "words")
    return "wrong" if 100.0 * counts.errors > config.word_error_rate * counts.length else None


def _by_text(each: Transcribed, config: FilterConfig, language: str) -> Kind | None:
    said = words(each.text, language)
    if repeats(said, longest_n_gram(language)) > config.repeats:
        return "loop"
    if compression_ratio(each.text) > config.compression_ratio:
        return "compressed"
    count = len(said) / CHARACTERS_A_WORD if language in UNSPACED else len(said)
    return None if count <= config.words_per_second * each.seconds else "too fast"


def _by_confidence(each: Transcribed, config: FilterConfig) -> Kind | None:
    if not each.no_speech <= config.no_speech:
        return "silent"
    return None if each.log_probability >= config.log_probability else "unsure"
