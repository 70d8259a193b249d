from __future__ import annotations

import json
import pickle
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tones import RATE, encoded, hiss, noises, recordings, word, words, write

from edgedistill.data import SoundSplit, View, batches, fingerprint, open_split
from edgedistill.data.sound.decode import decode
from edgedistill.data.sound.duplicates import find
from edgedistill.data.sound.reading import read_sounds
from edgedistill.data.sound.split import CLIP, COPY, NEGATIVE, NOISE
from edgedistill.data.splits import SPLITS
from edgedistill.recipe import Data, SoundAugment
from edgedistill.records import DataRecord, read_record
from edgedistill.stages.listen import recordings_of

Make = Callable[..., Data]
Prepare = Callable[..., Any]


def splits(out: Path) -> dict[str, SoundSplit]:
    found = {name: open_split(out / "out", name) for name in SPLITS}
    assert all(isinstance(each, SoundSplit) for each in found.values())
    return found  # type: ignore[return-value]


def record(out: Path) -> DataRecord:
    return read_record(DataRecord, out / "out" / DataRecord.FILE)


def names(out: Path) -> list[str]:
    return json.loads((out / "out" / "test" / "names.json").read_text())


def a_table(path: Path, speakers: int = 6, takes: int = 2, **columns: Any) -> Path:
    """Each speaker says each of two words `takes` times."""
    rows = [(s, w, t) for s in range(speakers) for w in (0, 1) for t in range(takes)]
    table = {
        "audio": [encoded(word(w, 100 * s + t)) for s, w, t in rows],
        "label": [("no", "yes")[w] for _, w, _ in rows],
        "speaker": [f"s{s}" for s, _, _ in rows],
        **columns,
    }
    pq.write_table(pa.table(table), path)
    return path


