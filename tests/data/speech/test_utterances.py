from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from said import RATE, folder, manifest, silence, spoken, table, talk
from tones import write

from edgedistill.data import Utterances, open_utterances
from edgedistill.data.splits import SPLITS
from edgedistill.records import SpeechRecord, read_record

Prepared = Callable[..., SpeechRecord]


def splits(out: Path) -> dict[str, Utterances]:
    return {name: open_utterances(out, name) for name in SPLITS}


def as_integers(split: Utterances, at: int) -> np.ndarray:
    return np.rint(32768 * split.samples(at)).astype(np.int16)


def test_utterances_lie_on_disk_with_what_is_said(
    tmp_path: Path, out: Path, prepared: Prepared
) -> None:
    record = prepared(train=talk(tmp_path / "a.parquet", 10), seconds=1)
    seen = []
    for name, split in splits(out).items():
        assert len(split) == record.counts[name] == record.with_text[name]
        for at, text in enumerate(split.texts):
            number = int((text or "").split()[1])
            np.testing.assert_array_equal(as_integers(split, at), spoken(number))
            assert split.speakers[at] == f"s{number // 2}"
            assert split.names[at] == f"a.parquet row {number}"
            seen.append(number)
        np.testing.assert_allclose(split.seconds, 0.3)
        assert record.hours[name] == pytest.approx(0.3 * len(split) / 3600)
    assert sorted(seen) == list(range(20))
    assert (record.language, record.rate, record.window) == ("en", RATE, RATE)
    assert read_record(SpeechRecord, out / SpeechRecord.FILE) == record
    assert record.notes == (
        f"recordings are parted by speaker: {record.speakers['train']} in train, "
        f"{record.speakers['validation']} in validation, {record.speakers['test']} in test",
    )


