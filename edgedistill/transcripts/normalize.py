"""A transcript as it is compared: Whisper's own normalizers (Radford et al. 2023, appendix C)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from edgedistill.errors import UserError, blaming
from edgedistill.files import read_json_file

Normalize = Callable[[str], str]

UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})
"""Codes of the languages that are written without spaces between words, where a character stands
for one: those of Radford et al. 2023, appendix C, Cantonese and Khmer."""

_AS_SAVED = "save the teacher's processor anew, or delete this file"


@cache
def normalizer(language: str, folder: Path | None = None) -> Normalize:
    """Of texts in `language` (a code, as `en`), which it makes lower case, without punctuation,
    without what stands in brackets, and with single spaces.

    In English contractions are written out, numbers in digits and fillers left out; British
    spellings are made American by the table `normalizer.json` of a model's folder, if it has one.
    In languages without spaces each character becomes a word.

    As published figures are made, combining marks are lost: words in scripts that write vowels so
    (Devanagari, Thai) break, and a wrong vowel is no error (Manohar and Pillai 2024). Latin letters
    keep their accents, but in English.

    Raises UserError: transformers is missing; the table is none. What it returns raises UserError
    for a text that it cannot take, as a number of thousands of digits is.
    """
    whisper = _imported()
    if language == "en":
        return _safely(whisper.EnglishTextNormalizer(_spellings(folder)))
    return _safely(whisper.BasicTextNormalizer(split_letters=language in UNSPACED))


def _imported() -> ModuleType:
    try:
        from transformers.models.whisper import english_normalizer
    except ImportError as error:
        raise UserError(
            f"comparing transcripts needs the package transformers ({error})",
            "pip install 'edgedistill[huggingface]'",
        ) from None
    module: ModuleType = english_normalizer
    return module


def _safely(normalize: Normalize) -> Normalize:
    def normalized(text: str) -> str:
        fault = f"a transcript cannot be normalized: `{text[:60]}`"
        with blaming(fault, "leave it out, or write it otherwise"):
            return normalize(text).strip()

    return normalized


def _spellings(folder: Path | None) -> dict[str, str]:
    if folder is None or not (folder / "normalizer.json").exists():
        return {}
    path = folder / "normalizer.json"
    table = read_json_file(path, "a table of spellings", _AS_SAVED)
    if not isinstance(table, dict) or not all(isinstance(each, str) for each in table.values()):
        raise UserError(f"{path}: is no table of one spelling for another", _AS_SAVED)
    return table
