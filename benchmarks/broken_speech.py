"""What breaks a recipe of speech, its recordings, its teacher, or a bundle of it: for
`bad_speech`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from safetensors.torch import load_file, save_file

from benchmarks.bad_sound import jpeg
from benchmarks.small_speech import (
    RATE,
    add_recording,
    change_lines,
    chirp,
    encoded,
    silence,
    whisper_models,
    with_speech,
    write_lines,
)

Fill = Callable[[Path], dict[str, Any]]
"""A folder, and returns the recipe."""
SAID, LONG = chirp(9_000, 3, RATE), chirp(50_000, 4, RATE)
QUICK: dict[str, Any] = {"stages__distill": None}
"""Of a recipe: nothing is trained."""
TEXT = b"Recorded on Monday, ask Ann.\n"


def given(**changes: Any) -> Fill:
    """The recipe with other values."""
    return lambda folder: with_speech(folder, **changes)


def without(*names: str, **changes: Any) -> Fill:
    """Nothing where these were."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder, **changes)
        for each in names:
            path = folder / each
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return document

    return prepare


def holding(name: str, content: bytes | str, **changes: Any) -> Fill:
    """A file of this content."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder, **changes)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return document

    return prepare


def lines(
    change: Callable[[dict[str, Any]], dict[str, Any]], of: str = "train", **changes: Any
) -> Fill:
    """Manifests whose lines are others."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder, **changes)
        change_lines(folder / f"{of}.jsonl", change)
        return document

    return prepare


def saved(name: str, **changes: Any) -> Fill:
    """A file of the teacher's with other values; None: the key is not there."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder)
        whisper_models.change(folder / "teacher" / name, **changes)
        return document

    return prepare


def weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Fill:
    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder)
        path = folder / "teacher" / "model.safetensors"
        save_file(change(load_file(path)), path)
        return document

    return prepare


def cut_off(name: str, share: float = 0.5) -> Fill:
    """The end of a file is missing."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])
        return document

    return prepare


def broken(value: float) -> bytes:
    """A float WAV with a sample that is no number."""
    samples = SAID.copy()
    samples[1000] = value
    return encoded(samples, RATE, subtype="FLOAT")


def rate_of(rate: int) -> bytes:
    content = bytearray(encoded(SAID, RATE))
    content[24:28] = rate.to_bytes(4, "little")
    return bytes(content)


UNREADABLE = {
    "a.wav": broken(np.nan), "b.wav": broken(np.inf), "c.wav": b"", "d.wav": rate_of(0),
    "e.wav": encoded(SAID[:0], RATE), "f.wav": encoded(SAID, RATE)[:2000], "g.wav": jpeg(),
    "h.wav": TEXT, "i.flac": encoded(LONG, RATE, "FLAC")[:9000],
    "j.mp3": encoded(LONG, RATE, "MP3")[:2000], "k.ogg": encoded(LONG, RATE, "OGG")[:9000],
    "l.opus": encoded(LONG, RATE, "OGG", subtype="OPUS")[:5000], "m.wav": rate_of(2_000_000_000),
}  # fmt: skip
ODD = {
    "a.wav": encoded(SAID, 8000), "b.wav": encoded(np.stack([SAID, SAID], 1), 44_100),
    "c.wav": encoded(silence(0.5), RATE), "d.wav": encoded(np.clip(90 * SAID, -1, 1), RATE),
    "e.wav": encoded(LONG, RATE), "f.wav": encoded(SAID[:1], RATE), "g.wav": encoded(SAID, 192_000),
}  # fmt: skip


