"""What is wrong with recordings, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tones import RATE, encoded, hiss, noises, recordings, word, words, write

from edgedistill.errors import UserError
from edgedistill.recipe import Data

Make = Callable[..., Data]
Prepare = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return words(tmp_path / "words", no=10, yes=10)


def refusal(prepared: Prepare, data: Data) -> UserError:
    with pytest.raises(UserError) as told:
        prepared(data)
    return told.value


def test_odd_recordings_are_told_with_counts(
    folder: Path, sound_data: Make, prepared: Prepare
) -> None:
    loud = np.clip(5 * word(0, 90), -1, 1)
    write(folder / "no" / "a.wav", loud)
    write(folder / "no" / "b.wav", np.stack([word(0, 91)] * 2, 1), 44100)
    write(folder / "no" / "c.wav", word(0, 92, rate=4000), 4000)
    write(folder / "yes" / "d.wav", np.zeros(RATE // 2, np.float32))
    write(folder / "yes" / "e.wav", word(1, 93, seconds=1.5))
    found = prepared(sound_data(train=folder))
    assert found["warnings"] == [
        "the clips name no speakers: a voice may be in training and in test; `data.speaker` names "
        "what tells of them",
        "`sound.negatives` are not given: there is no class `unknown`, and whatever else is said "
        "is taken for one of the classes",
        "`sound.noise` is not given: there is no class `silence`, and no noise is mixed into the "
        "clips",
        "resampled to 8000 Hz: 1 of 44100 Hz, 1 of 4000 Hz, of 25 recordings; those of 4000 Hz "
        "hold nothing above 2000 Hz",
        "1 of 25 recordings (first words/no/b.wav) have several channels, mixed into one",
        "1 of 25 recordings (first words/no/a.wav) are clipped: too loud for their format, they "
        "stay at its limit for several samples in a row",
        "1 of 25 clips (first words/yes/d.wav) are silent, and labelled as if something could be "
        "heard in them",
        "1 of 25 clips (first words/yes/e.wav) are longer than `sound.seconds: 0.5` (up to 1.5 s): "
        "where most is spoken is kept",
        "23 of 25 clips (first words/no/0.wav) are shorter, padded with silence",
    ]


def test_good_recordings_are_told_of_in_one_line(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    for take in range(12):
        write(
            tmp_path / "words" / ("no", "yes")[take % 2] / f"{take}.wav", word(take % 2, take, 0.5)
        )
    for take in range(6):  # a class of the user's own, for which no noise is needed
        write(tmp_path / "words" / "silence" / f"{take}.wav", hiss(take, 0.5))
    negatives = {"negatives": [recordings(tmp_path / "other", 4)]}
    found = prepared(sound_data(train=tmp_path / "words", sound=negatives))
    assert len(found["warnings"]) == 1
    assert found["warnings"][0].startswith("the clips name no speakers")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"words, not sound", "cannot be decoded: not sound in a format that edgedistill reads"),
        (encoded(word(0))[:2000], "is cut off: 4444 of 6400 bytes of sound are missing"),
        (encoded(np.zeros(0, np.float32)), "holds no samples"),
        (
            encoded(word(0))[:24] + bytes(4) + encoded(word(0))[28:],
            "cannot be decoded: its header names a rate or a number of channels of 0",
        ),
        (
            encoded(np.array([0, np.nan] * 50), subtype="FLOAT"),
            "holds what is no number at 0.00 s",
        ),
    ],
    ids=["empty", "text", "cut off", "no samples", "no rate", "nan"],
)
def test_a_bad_recording_is_named(
    folder: Path, sound_data: Make, prepared: Prepare, content: bytes, reason: str
) -> None:
    (folder / "yes" / "3.wav").write_bytes(content)
    told = refusal(prepared, sound_data(train=folder))
    assert told.message == f"words/yes/3.wav: {reason}"
    assert told.hint == (
        "mend or remove it, or allow some with `data.skip_unreadable`, a share such as 0.01"
    )
    found = prepared(sound_data(train=folder, skip_unreadable=0.1))
    assert found["skipped"] == 1
    assert f"clips left out: 1 (class yes: 1 of 10); first {told.message}" in found["warnings"]
    (folder / "no" / "1.wav").write_bytes(content)
    told = refusal(prepared, sound_data(train=folder, skip_unreadable=0.05))
    assert told.message.startswith(
        "2 recordings or more of 20 cannot be decoded, past `data.skip_unreadable: 0.05`; "
        "first words/no/1.wav: "
    )


def test_a_long_recording_that_breaks_off_leaves_nothing_behind(
    tmp_path: Path, folder: Path, sound_data: Make, prepared: Prepare,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other = recordings(tmp_path / "other", 6, 8.0)
    samples = np.concatenate([word(5, seconds=4.0), [np.nan]]).astype(np.float32)
    write(other / "2.wav", samples, subtype="FLOAT")
    monkeypatch.setattr("edgedistill.data.sound.ahead.AT_ONCE_BYTES", 1000)
    monkeypatch.setattr("edgedistill.data.sound.decode.BLOCK", 4096)
    negatives = {"negatives": [other]}
    found = prepared(sound_data(train=folder, skip_unreadable=0.1, sound=negatives))
    assert found["skipped"] == 1
    from edgedistill.data import SoundSplit, open_split

    windows = 0
    for name in ("train", "validation", "test"):
        split = open_split(tmp_path / "out", name)
        assert isinstance(split, SoundSplit)
        assert len(split.audio) == split.offsets[-1]
        windows += int((split.labels == 2).sum())
    assert windows == 5 * 16


def test_other_files_in_a_folder_are_told(
    folder: Path, sound_data: Make, prepared: Prepare
) -> None:
    (folder / "yes" / "notes.txt").write_text("hello")
    found = prepared(sound_data(train=folder))
    assert found["warnings"][0] == (
        f"{folder}: class yes: 1 of 11 files are .txt, passed over: no kind of sound that is read; "
        "convert what is a recording; first yes/notes.txt"
    )


def test_a_folder_without_sound(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    (tmp_path / "empty" / "yes").mkdir(parents=True)
    told = refusal(prepared, sound_data(train=tmp_path / "empty"))
    assert told.message == f"{tmp_path}/empty: there are no recordings in its class folders"
    assert told.hint.startswith("recordings are files that end in .3gp, .aac, ")
    (tmp_path / "flat").mkdir()
    told = refusal(prepared, sound_data(train=tmp_path / "flat"))
    assert told.hint == (
        "put the recordings of each class into a folder of their own: train/cat/1.wav"
    )


def test_one_word_needs_negatives(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    one = words(tmp_path / "one", computer=10)
    told = refusal(prepared, sound_data(train=one))
    assert told.message == "there is one class only: `computer`"
    assert told.hint == "classification needs at least two; `sound.negatives` make one"
    prepared(sound_data(train=one, sound={"negatives": [recordings(tmp_path / "other", 4)]}))


def test_a_label_that_was_never_trained_on(
    tmp_path: Path, folder: Path, sound_data: Make, prepared: Prepare
) -> None:
    test = words(tmp_path / "test", no=2, yez=2)
    told = refusal(prepared, sound_data(train=folder, test=test))
    assert told.message == f"{test}: class `yez` has no folder in {folder}"
    train, test = tmp_path / "a.parquet", tmp_path / "b.parquet"
    audio = [encoded(word(0, take)) for take in range(4)]
    pq.write_table(pa.table({"audio": audio, "label": ["no", "yes"] * 2}), train)
    pq.write_table(pa.table({"audio": audio, "label": ["no", "yez"] * 2}), test)
    told = refusal(prepared, sound_data(source="parquet", train=train, test=test))
    assert told.message == (
        f"{test}: column `label`: `yez` is none of the 2 classes of the training data"
    )
    assert told.hint == "did you mean `yes`?"


@pytest.mark.parametrize(
    ("columns", "fields", "message", "hint"),
    [
        ({"sound": [b""]}, {}, "has no column `audio`", "one of: label, sound"),
        (
            {"audio": ["a.wav"]},
            {},
            "column `audio` holds string, no recordings",
            "bytes of encoded recordings are meant, or a struct with a field `bytes`; "
            "`data.audio` names the column",
        ),
        ({"audio": [b""]}, {"speaker": "who"}, "has no column `who`", "one of: audio, label"),
        ({"audio": [b""]}, {"label": "lable"}, "has no column `lable`", "did you mean `label`?"),
    ],
)
def test_columns_of_parquet(
    tmp_path: Path,
    sound_data: Make,
    prepared: Prepare,
    columns: dict[str, Any],
    fields: dict[str, Any],
    message: str,
    hint: str,
) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({**columns, "label": ["yes"]}), file)
    told = refusal(prepared, sound_data(source="parquet", train=file, **fields))
    assert (told.message, told.hint) == (f"{file}: {message}", hint)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, -1], "a.parquet row 2: label 2 is outside the 2 classes (0..1); 2 such in all"),
        (
            [0.5, 1.0, 0.0, 1.0],
            "a.parquet row 0: its label is [0.5]; a class, as a whole number, is meant",
        ),
    ],
)
def test_labels_that_are_no_classes(
    tmp_path: Path, sound_data: Make, prepared: Prepare, labels: list[Any], message: str
) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"audio": [b""] * 4, "label": labels}), file)
    negatives = {"negatives": [recordings(tmp_path / "other", 3)]}
    told = refusal(
        prepared,
        sound_data(source="parquet", train=file, classes=["no", "yes"], sound=negatives),
    )
    assert told.message == message


def test_a_row_without_a_label(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"audio": [b"", b""], "label": ["yes", None]}), file)
    told = refusal(prepared, sound_data(source="parquet", train=file))
    assert told.message == f"{file}: column `label`: entry 1 is empty, no name"


LINE = {"path": "a.wav", "label": "yes"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", ": holds no lines"),
        ("{", ", line 1: not valid JSON: "),
        (json.dumps(LINE) + "\n\n3", ", line 3: is no object"),
        ('{"path": "a.wav", "lable": "x"}', ", line 1: has no key `label`"),
        ('{"path": 1.5, "label": "x"}', ": key `path`: entry 0 is 1.5, no name"),
        ('{"path": "a.wav", "label": ""}', ": key `label`: entry 0 is empty, no name"),
    ],
)
def test_lines_of_a_manifest(
    tmp_path: Path, sound_data: Make, prepared: Prepare, lines: str, message: str
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines)
    told = refusal(prepared, sound_data(source="manifest", train=file))
    assert told.message.startswith(f"{file}{message}")


def test_a_manifests_file_that_is_not_there(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    lines = [json.dumps({"path": f"{n}.wav", "label": ("no", "yes")[n % 2]}) for n in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    told = refusal(prepared, sound_data(source="manifest", train=tmp_path / "a.jsonl"))
    assert told.message == f"0.wav: cannot be decoded: sound file not found: {tmp_path}/0.wav"


def test_places_of_negatives(
    tmp_path: Path, folder: Path, sound_data: Make, prepared: Prepare
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "nothing").mkdir()
    for name, message in (
        ("gone", f"recordings not found: {tmp_path}/gone"),
        ("notes.txt", f"{tmp_path}/notes.txt: no recordings that are read"),
        ("nothing", f"{tmp_path}/nothing: there are no recordings in its folders"),
    ):
        told = refusal(prepared, sound_data(train=folder, sound={"negatives": [tmp_path / name]}))
        assert told.message == message


def test_too_few_recordings_for_three_splits(
    tmp_path: Path, folder: Path, sound_data: Make, prepared: Prepare
) -> None:
    noise = noises(tmp_path / "noise", 2)
    told = refusal(prepared, sound_data(train=folder, sound={"noise": [noise]}))
    assert told.message == (
        "data.sound.noise: 2 recordings or speakers; each split needs one of its own"
    )
    assert told.hint == "give three recordings or more; cut a long one into several files"


@pytest.mark.parametrize(
    ("speakers", "message"),
    [
        (["s0", "s1"] * 4, "data: 2 speakers; of 3 splits that share none each needs one"),
        (
            ["s0", "s1", "s2", "s1"] * 2,
            "data: clips cannot be parted by speaker: each speaker is the only one of a class",
        ),
    ],
)
def test_speakers_that_cannot_be_parted(
    tmp_path: Path, sound_data: Make, prepared: Prepare, speakers: list[str], message: str
) -> None:
    file = tmp_path / "a.parquet"
    audio = [encoded(word(take % 2, take)) for take in range(8)]
    labels = ["no", "yes"] * 4
    pq.write_table(pa.table({"audio": audio, "label": labels, "speaker": speakers}), file)
    told = refusal(prepared, sound_data(source="parquet", train=file, speaker="speaker"))
    assert told.message == message
