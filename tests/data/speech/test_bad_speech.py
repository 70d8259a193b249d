"""What is wrong with utterances, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from said import RATE, file_of, folder, manifest, silence, spoken, table, talk
from tones import encoded, write

from edgedistill.errors import UserError
from edgedistill.records import SpeechRecord

Prepared = Callable[..., SpeechRecord]


def refusal(prepared: Prepared, **fields: Any) -> UserError:
    with pytest.raises(UserError) as told:
        prepared(**fields)
    assert told.value.hint
    return told.value


def test_odd_recordings_are_told_with_counts(tmp_path: Path, prepared: Prepared) -> None:
    train = folder(tmp_path / "a", 8)
    write(train / "b.wav", np.clip(9.0 * spoken(20) / 32768, -1, 1), RATE)
    write(train / "c.wav", np.stack([spoken(21)] * 2, 1), RATE)
    write(train / "d.wav", spoken(22), 8000)
    write(train / "e.wav", silence(0.5), RATE)
    (train / "notes.txt").write_text("hello")
    record = prepared(train=train, test=talk(tmp_path / "t.parquet", 1, first=40))
    assert record.notes == (
        "a: 1 of 13 files are .txt, passed over: no kind of sound that is read; convert what is a "
        "recording; first notes.txt",
        "a: has no transcripts: no column or key `text`",
        "a: has no speakers: no column or key `speaker`",
        "the training recordings name no speakers: a voice may be in training and in test; "
        "`data.speaker` names what tells of them",
        "resampled to 16000 Hz: 1 of 8000 Hz, of 14 recordings; those of 8000 Hz hold nothing "
        "above 4000 Hz",
        "1 of 14 recordings (first a/c.wav) have several channels, mixed into one",
        "1 of 14 recordings (first a/b.wav) are clipped: too loud for their format, they stay at "
        "its limit for several samples in a row",
        "1 of 14 recordings (first a/e.wav) are silent, 0 of them with a transcript of words",
        "utterances with a transcript: 0 of 11 in train, 0 of 1 in validation, 2 of 2 in test",
    )
    assert str(tmp_path) not in "".join(record.notes)


def test_what_cannot_be_decoded_is_left_out_and_told(tmp_path: Path, prepared: Prepared) -> None:
    bad = [
        b"",
        b"words, not sound",
        file_of(spoken(50))[:2000],
        encoded(np.zeros(0, np.float32), RATE),
        encoded(np.array([0, np.nan] * 50), RATE, subtype="FLOAT"),
    ]
    rows = [*bad, *(spoken(number) for number in range(8))]
    record = prepared(
        train=table(tmp_path / "a.parquet", rows), test=talk(tmp_path / "t.parquet", 1, first=40)
    )
    assert record.left_out == {"empty": 2, "damaged": 2, "no numbers": 1}
    assert sum(record.counts.values()) == 10
    assert len(record.skipped) == 5
    assert "a.parquet row 2: is cut off: 7644 of 9600 bytes of sound are missing" in record.skipped
    (told,) = [note for note in record.notes if "cannot be read" in note]
    assert told == (
        "recordings that cannot be read are left out (2 damaged, 2 empty, 1 no numbers); first "
        + record.skipped[0]
    )


@pytest.mark.parametrize("missing", [1, 6])
def test_files_of_a_manifest_that_are_missing(
    tmp_path: Path, prepared: Prepared, missing: int
) -> None:
    for number in range(missing, 6):
        write(tmp_path / f"{number}.wav", spoken(number), RATE)
    rows = [{"path": f"{number}.wav", "text": "said"} for number in range(6)]
    path = manifest(tmp_path / "a.jsonl", rows)
    told = refusal(prepared, train=path)
    assert told.message == (
        f"{path}: {missing} of 6 recordings are not there; first {tmp_path / '0.wav'}"
    )
    assert "from the manifest's own folder" in told.hint


def test_transcripts_that_are_asked_for_and_nowhere(tmp_path: Path, prepared: Prepared) -> None:
    places = [folder(tmp_path / "a"), talk(tmp_path / "b.parquet")]
    told = refusal(prepared, train=places, text="sentence")
    assert told.message == (
        f"data: no place has transcripts: `text: sentence` is in none of 2; first {places[0]}"
    )
    assert refusal(prepared, train=places[0], text="text").message.endswith(f"first {places[0]}")
    assert refusal(prepared, train=places, speaker="voice").message.startswith(
        "data: no place has speakers: `speaker: voice` is in none of 2"
    )
    nothing = table(tmp_path / "c.parquet", [spoken(n) for n in range(4)], text=[None] * 4)
    assert "no place has transcripts" in refusal(prepared, train=nothing, text="text").message
    record = prepared(train=nothing)
    assert record.notes[0] == "c.parquet: has no transcripts: all of `text` are null"
    assert prepared(train=places, text=None).with_text == {"train": 0, "validation": 0, "test": 0}


@pytest.mark.parametrize(
    ("values", "what"), [([3] * 4, "3"), ([["a", "list"]] * 4, r"\['a', 'list'\]")]
)
def test_transcripts_that_are_no_text(
    tmp_path: Path, prepared: Prepared, values: list[Any], what: str
) -> None:
    sounds = [spoken(number) for number in range(4)]
    told = refusal(prepared, train=table(tmp_path / "a.parquet", sounds, text=values))
    path = tmp_path / "a.parquet"
    assert told.message == f"{path}: column `text`: entry 0 is {what}, no text".replace("\\", "")


def test_text_that_is_no_unicode(tmp_path: Path, prepared: Prepared) -> None:
    write(tmp_path / "a.wav", spoken(0), RATE)
    (tmp_path / "a.jsonl").write_text('{"path": "a.wav", "text": "\\ud800"}\n' * 4)
    told = refusal(prepared, train=tmp_path / "a.jsonl")
    assert told.message == f"{tmp_path / 'a.jsonl'}: key `text`: entry 0 is '\\ud800', no text"


def test_places_that_are_no_sound(tmp_path: Path, prepared: Prepared) -> None:
    good = folder(tmp_path / "good")
    assert refusal(prepared, train=[good, tmp_path / "gone"]).message == (
        f"recordings not found: {tmp_path / 'gone'}"
    )
    (tmp_path / "empty").mkdir()
    assert refusal(prepared, train=[good, tmp_path / "empty"]).message == (
        f"{tmp_path / 'empty'}: there are no recordings in its folders"
    )
    (tmp_path / "a.csv").write_text("a,b")
    told = refusal(prepared, train=[good, tmp_path / "a.csv"])
    assert told.message == f"{tmp_path / 'a.csv'}: no recordings that are read"
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "n.parquet")
    assert "has no column `audio`" in refusal(prepared, train=tmp_path / "n.parquet").message
    pictures = table(tmp_path / "p.parquet", [b"\x89PNG\r\n\x1a\n" + bytes(40)] * 3)
    told = refusal(prepared, train=[good, pictures])
    assert told.message == (
        f"{pictures}: none of its 3 recordings can be decoded; first p.parquet row 0: cannot be "
        "decoded: not sound in a format that edgedistill reads"
    )
    (tmp_path / "m.jsonl").write_text("\n")
    assert refusal(prepared, train=tmp_path / "m.jsonl").message.endswith("holds no lines")


def test_files_of_other_splits_alone(tmp_path: Path, prepared: Prepared) -> None:
    root = talk(tmp_path / "set" / "validation-00000.parquet").parent
    told = refusal(prepared, train=root)
    assert told.message == (
        f"{root}: none of its 1 parquet files is named train or training; first "
        "validation-00000.parquet"
    )


def test_too_few_to_part(tmp_path: Path, prepared: Prepared) -> None:
    two = talk(tmp_path / "a.parquet", 2, 5)
    told = refusal(prepared, train=two)
    assert told.message == "data: 2 speakers; of 3 splits that share none each needs one"
    assert "`speaker: null`" in told.hint
    one = talk(tmp_path / "b.parquet", 1, 5, first=40)
    assert refusal(prepared, train=one, test=two).message.startswith("data: 1 speakers; of 2")
    told = refusal(prepared, train=folder(tmp_path / "c", 2))
    assert told.message == "data: 2 recordings; of 3 splits each needs one"
    assert prepared(train=folder(tmp_path / "c", 3)).counts == dict.fromkeys(
        ("train", "validation", "test"), 1
    )
    assert prepared(train=two, test=one, speaker=None).counts["validation"] == 1


def test_one_who_says_nearly_all(tmp_path: Path, prepared: Prepared) -> None:
    who = ["much"] * 20 + ["b", "c"]
    path = table(tmp_path / "a.parquet", [spoken(n, 0.05) for n in range(22)], speaker=who)
    for seed in range(5):
        assert prepared(seed, train=path).speakers == dict.fromkeys(
            ("train", "validation", "test"), 1
        )


def test_nothing_left_of_a_split(tmp_path: Path, prepared: Prepared) -> None:
    train = talk(tmp_path / "a.parquet", 4)
    told = refusal(prepared, train=train, test=talk(tmp_path / "b.parquet", 4))
    assert told.message == "data: no utterance is left in train; left out of all splits: 8 copy"
    long = table(tmp_path / "c.parquet", [spoken(n, 1.2) for n in range(6)], text=["said"] * 6)
    told = refusal(prepared, train=long, seconds=1)
    assert told.message.startswith("data: no utterance is left in train; left out of all splits: ")
    assert told.message.endswith(" long")
