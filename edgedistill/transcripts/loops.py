"""A decoder that says the same again and again, found in its text."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Sequence

from edgedistill.transcripts.normalize import UNSPACED

LONGEST = 8
"""Words of an n-gram that is looked for; longer ones are left to the compression ratio."""
CHARACTERS_A_WORD = 2
"""Of languages without spaces, about: a word of Chinese has one or two."""


def words(text: str, language: str) -> list[str]:
    """`text` as it was said, without case and punctuation; in a language without spaces its
    characters. Numbers stay as they are, which the normalizer runs together."""
    bare = "".join(_letter(char) for char in unicodedata.normalize("NFKC", text).casefold())
    return list("".join(bare.split())) if language in UNSPACED else bare.split()


def _letter(char: str) -> str:
    """An apostrophe holds a word together, other punctuation parts two."""
    if char in "'\u2019":
        return ""
    return " " if unicodedata.category(char)[0] in "PS" else char


def longest_n_gram(language: str) -> int:
    """Of `language`, in what `words` gives."""
    return LONGEST * CHARACTERS_A_WORD if language in UNSPACED else LONGEST


def repeats(said: Sequence[str], longest: int) -> int:
    """How many times an n-gram of at most `longest` words follows itself without a word between:
    0 in ordinary text, 2 in `no, no, no`."""
    return max((_run(said, n) // n for n in range(1, longest + 1)), default=0)


def _run(said: Sequence[str], n: int) -> int:
    """The most words in a row that are each what stands `n` before."""
    run = most = 0
    for before, word in zip(said, said[n:], strict=False):
        run = run + 1 if word == before else 0
        most = max(most, run)
    return most


def compression_ratio(text: str) -> float:
    """Bytes of the text (UTF-8) for each byte that zlib makes of it: about 1.5 for a few sentences,
    more the more it repeats itself (Radford et al. 2023, section 4.5)."""
    content = text.encode()
    return len(content) / len(zlib.compress(content))
