"""A recognizer's tokens, and the text that they are pieces of."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgedistill.artifact import write_json
from edgedistill.errors import UserError, reading
from edgedistill.files import read_json_file

_SAVED = "give the folder with its `tokenizer.json`, as transformers saves it"
_MOST = 64 << 20
_WHOLE, _PLAIN, _ADDED = "tokenizer.json", "vocab.json", "added_tokens.json"


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by their numbers."""

    pieces: tuple[bytes, ...]
    """Of text (UTF-8, a piece may end within a character); empty for what is none."""
    named: dict[str, int]
    """What is no text, such as `<|endoftext|>`."""

    def text(self, tokens: Iterable[int]) -> str:
        """What tokens say, without those that are no text; a character that is not whole is
        replaced."""
        return b"".join(self.pieces[each] for each in tokens).decode(errors="replace").strip()

    def trimmed(self, kept: Sequence[int]) -> Vocabulary:
        """These tokens alone, with the numbers of their places in `kept`."""
        place = {token: number for number, token in enumerate(kept)}
        names = {name: place[token] for name, token in self.named.items() if token in place}
        return Vocabulary(tuple(self.pieces[each] for each in kept), names)

    def write(self, path: Path) -> None:
        """Write them as JSON: `pieces`, in base64, and `named`."""
        pieces = [base64.b64encode(each).decode() for each in self.pieces]
        write_json(path, {"pieces": pieces, "named": self.named})

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """What `write` left. Raises UserError: it is something else."""
        found = read_json_file(path, "a vocabulary", "compile the bundle again", _MOST)
        with reading(str(path), "compile the bundle again"):
            pieces = tuple(base64.b64decode(each, validate=True) for each in found["pieces"])
            return cls(pieces, _numbered(found["named"], path))

    def ascii(self) -> list[int]:
        """The tokens of nothing but ASCII, and those that are no text."""
        return [number for number, piece in enumerate(self.pieces) if piece.isascii()]


def read_vocabulary(folder: Path, count: int) -> Vocabulary:
    """The tokens of a model of `count` tokens, from `tokenizer.json`, or `vocab.json` and
    `added_tokens.json`. What the model has beyond them says nothing: Whisper's timestamps.

    Raises UserError: no such file, it is no table of tokens, or one has a number beyond `count`.
    """
    path = folder / (_WHOLE if (folder / _WHOLE).exists() else _PLAIN)
    pieces, named = _tables(path)
    beyond = [name for name, number in (pieces | named).items() if number >= count]
    if beyond:
        raise UserError(
            f"{path}: has the token `{beyond[0]}`, whose number is beyond the model's {count} "
            "tokens: it is another model's",
            _SAVED,
        )
    held, no_text = [b""] * count, set(named.values())
    for piece, number in pieces.items():
        if number not in no_text:
            held[number] = _bytes_of(piece, path)
    return Vocabulary(tuple(held), named)


def _tables(path: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Pieces of text and what is none, by their numbers."""
    found = read_json_file(path, "a tokenizer", _SAVED, _MOST)
    if path.name == _PLAIN:
        added = path.with_name(_ADDED)
        named = read_json_file(added, "a tokenizer", _SAVED, _MOST) if added.exists() else {}
        return _numbered(found, path), _numbered(named, added)
    try:
        pieces = found["model"]["vocab"]
        named = {each["content"]: each["id"] for each in found["added_tokens"]}
    except (KeyError, TypeError):
        raise UserError(f"{path}: has no tokens under `model.vocab`", _SAVED) from None
    return _numbered(pieces, path), _numbered(named, path)


def _numbered(table: Any, path: Path) -> dict[str, int]:
    if isinstance(table, dict) and all(isinstance(n, int) and n >= 0 for n in table.values()):
        return table
    raise UserError(f"{path}: is no table of tokens and their numbers", _SAVED)


def _bytes_of(piece: str, path: Path) -> bytes:
    try:
        return bytes(_alphabet()[char] for char in piece)
    except KeyError:
        raise UserError(
            f"{path}: `{piece[:60]}` is no token of bytes, which a Whisper's are", _SAVED
        ) from None


@cache
def _alphabet() -> dict[str, int]:
    """Each byte by the character that stands for it in a table of tokens (Radford et al. 2019,
    "Language Models are Unsupervised Multitask Learners", section 2.2): itself where it can be
    seen, else the next one from U+0100 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
    unseen = [each for each in range(256) if each not in seen]
    return {chr(each): each for each in seen} | {
        chr(256 + place): each for place, each in enumerate(unseen)
    }