def test_a_folder_becomes_windows_on_disk(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    found = prepared(sound_data(train=words(tmp_path / "words", yes=20, no=20)))
    assert found["counts"] == {"train": 28, "validation": 4, "test": 8}
    assert record(tmp_path).classes == ("no", "yes")
    split = splits(tmp_path)["train"]
    samples = split.inputs(np.array([5, 0, 27]))["samples"]
    assert samples.shape == (3, RATE // 2)
    assert samples.dtype == np.float32
    assert not samples[:, :800].any()  # 0.4 s, at the end of 0.5
    for sample, place in zip(samples, (5, 0, 27), strict=True):
        number = int(split.labels[place])
        assert np.corrcoef(sample[800:], word(number, 0))[0, 1] ** 2 < 1.01
    (spec,) = record(tmp_path).inputs
    assert (spec.name, spec.shape, spec.range) == ("samples", (None, RATE // 2), (-1.0, 1.0))


def test_each_window_holds_its_own_word(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    prepared(sound_data(train=words(tmp_path / "words", yes=12, no=12)))
    takes: dict[str, list[int]] = {"no": [], "yes": []}
    for split in splits(tmp_path).values():
        for sample, label in zip(
            split.inputs(np.arange(len(split)))["samples"], split.labels, strict=True
        ):
            number = {0: 1, 1: 0}[int(label)]  # the folders in order: no is the second word
            likeness = [np.abs(sample[800:] - word(number, take)).max() for take in range(12)]
            assert min(likeness) < 1e-4
            takes[("no", "yes")[int(label)]].append(int(np.argmin(likeness)))
    assert all(sorted(found) == list(range(12)) for found in takes.values())


def test_classes_are_made_of_negatives_and_noise(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    made = {
        "negatives": [recordings(tmp_path / "other", 6)],
        "noise": [noises(tmp_path / "noise", 6)],
    }
    prepared(sound_data(train=words(tmp_path / "words", zoo=12, yes=12), sound=made))
    held = record(tmp_path)
    assert held.classes == ("yes", "zoo", "unknown", "silence")
    assert held.sound is not None
    assert (held.sound.unknown, held.sound.silence) == (2, 3)
    assert not held.sound.by_speaker
    whole: Counter[int] = Counter()
    for split in splits(tmp_path).values():
        counts = np.bincount(split.labels, minlength=4)
        assert counts.all()
        assert counts[3] <= counts[:2].max()  # no more silence than of a word
        kinds = split.kinds[split.windows[:, 0]]
        np.testing.assert_array_equal(kinds == NEGATIVE, split.labels == 2)
        np.testing.assert_array_equal(kinds == NOISE, split.labels == 3)
        assert len(np.unique(split.samples)) == len(split)
        whole.update(split.kinds.tolist())
    assert whole == {CLIP: 24, NEGATIVE: 6, NOISE: 6}  # each recording whole in one split


def test_silence_is_also_quiet(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    noise = {"noise": [noises(tmp_path / "noise", 30, 5.0)]}
    prepared(sound_data(train=words(tmp_path / "words", no=120, yes=40), sound=noise))
    split = splits(tmp_path)["train"]
    silence = np.flatnonzero(split.labels == 2)
    loudness = np.abs(split.inputs(silence)["samples"]).max(axis=1)
    assert (loudness == 0).any()
    assert ((loudness > 0) & (loudness < 0.05)).sum() > 3
    assert (loudness > 0.1).sum() > len(silence) / 2


def test_classes_of_their_own_are_taken_for_these(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    folder = words(tmp_path / "words", silence=8, unknown=8, yes=8)
    prepared(sound_data(train=folder, sound={"negatives": [recordings(tmp_path / "other", 4)]}))
    held = record(tmp_path)
    assert held.classes == ("yes", "unknown", "silence")
    assert held.sound is not None
    assert (held.sound.unknown, held.sound.silence) == (1, 2)


def test_a_folder_of_noise_beside_the_classes_is_none(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    root = words(tmp_path / "words", no=8, yes=8)
    prepared(sound_data(train=root, sound={"noise": [noises(root / "_background_", 4)]}))
    assert record(tmp_path).classes == ("no", "yes", "silence")


def test_no_speaker_is_in_two_splits(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    file = a_table(tmp_path / "a.parquet", 10)
    found = prepared(sound_data(source="parquet", train=file, speaker="speaker", test_share=0.3))
    held = record(tmp_path)
    assert held.sound is not None
    assert held.sound.by_speaker
    speakers = {
        name: {int(number) // 4 for number in split.samples}
        for name, split in splits(tmp_path).items()
    }
    assert sum(map(len, speakers.values())) == len(set().union(*speakers.values())) == 10
    assert (
        found["warnings"][0]
        == "clips are parted by speaker: 6 in train, 1 in validation, 3 in test"
    )


def test_the_test_set_does_not_depend_on_the_seed(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    file = a_table(tmp_path / "a.parquet", 10)
    data = sound_data(source="parquet", train=file, speaker="speaker")
    held: dict[str, list[set[int]]] = {name: [] for name in SPLITS}
    for seed in (0, 1, 2, 3):
        prepared(data, seed)
        for name, split in splits(tmp_path).items():
            held[name].append(set(split.samples.tolist()))
    assert all(each == held["test"][0] for each in held["test"])
    assert any(each != held["validation"][0] for each in held["validation"])


def test_speakers_of_negatives_stay_together(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    file = a_table(tmp_path / "a.parquet", 8)
    others = [f"s{number // 2}" for number in range(16)] + [
        "t0",
        "t0",
        "t1",
        "t2",
        "t3",
        None,
        None,
    ]
    negatives = tmp_path / "b.parquet"
    audio = [encoded(word(300 + number, seconds=0.6)) for number in range(len(others))]
    pq.write_table(pa.table({"audio": audio, "speaker": others}), negatives)
    prepared(
        sound_data(
            source="parquet", train=file, speaker="speaker", sound={"negatives": [negatives]}
        )
    )
    where: dict[str, set[str]] = {f"s{speaker}": set() for speaker in range(8)}
    heard = [decode(each, RATE)[0].tobytes() for each in audio]
    for name, split in splits(tmp_path).items():
        for number in split.samples[split.labels < 2].tolist():
            where[f"s{number // 4}"].add(name)
        for number in np.flatnonzero(split.kinds == NEGATIVE):
            samples = split.audio[split.offsets[number] : split.offsets[number + 1]]
            speaker = others[heard.index(samples.tobytes())]
            if speaker is not None:
                where.setdefault(speaker, set()).add(name)
    assert len(where) == 12
    assert all(len(found) == 1 for found in where.values())


def test_speakers_in_both_given_splits_are_told(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    train, test = a_table(tmp_path / "a.parquet", 5), a_table(tmp_path / "b.parquet", 2, 3)
    found = prepared(sound_data(source="parquet", train=train, test=test, speaker="speaker"))
    held = record(tmp_path)
    assert held.sound is not None
    assert not held.sound.by_speaker
    assert (
        "2 speakers are in train or validation and in test too, such as s0: the test set is "
        "easier than speakers that nobody has heard" in found["warnings"]
    )


def test_a_manifest(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    lines = []
    for speaker in range(6):
        for number, text in enumerate(("no", "yes")):
            write(tmp_path / "clips" / f"{speaker}{text}.flac", word(number, speaker))
            line = {"file": f"clips/{speaker}{text}.flac", "text": text, "who": speaker}
            lines.append(json.dumps(line))
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n\n")
    data = sound_data(
        source="manifest", train=tmp_path / "a.jsonl", path="file", label="text", speaker="who"
    )
    prepared(data)
    assert record(tmp_path).classes == ("no", "yes")
    assert all(name.startswith("clips/") for name in names(tmp_path))
    before = fingerprint(data)
    write(tmp_path / "clips" / "0no.flac", word(7, seconds=0.6))
    assert fingerprint(data) != before


def test_hugging_face(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    datasets = pytest.importorskip("datasets")
    audio = [{"bytes": encoded(word(n % 2, n)), "path": f"{n}.wav"} for n in range(24)]
    columns = {"audio": audio, "label": [n % 2 for n in range(24)]}
    features = datasets.Features(
        audio=datasets.Audio(), label=datasets.ClassLabel(names=["no", "yes"])
    )
    one = datasets.Dataset(pa.table(columns), info=datasets.DatasetInfo(features=features))
    datasets.DatasetDict(train=one).save_to_disk(tmp_path / "set")
    prepared(sound_data(source="huggingface", name=str(tmp_path / "set"), test=None))
    assert record(tmp_path).classes == ("no", "yes")
    assert record(tmp_path).counts == {"train": 18, "validation": 2, "test": 4}


def test_labels_may_be_numbers(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    file = tmp_path / "a.parquet"
    audio = [{"bytes": encoded(word(n % 2, n)), "path": f"{n}.wav"} for n in range(24)]
    pq.write_table(pa.table({"audio": audio, "digit": [n % 2 for n in range(24)]}), file)
    prepared(sound_data(source="parquet", train=file, label="digit", classes=["zero", "one"]))
    assert record(tmp_path).classes == ("zero", "one")


def test_unlabelled_recordings_are_trained_on(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    folder, more = words(tmp_path / "words", no=8, yes=8), recordings(tmp_path / "more", 3)
    prepared(sound_data(train=folder, unlabelled=more))
    held = record(tmp_path)
    assert held.unlabelled == 15  # three recordings of 2.5 s, cut into windows of 0.5
    assert (splits(tmp_path)["train"].labels == -1).sum() == 15
    assert (splits(tmp_path)["test"].labels >= 0).all()


def test_a_limit_counts_windows(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    folder, other = words(tmp_path / "words", no=15, yes=15), recordings(tmp_path / "o", 10, 10.0)
    found = prepared(sound_data(train=folder, limit=20, sound={"negatives": [other]}))
    assert found["class_counts"]["train"] == {"no": 6, "yes": 6, "unknown": 6}
    split = splits(tmp_path)["train"]
    assert (split.windows[split.labels == 2, 2] > RATE // 2).any()  # views come to what is left out


def test_batches_of_views(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    noise = {"noise": [noises(tmp_path / "noise")]}
    data = sound_data(train=words(tmp_path / "words", no=8, yes=8), sound=noise)
    prepared(data)
    split = splits(tmp_path)["train"]
    order = [np.array([3, 1]), np.array([0, 2])]
    seen = {
        workers: [
            inputs[0].numpy() for _, inputs, _ in batches(split, order, 1, 5, data.changes, workers)
        ]
        for workers in (0, 2)
    }
    np.testing.assert_array_equal(seen[0], seen[2])
    alone = split.inputs(np.array([1]), View(SoundAugment(), 5, 1))["samples"]
    np.testing.assert_array_equal(seen[0][0][1], alone[0])


def test_a_split_goes_to_another_process_by_its_place(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    prepared(sound_data(train=words(tmp_path / "words", no=8, yes=8)))
    split = splits(tmp_path)["train"]
    packed = pickle.dumps(split)
    assert len(packed) < 2000
    np.testing.assert_array_equal(
        pickle.loads(packed).inputs(np.arange(3))["samples"], split.inputs(np.arange(3))["samples"]
    )


def test_long_recordings_are_streamed(
    tmp_path: Path, sound_data: Make, prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedistill.data.sound import ahead

    folder, other = words(tmp_path / "words", no=8, yes=8), recordings(tmp_path / "o", 4, 6.0)
    data = sound_data(train=folder, sound={"negatives": [other], "rate": 6000})
    prepared(data)
    whole = {name: np.array(split.audio) for name, split in splits(tmp_path).items()}
    monkeypatch.setattr(ahead, "AT_ONCE_BYTES", 1000)
    monkeypatch.setattr("edgedistill.data.sound.decode.BLOCK", 4096)
    prepared(data)
    for name, split in splits(tmp_path).items():
        assert np.abs(whole[name].astype(int) - split.audio).max() <= 1


def test_the_fingerprint_knows_what_the_splits_depend_on(tmp_path: Path, sound_data: Make) -> None:
    folder, noise = words(tmp_path / "words", no=2, yes=2), noises(tmp_path / "noise", 2)
    before = fingerprint(sound_data(train=folder, sound={"noise": [noise]}))
    assert before == fingerprint(
        sound_data(train=folder, sound={"noise": [noise], "augment": {"gain_db": 3}})
    )
    others = (
        {"noise": []}, {"noise": [noise], "cut": "middle"}, {"noise": [noise], "seconds": 0.6},
        {"negatives": [noise]},
    )  # fmt: skip
    assert all(before != fingerprint(sound_data(train=folder, sound=each)) for each in others)
    write(noise / "0.wav", hiss(99, 3.0))
    assert before != fingerprint(sound_data(train=folder, sound={"noise": [noise]}))


NEARLY = (
    "nearly in two splits is what is the same recording but for its level, its format, where it "
    "begins or a little noise"
)


def test_clips_of_training_in_a_given_test_set_are_told(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    train = words(tmp_path / "train", no=8, yes=8)
    write(tmp_path / "test" / "no" / "a.wav", word(0, 2))
    write(tmp_path / "test" / "yes" / "b.mp3", 0.4 * word(1, 3))
    write(tmp_path / "test" / "yes" / "c.wav", word(1, 30))
    found = prepared(sound_data(train=train, test=tmp_path / "test"))
    pairs = ("train/test", "validation/test")
    assert sum(found["duplicates"]["exact"][each] for each in pairs) == 1
    assert sum(found["duplicates"]["near"][each] for each in pairs) == 1
    examples = record(tmp_path).duplicates.examples
    assert {each.test for each in examples} == {"test/no/a.wav", "test/yes/b.mp3"}
    assert found["counts"]["test"] == 3
    assert NEARLY in found["warnings"]


def test_copies_are_left_out_of_splits_that_are_drawn(
    tmp_path: Path, sound_data: Make, prepared: Prepare, reporter: Any
) -> None:
    folder = tmp_path / "words"
    for number, name in enumerate(("no", "yes")):
        for take in range(30):
            write(folder / name / f"{take}.wav", word(number, take))
        for take in range(15):  # five of each of three utterances, each at its own level
            loudness = 0.4 + take / 30
            write(folder / name / f"copy{take}.wav", loudness * word(number, 90 + take % 3))
    found = prepared(sound_data(train=folder))
    told = [each for each in found["warnings"] if "left out of" in each]
    assert len(told) == 2
    assert re.match(r"[1-9] of 18 test clips are in an earlier split too, exactly or nearly, and "
                    r"left out of test \(first words/(no|yes)/copy\d+.wav\)$", told[1])  # fmt: skip
    assert NEARLY in found["warnings"]
    whole = splits(tmp_path)
    assert find(whole, reporter) == []
    assert not any(sum(each.values()) for each in found["duplicates"].values())
    for name, split in whole.items():
        assert len(split) == found["counts"][name] == len(split.samples) == len(split.gains)
    assert found["counts"]["test"] == 18 - int(told[1].split()[0]) == len(names(tmp_path))
    assert found["counts"]["train"] == 64  # nothing is left out of what is trained on


def test_a_recipes_test_set_is_the_compiles(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    folder = words(tmp_path / "words", no=20, yes=20)
    for take in range(10):
        write(folder / "no" / f"copy{take}.wav", word(0))
    data = sound_data(train=folder)
    found = prepared(data, seed=3)
    assert found["counts"]["test"] < 10
    read = read_sounds(data, ("no", "yes"), data.sound, "classification")
    test = splits(tmp_path)["test"]
    assert np.array_equal(read.samples, test.inputs(np.arange(len(test)))["samples"])
    assert np.array_equal(read.labels, test.labels)
    assert any("left out of test" in each for each in read.notes)


def test_copies_of_negatives_are_not_listened_to(
    tmp_path: Path, sound_data: Make, prepared: Prepare
) -> None:
    folder, other = words(tmp_path / "words", no=5, yes=5), recordings(tmp_path / "other", 8)
    for number in range(12):
        shutil.copy(other / "0.wav", other / f"copy{number}.wav")
    prepared(sound_data(train=folder, sound={"negatives": [other]}))
    train, test = (
        {each.tobytes() for each in recordings_of(splits(tmp_path)[name], (0, 1)).others}
        for name in ("train", "test")
    )
    assert COPY in splits(tmp_path)["test"].kinds
    assert train and test and not train & test


def test_a_class_of_copies_alone_stays(tmp_path: Path, sound_data: Make, prepared: Prepare) -> None:
    folder = words(tmp_path / "words", no=0, yes=10)
    for take in range(10):
        write(folder / "no" / f"{take}.wav", word(0))
    found = prepared(sound_data(train=folder))
    assert found["class_counts"]["test"] == {"no": 2, "yes": 2}
    assert found["duplicates"]["exact"]["train/test"] == 2