def with_recordings(held: dict[str, bytes], text: str | None = None, **changes: Any) -> Fill:
    """These to train on too."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder, **QUICK, **changes)
        for name, content in held.items():
            add_recording(folder, name, content, text)
        return document

    return prepare


def nothing_readable(folder: Path) -> dict[str, Any]:
    document = with_speech(folder)
    write_lines(folder / "train.jsonl", [])
    for name, content in UNREADABLE.items():
        add_recording(folder, name, content)
    return document


def same_recordings(folder: Path) -> dict[str, Any]:
    document = with_speech(folder)
    shutil.rmtree(folder / "test")
    for number in range(4):
        (folder / "train" / f"{number}.wav").write_bytes(encoded(SAID * 0.25 * (number + 1), RATE))
    shutil.copytree(folder / "train", folder / "test")
    lines = (folder / "train.jsonl").read_text().replace('"train/', '"test/')
    (folder / "test.jsonl").write_text(lines)
    return document


def parquet(**columns: Any) -> Fill:
    """A table to train on; `None` takes a column away."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder, data__train="train.parquet")
        files = sorted((folder / "train").iterdir())
        held: dict[str, Any] = {
            "audio": [each.read_bytes() for each in files], "text": ["the hat"] * len(files),
        }  # fmt: skip
        made = {name: each for name, each in (held | columns).items() if each is not None}
        pyarrow.parquet.write_table(pyarrow.table(made), folder / "train.parquet")
        if "data" in columns:
            document["data"]["text"] = "words"
        return document

    return prepare


def half_a_parquet(folder: Path) -> dict[str, Any]:
    document = parquet()(folder)
    content = (folder / "train.parquet").read_bytes()
    (folder / "train.parquet").write_bytes(content[: len(content) // 2])
    return document


def few(count: int, **changes: Any) -> Fill:
    """So many recordings to train on."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder, **changes)
        held = (folder / "train.jsonl").read_text().splitlines(keepends=True)
        (folder / "train.jsonl").write_text("".join(held[:count]))
        return document

    return prepare


def folders(folder: Path) -> dict[str, Any]:
    """Recordings without any transcript, train and test."""
    return with_speech(folder, data__train="train", data__test="test")


def no_sound(folder: Path) -> dict[str, Any]:
    document = with_speech(folder, data__train="train")
    for each in (folder / "train").iterdir():
        each.unlink()
    (folder / "train" / "notes.txt").write_text("to be recorded")
    return document


def tokenizer(change: Callable[[dict[str, Any]], None]) -> Fill:
    def prepare(folder: Path) -> dict[str, Any]:
        document = with_speech(folder)
        path = folder / "teacher" / "tokenizer.json"
        found = json.loads(path.read_text())
        change(found)
        path.write_text(json.dumps(found))
        return document

    return prepare


def shift(found: dict[str, Any]) -> None:
    """A table of fewer pieces, whose names have other numbers: another model's."""
    found["model"]["vocab"] = {
        piece: number for piece, number in found["model"]["vocab"].items() if number < 200
    }
    for each in found["added_tokens"]:
        each["id"] -= whisper_models.FIRST - 200


def beyond(found: dict[str, Any]) -> None:
    found["model"]["vocab"] |= {f"word{each}": 1000 + each for each in range(9)}


def english(folder: Path) -> dict[str, Any]:
    document = with_speech(folder, data__language="de")
    whisper_models.change(folder / "teacher" / "generation_config.json", is_multilingual=False,
                          lang_to_id=None, task_to_id=None)  # fmt: skip
    return document


def pickled(folder: Path) -> dict[str, Any]:
    document = with_speech(folder)
    path = folder / "teacher" / "model.safetensors"
    torch.save(load_file(path), folder / "teacher" / "pytorch_model.bin")
    path.unlink()
    return document


def indexed(folder: Path, held: str) -> dict[str, Any]:
    document = with_speech(folder)
    (folder / "teacher" / "model.safetensors").unlink()
    index = {"weight_map": {"model.encoder.conv1.weight": held}}
    (folder / "teacher" / "model.safetensors.index.json").write_text(json.dumps(index))
    return document


def manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        path = folder / "edgedistill.json"
        found = json.loads(path.read_text())
        change(found)
        path.write_text(json.dumps(found))

    return fill


def fewer_tokens(folder: Path) -> None:
    path = folder / "vocabulary.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"pieces": found["pieces"][:-30]}))


def other_token(folder: Path) -> None:
    path = folder / "vocabulary.json"
    found = json.loads(path.read_text())
    found["pieces"][65] = "!!"
    path.write_text(json.dumps(found))


def model_file(folder: Path) -> Path:
    return next(folder.glob("*encode*.onnx"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
