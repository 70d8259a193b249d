"""From a recipe's utterances to three splits on disk, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgedistill.data.sound.assign import TEST, SoundPart
from edgedistill.data.sources.sounds import joined
from edgedistill.data.speech.assign import Assigned, assign
from edgedistill.data.speech.places import TEST_FILES, Place, open_places, opened
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.data.speech.writing import Written, write_utterances
from edgedistill.data.splits import SPLITS
from edgedistill.errors import UserError
from edgedistill.progress import Reporter
from edgedistill.recipe.speech import Speech
from edgedistill.records.speech import SpeechRecord


def prepare_speech(speech: Speech, seed: int, out: Path, reporter: Reporter) -> SpeechRecord:
    """Decode, split and check utterances into folder `out`.

    Writes `train|validation|test/`, each for `open_utterances`, and `speech.json`, the record that
    is returned. What is odd is said as it is found. Which training utterances validate is drawn
    from `seed`; the test set never depends on it.

    Raises UserError: anything that is wrong with the data.
    """
    found = open_places(speech)
    train = joined([place.samples for place in found.train])
    test = joined([place.samples for place in found.test]) if found.test else None
    assigned = assign(train, test, speech, seed)
    before = (*found.notes, *assigned.notes)
    _say(before, reporter)
    written = write_utterances(assigned.parts, speech, out, reporter)
    for places, failed in zip((found.train, found.test), written.failed, strict=False):
        check_places(places, failed)
    _check_splits(written)
    splits = {name: open_utterances(out, name) for name in SPLITS}
    after = (*written.notes.sentences(), *_of_texts(splits))
    _say(after, reporter)
    record = _recorded(speech, assigned, written, splits, (*before, *after))
    record.write(out)
    return record


def read_utterances(
    paths: Sequence[Path], speech: Speech, out: Path, reporter: Reporter,
    names: Sequence[str] = TEST_FILES,
) -> tuple[Utterances, tuple[str, ...]]:  # fmt: skip
    """All utterances of places that belong to no recipe, each whole, and what is odd about them;
    what cannot be decoded is left out. They are written into folder `out`.

    speech: says how they are read; names: of a data set's files those that are. Raises UserError:
    nothing there that can be decoded.
    """
    notes: list[str] = []
    places = [opened(path, speech, names, notes) for path in paths]
    samples = joined([place.samples for place in places])
    parts = [SoundPart(samples, np.full(len(samples.labels), TEST, np.int8))]
    written = write_utterances(parts, speech, out, reporter)
    check_places(places, written.failed[0])
    return open_utterances(out, "test"), (*notes, *written.notes.sentences())


def _say(notes: Sequence[str], reporter: Reporter) -> None:
    for note in notes:
        reporter.say(f"data: {note}")


def check_places(places: Sequence[Place], failed: Mapping[int, str]) -> None:
    """failed: by the number of a recording, counted through all places, what is wrong with it.
    Raises UserError: a place holds no sound, by the recordings that could not be decoded."""
    start = 0
    for place in places:
        theirs = [failed[at] for at in range(start, start + len(place)) if at in failed]
        start += len(place)
        if len(theirs) == len(place):
            raise UserError(
                f"{place.path}: none of its {len(place)} recordings can be decoded; first "
                f"{theirs[0]}",
                "mend them, give others, or name the column or key of recordings by `audio`",
            )


def _check_splits(written: Written) -> None:
    """Raises UserError: nothing is left of a split."""
    for name in SPLITS:
        if not written.counts[name]:
            left_out = written.notes.left_out
            told = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
            raise UserError(
                f"data: no utterance is left in {name}; left out of all splits: {told}",
                "give more recordings; `seconds` says how long those with a transcript may be",
            )


def _of_texts(splits: Mapping[str, Utterances]) -> Iterator[str]:
    known = {name: _with_text(split) for name, split in splits.items()}
    if any(known[name] < len(split) for name, split in splits.items()):
        told = ", ".join(
            f"{known[name]} of {len(split)} in {name}" for name, split in splits.items()
        )
        yield f"utterances with a transcript: {told}"


def _with_text(split: Utterances) -> int:
    return sum(text is not None for text in split.texts)


def _recorded(
    speech: Speech,
    assigned: Assigned,
    written: Written,
    splits: Mapping[str, Utterances],
    notes: tuple[str, ...],
) -> SpeechRecord:
    return SpeechRecord(
        language=speech.language,
        rate=speech.rate,
        window=speech.window,
        own_test=speech.test is not None,
        by_speaker=assigned.by_speaker,
        counts={name: len(split) for name, split in splits.items()},
        hours={name: float(split.seconds.sum()) / 3600 for name, split in splits.items()},
        speakers={name: len(set(split.speakers) - {None}) for name, split in splits.items()},
        with_text={name: _with_text(split) for name, split in splits.items()},
        longest={name: float(split.seconds.max()) for name, split in splits.items()},
        parted=written.notes.parted,
        left_out=dict(written.notes.left_out),
        skipped=tuple(written.notes.skipped),
        notes=notes,
    )