def test_inputs_end_in_silence_and_are_cut_at_the_window(
    tmp_path: Path, out: Path, prepared: Prepared
) -> None:
    train, test = folder(tmp_path / "a", 4), tmp_path / "b"
    write(test / "long.wav", spoken(90, 1.5), RATE)
    write(test / "short.wav", spoken(91, 0.5), RATE)
    prepared(train=train, test=test, seconds=1)
    split = open_utterances(out, "test")
    samples = split.inputs(np.array([1, 0, 0]))["samples"]
    assert (samples.shape, samples.dtype) == ((3, RATE), np.float32)
    np.testing.assert_array_equal(samples[0, : RATE // 2], split.samples(1))
    assert not samples[0, RATE // 2 :].any()
    np.testing.assert_array_equal(samples[1], split.samples(0)[:RATE])
    assert split.inputs(np.empty(0, np.int64))["samples"].shape == (0, RATE)
    np.testing.assert_array_equal(split.seconds, [1.5, 0.5])
    np.testing.assert_array_equal(split.samples(-1), split.samples(1))
    with pytest.raises(IndexError):
        split.samples(2)


def test_a_worker_process_maps_the_file_again(
    tmp_path: Path, out: Path, prepared: Prepared
) -> None:
    prepared(train=talk(tmp_path / "a.parquet"))
    split = open_utterances(out, "train")
    sent = pickle.dumps(split)
    assert len(sent) < 300
    again = pickle.loads(sent)
    assert isinstance(again.audio, np.memmap)
    assert (again.texts, again.window) == (split.texts, split.window)
    held = dataclasses.replace(split, audio=np.array(split.audio))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(held)).audio, split.audio)


def test_places_of_every_kind_together(tmp_path: Path, out: Path, prepared: Prepared) -> None:
    rows = []
    for number in range(10, 14):
        write(tmp_path / "clips" / f"{number}.flac", spoken(number), RATE)
        rows.append({"audio_filepath": f"clips/{number}.flac", "text": f"number {number}"})
    rows[1]["text"], rows[2]["text"] = None, " "
    del rows[3]["text"]
    shards = tmp_path / "shards"
    table(shards / "0.parquet", [spoken(n) for n in (20, 21)], text=["number 20", None])
    table(shards / "1.parquet", [spoken(n) for n in (22, 23)], text=[None, ""])
    places = [
        folder(tmp_path / "flat", 4),
        manifest(tmp_path / "m.jsonl", rows),
        shards,
        write(tmp_path / "one.wav", spoken(30), RATE),
    ]
    record = prepared(train=places)
    texts = [text for split in splits(out).values() for text in split.texts]
    assert sorted(filter(None, texts)) == ["number 10", "number 20"]
    assert texts.count("") == 2
    assert texts.count(None) == 9
    assert sum(record.counts.values()) == 13
    assert sum(record.with_text.values()) == 4
    assert [note for note in record.notes if "transcripts" in note] == [
        "flat: has no transcripts: no column or key `text`",
        "one.wav: has no transcripts: no column or key `text`",
    ]
    assert record.notes[-1].startswith("utterances with a transcript: ")


def test_columns_and_keys_of_other_names(tmp_path: Path, out: Path, prepared: Prepared) -> None:
    sounds = [spoken(number) for number in range(6)]
    given = {"sentence": [f"n{at}" for at in range(6)], "client_id": list("aabbcc")}
    path = table(tmp_path / "a.parquet", sounds, **given)
    record = prepared(train=path, text="sentence", speaker="client_id", audio="audio")
    assert record.speakers == {"train": 1, "validation": 1, "test": 1}
    assert record.by_speaker
    rows = [{"file": f"{n}.wav", "said": "x", "who": n // 2} for n in range(6)]
    for number in range(6):
        write(tmp_path / f"{number}.wav", sounds[number], RATE)
    path = manifest(tmp_path / "a.jsonl", rows)
    assert prepared(train=path, text="said", speaker="who", audio="file").by_speaker


def test_a_data_set_in_files_of_splits(tmp_path: Path, out: Path, prepared: Prepared) -> None:
    root = tmp_path / "set"
    talk(root / "data" / "train-00000-of-00002.parquet", 3)
    talk(root / "data" / "train-00001-of-00002.parquet", 3, first=3)
    talk(root / "data" / "validation-00000-of-00001.parquet", 2, first=20)
    talk(root / "test" / "0000.parquet", 2, first=30)
    record = prepared(train=root, test=root / "test")
    assert record.counts["train"] + record.counts["validation"] == 12
    assert record.own_test
    assert record.counts["test"] == 4
    assert record.notes[0] == (
        "set: 2 of 4 parquet files are read, those named train; first train-00000-of-00002.parquet"
    )


def test_no_speaker_is_in_two_splits(tmp_path: Path, out: Path, prepared: Prepared) -> None:
    path = talk(tmp_path / "a.parquet", 12, 3)
    held = set()
    for seed in (0, 1, 2):
        record = prepared(seed, train=path, test_share=0.3, validation=0.2)
        found = splits(out)
        theirs = {name: set(split.speakers) for name, split in found.items()}
        assert sum(map(len, theirs.values())) == len(set().union(*theirs.values())) == 12
        assert record.by_speaker
        assert {name: len(each) for name, each in theirs.items()} == record.speakers
        held.add(found["test"].texts)
    assert len(held) == 1  # whatever the seed


def test_a_speaker_who_says_much_does_not_fill_validation(
    tmp_path: Path, out: Path, prepared: Prepared
) -> None:
    who = ["much"] * 30 + [f"s{number}" for number in range(30)]
    path = table(tmp_path / "a.parquet", [spoken(n, 0.05) for n in range(60)], speaker=who)
    for seed in range(4):
        record = prepared(seed, train=path, validation=0.1)
        assert record.counts["validation"] <= 9
        assert record.counts["test"] <= 18


def test_what_names_no_speaker_is_told(tmp_path: Path, out: Path, prepared: Prepared) -> None:
    record = prepared(train=folder(tmp_path / "a"))
    assert not record.by_speaker
    assert record.notes[1].startswith("the training recordings name no speakers: a voice may be")
    some = prepared(train=[talk(tmp_path / "b.parquet"), folder(tmp_path / "c", 3, 50)])
    assert not some.by_speaker
    assert "c: has no speakers: no column or key `speaker`" in some.notes
    assert (
        "3 of 15 recordings name no speaker: a voice of theirs may be in training and in test"
        in some.notes
    )
    alone = prepared(train=talk(tmp_path / "d.parquet", 1, 6), speaker=None)
    assert alone.counts["validation"] == 1
    assert alone.speakers == {"train": 0, "validation": 0, "test": 0}


def test_speakers_of_the_given_test_set_are_told(
    tmp_path: Path, out: Path, prepared: Prepared
) -> None:
    train = talk(tmp_path / "a.parquet")
    test = table(tmp_path / "b.parquet", [spoken(90), spoken(91)], speaker=["s0", "t"])
    record = prepared(train=train, test=test)
    assert not record.by_speaker
    assert any(
        note.startswith("1 speakers are in train or validation and in test too, such as s0")
        for note in record.notes
    )


def test_validation_has_transcripts_where_there_are_some(
    tmp_path: Path, out: Path, prepared: Prepared
) -> None:
    texts = [f"n{at}" if at % 10 == 0 else None for at in range(40)]
    path = table(tmp_path / "a.parquet", [spoken(n, 0.05) for n in range(40)], text=texts)
    for seed in range(5):
        record = prepared(seed, train=path)
        assert record.with_text["validation"]
        assert record.with_text["test"]
        assert record.with_text["train"]


def test_copies_stay_in_the_last_split_alone(tmp_path: Path, out: Path, prepared: Prepared) -> None:
    train = [*(spoken(number) for number in range(8)), spoken(90), spoken(90), silence(1.0)]
    test = [spoken(90), spoken(91), silence(1.0)]
    path = table(tmp_path / "a.parquet", train)
    record = prepared(train=path, test=table(tmp_path / "b.parquet", test))
    assert record.counts["test"] == 3
    assert sum(record.counts.values()) == 12
    assert record.left_out == {"copy": 2}
    (told,) = [note for note in record.notes if "later split" in note]
    assert told.endswith("are in a later split too, sample by sample: left out of the earlier")
    assert (
        "2 of 12 recordings (first b.parquet row 2) are silent, 0 of them with a transcript of "
        "words" in record.notes
    )


def test_a_parted_recording_may_be_a_copy(tmp_path: Path, out: Path, prepared: Prepared) -> None:
    train = folder(tmp_path / "a")
    write(train / "long.wav", spoken(90, 3.0), RATE)
    test = write(tmp_path / "b" / "same.flac", spoken(90, 3.0), RATE).parent
    record = prepared(train=train, test=test, seconds=1)
    assert record.left_out == {"copy": 1}
    assert record.counts["train"] == 5
    assert len(open_utterances(out, "train").audio) == 5 * len(spoken(0))


def test_long_ones_of_train_are_parted_or_left_out(
    tmp_path: Path, out: Path, prepared: Prepared
) -> None:
    long = np.concatenate([spoken(1, 1.3), silence(0.3), spoken(2, 1.3)])
    audio = [*(spoken(number) for number in range(10, 14)), long, spoken(3, 2.9), spoken(4, 2.5)]
    texts = ["a", "b", None, "", None, "much is said", ""]
    train = table(tmp_path / "a.parquet", audio, text=texts)
    test = table(tmp_path / "b.parquet", [spoken(5, 2.6)], text=["much is said"])
    for seed in range(20):
        record = prepared(seed, train=train, test=test, seconds=2, validation=0.01)
        if "a.parquet row 2" in open_utterances(out, "validation").names or (
            "a.parquet row 3" in open_utterances(out, "validation").names
        ):
            break
    split = open_utterances(out, "train")
    pieces = [at for at, name in enumerate(split.names) if name.startswith("a.parquet row 4 at")]
    assert split.names[pieces[0]] == "a.parquet row 4 at 0.0 s"
    np.testing.assert_array_equal(np.concatenate([as_integers(split, at) for at in pieces]), long)
    assert 1.3 <= split.seconds[pieces[0]] <= 1.6
    assert [split.texts[at] for at in pieces] == [None, None]
    assert [text for text, name in zip(split.texts, split.names, strict=True)
            if name.startswith("a.parquet row 6 at")] == ["", ""]  # fmt: skip
    assert "a.parquet row 5" not in split.names
    assert split.seconds.max() <= 2
    assert (record.parted, record.left_out) == (2, {"long": 1})
    assert record.longest["test"] == 2.6
    assert record.notes[-4:-1] == (
        "2 of 7 recordings (first a.parquet row 4) are longer than `seconds: 2` and have no "
        "transcript of words: parted into 4 at their quietest places",
        "1 training recordings (first a.parquet row 5) are longer than `seconds: 2` and have a "
        "transcript, which cannot be parted: left out",
        "1 of 7 recordings (first b.parquet row 0), of validation or test, are longer than "
        "`seconds: 2`: kept whole",
    )


def test_long_files_are_streamed(
    tmp_path: Path, out: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = folder(tmp_path / "a")
    for number in (1, 2, 3):
        write(train / f"long{number}.wav", spoken(90 + number, 5.0), RATE)
    write(
        train / "nan.wav",
        np.concatenate([spoken(98, 4.0) / 32768, [np.nan]]).astype(np.float32),
        RATE, subtype="FLOAT",
    )  # fmt: skip
    found = []
    for size in (4 << 20, 1000):
        monkeypatch.setattr("edgedistill.data.sound.ahead.AT_ONCE_BYTES", size)
        monkeypatch.setattr("edgedistill.data.sound.decode.BLOCK", max(4096, size // 64))
        record = prepared(train=train, seconds=1.5)
        assert record.left_out == {"no numbers": 1}
        found.append(
            [(split.audio.tobytes(), split.offsets.tolist()) for split in splits(out).values()]
        )
        assert all(len(split.audio) == split.offsets[-1] for split in splits(out).values())
    assert found[0] == found[1]


def test_progress_is_shown(tmp_path: Path, prepared: Prepared, reporter: object) -> None:
    record = prepared(train=talk(tmp_path / "a.parquet"))
    ticks = reporter.ticks  # type: ignore[attr-defined]
    assert {label for label, _, _ in ticks} == {"decode"}
    assert ticks[-1] == ("decode", 12, 12)
    assert [done for _, done, _ in ticks] == sorted(done for _, done, _ in ticks)
    said = reporter.said  # type: ignore[attr-defined]
    assert said == [f"data: {note}" for note in record.notes]


def test_the_same_again_is_the_same_to_the_byte(
    tmp_path: Path, out: Path, prepared: Prepared
) -> None:
    train = [talk(tmp_path / "a.parquet", 8), folder(tmp_path / "b")]
    kept = []
    for _ in range(2):
        prepared(train=train)
        files = sorted(path for path in out.rglob("*") if path.is_file())
        kept.append([(path.name, path.read_bytes()) for path in files])
    assert kept[0] == kept[1]
