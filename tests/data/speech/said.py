"""Utterances made on the spot: tones, at the rate of a recognizer, and what is said in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tones import encoded, word, write

RATE = 16_000
Samples = np.ndarray[Any, np.dtype[np.int16]]


def spoken(number: int, seconds: float = 0.3) -> Samples:
    """(samples,): the same number is the same utterance."""
    return np.rint(32767 * word(number, 0, seconds, RATE)).clip(-32768, 32767).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


def file_of(samples: Samples) -> bytes:
    return encoded(samples, RATE, subtype="PCM_16")


def table(path: Path, audio: list[Samples | bytes], **columns: Any) -> Path:
    files = [each if isinstance(each, bytes) else file_of(each) for each in audio]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"audio": files, **columns}), path)
    return path


def talk(path: Path, speakers: int = 6, each: int = 2, first: int = 0) -> Path:
    """Each speaker says `each` utterances, number after number from `first` on."""
    who = [f"s{first + number // each}" for number in range(speakers * each)]
    numbers = range(first * each, first * each + len(who))
    texts = [f"number {number}" for number in numbers]
    return table(path, [spoken(number) for number in numbers], text=texts, speaker=who)


def folder(root: Path, count: int = 6, first: int = 0) -> Path:
    """Recordings at two depths, without transcripts."""
    for number in range(first, first + count):
        write(root / ("" if number % 2 else "more") / f"{number}.wav", spoken(number), RATE)
    return root


def manifest(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
