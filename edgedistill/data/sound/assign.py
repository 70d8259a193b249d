"""Which recordings go to which split: speakers whole, where they are known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.data.sound.split import CLIP, NEGATIVE, NOISE
from edgedistill.data.sources.base import Samples, Source, check_labels
from edgedistill.data.sources.sounds import SILENCE, UNKNOWN
from edgedistill.data.split import Labels
from edgedistill.data.splits import HELD_OUT, SPLITS, TEST_SEED, held_out
from edgedistill.data.writing import Codes, Part
from edgedistill.errors import UserError
from edgedistill.recipe import Data
from edgedistill.tasks import TASKS
from edgedistill.tasks.labels import LabelForm

TRAIN, VALIDATION, TEST = range(len(SPLITS))
MORE_SPEAKERS = "give clips of more speakers, a `test` of its own, or leave `data.speaker` out"


@dataclass(frozen=True)
class SoundPart(Part):
    """Recordings of one kind, and the split of each."""

    kind: int = CLIP


@dataclass(frozen=True)
class Assigned:
    """Who goes where."""

    parts: list[SoundPart]
    by_speaker: bool
    notes: tuple[str, ...]
    """What a user should know of it."""


def assign_sounds(source: Source, data: Data, task: str, seed: int) -> Assigned:
    """The split of each recording. What a source names speakers of, no two splits share a speaker
    of; recordings of negatives and noise go whole to one split.

    Raises UserError: labels outside the classes, or too few speakers or recordings to part.
    """
    sound = data.sound
    assert sound is not None, "samples that are no sound"
    form = TASKS[task].labels
    for given in filter(None, (source.train, source.test)):
        check_labels(given, source.classes, task)
    codes = _clip_codes(source, data.validation, seed, form)
    parts = [SoundPart(source.train, codes)]
    if source.test is not None:
        parts.append(SoundPart(source.test, np.full(len(source.test.labels), TEST, np.int8)))
    where, shared = shared_speakers(parts)
    by_speaker = source.train.speakers is not None and not shared
    notes = [told_of_speakers(where, shared)]
    if source.unlabelled is not None:
        parts.append(SoundPart(source.unlabelled, np.zeros(len(source.unlabelled.labels), np.int8)))
    share = getattr(data, "test_share", source.test_share)
    for name, samples, kind in (
        ("negatives", source.negatives, NEGATIVE),
        ("noise", source.noise, NOISE),
    ):
        if samples is not None:
            codes = _recording_codes(samples, where, share, data.validation, seed, name)
            parts.append(SoundPart(samples, codes, kind=kind))
    notes += _not_given(source)
    return Assigned(parts, by_speaker, tuple(filter(None, notes)))


def _not_given(source: Source) -> Iterator[str]:
    """Classes that the compile would make, and nobody gave."""
    if UNKNOWN not in source.classes:
        yield (
            f"`sound.negatives` are not given: there is no class `{UNKNOWN}`, and whatever else is "
            "said is taken for one of the classes"
        )
    if SILENCE not in source.classes:
        yield (
            f"`sound.noise` is not given: there is no class `{SILENCE}`, and no noise is mixed "
            "into the clips"
        )


def _clip_codes(source: Source, validation: float, seed: int, form: LabelForm) -> Codes:
    labels, speakers = source.train.labels, source.train.speakers
    if speakers is not None:
        _check_enough(speakers, 3 if source.test is None else 2)
    codes = np.full(len(labels), TRAIN, np.int8)
    if source.test is None:
        codes[_drawn(labels, speakers, source.test_share, TEST_SEED, form)] = TEST
    pool = np.flatnonzero(codes == TRAIN)
    theirs = speakers and tuple(speakers[each] for each in pool)
    codes[pool[_drawn(labels[pool], theirs, validation, seed, form)]] = VALIDATION
    return codes


def _check_enough(speakers: tuple[str | None, ...], splits: int) -> None:
    count = len(np.unique(speaker_groups(speakers)))
    if count < splits:
        raise UserError(
            f"data: {count} speakers; of {splits} splits that share none each needs one",
            MORE_SPEAKERS,
        )


def _drawn(
    labels: Labels,
    speakers: tuple[str | None, ...] | None,
    share: float,
    seed: int,
    form: LabelForm,
) -> NDArray[np.bool_]:
    if speakers is None:
        return held_out(labels, share, seed, form)
    return held_out_groups(labels, speaker_groups(speakers), share, seed)


def speaker_groups(speakers: tuple[str | None, ...]) -> NDArray[np.int64]:
    """(samples,): the number of each one's speaker; of those without a name, one of its own."""
    names = sorted({each for each in speakers if each is not None})
    places = {name: place for place, name in enumerate(names)}
    alone = iter(range(len(names), len(names) + len(speakers)))
    return np.array([places[s] if s is not None else next(alone) for s in speakers], np.int64)


def held_out_groups(
    labels: Labels, groups: NDArray[np.int64], share: float, seed: int, most: float = 1.0
) -> NDArray[np.bool_]:
    """(samples,): whole groups with about `share` of the samples, at least one of them, and of
    every class some where it can be; on the other side some of every class are left.

    labels: (samples,), int64; groups: (samples,); most: a share that no group brings the choice
    above, but where a class has no smaller one. Raises UserError: each group is the only one of
    some class.
    """
    order = np.argsort(groups, kind="stable")
    named, starts = np.unique(groups[order], return_index=True)
    members = dict(zip(named.tolist(), np.split(order, starts)[1:], strict=True))
    ranks = uniform(seed, named, slot=HELD_OUT)
    left = np.bincount(labels, minlength=1)
    missing = left > 0
    chosen, count = np.zeros(len(labels), np.bool_), 0
    drawn = named[np.argsort(ranks)].tolist()
    for limit, group in itertools.product((most, 1.0), drawn):
        mine = members[group]
        if chosen[mine[0]] or (limit > most and not missing.any()):
            continue
        theirs = np.bincount(labels[mine], minlength=len(left))
        needed = (missing & (theirs > 0)).any()
        last = ((theirs > 0) & (theirs == left)).any()
        above = count + len(mine) > limit * len(labels)
        if last or above or (not needed and (limit > most or count >= share * len(labels))):
            continue
        chosen[mine] = True
        count += len(mine)
        left, missing = left - theirs, missing & (theirs == 0)
    if not count:
        raise UserError(
            "data: clips cannot be parted by speaker: each speaker is the only one of a class",
            MORE_SPEAKERS,
        )
    return chosen


def shared_speakers(parts: list[SoundPart]) -> tuple[dict[str, int], list[str]]:
    """The split of each speaker, and who is in a given test split as well as in another, where the
    test is theirs."""
    where: dict[str, int] = {}
    shared: dict[str, None] = {}
    for part in parts:
        for speaker, code in zip(part.samples.speakers or (), part.codes.tolist(), strict=False):
            if speaker is not None:
                if where.setdefault(speaker, code) != code:
                    shared[speaker] = None
                where[speaker] = max(code, where[speaker])
    return where, list(shared)


def told_of_speakers(where: Mapping[str, int], shared: list[str], word: str = "clips") -> str:
    """What `shared_speakers` found, in a sentence; word: what recordings are called."""
    if not where:
        return (
            f"the {word} name no speakers: a voice may be in training and in test; "
            "`data.speaker` names what tells of them"
        )
    if shared:
        return (
            f"{len(shared)} speakers are in train or validation and in test too, such as "
            f"{shared[0]}: the test set is easier than speakers that nobody has heard"
        )
    counts = np.bincount(list(where.values()), minlength=len(SPLITS)).tolist()
    told = ", ".join(f"{count} in {name}" for count, name in zip(counts, SPLITS, strict=True))
    return f"{word} are parted by speaker: {told}"


def _recording_codes(
    samples: Samples,
    where: Mapping[str, int],
    share: float,
    validation: float,
    seed: int,
    name: str,
) -> Codes:
    """Whole recordings, or where they are named whole speakers; a speaker of clips where these
    are."""
    speakers = samples.speakers or (None,) * len(samples.labels)
    known = np.array([where.get(each or "", -1) for each in speakers], np.int8)
    groups = speaker_groups(speakers)
    free = np.flatnonzero(known < 0)
    if len(np.unique(groups[free])) < len(SPLITS) and not _in_all(known):
        raise UserError(
            f"data.sound.{name}: {len(np.unique(groups))} recordings or speakers; each split needs "
            "one of its own",
            "give three recordings or more; cut a long one into several files",
        )
    codes = known.copy()
    none = np.zeros(len(samples.labels), np.int64)
    codes[free] = TRAIN
    if len(np.unique(groups[free])) >= len(SPLITS):
        codes[free[held_out_groups(none[free], groups[free], share, TEST_SEED)]] = TEST
        pool = np.flatnonzero((known < 0) & (codes == TRAIN))
        held = held_out_groups(none[pool], groups[pool], validation, seed)
        codes[pool[held]] = VALIDATION
    return codes


def _in_all(codes: Codes) -> bool:
    return all((codes == code).any() for code in range(len(SPLITS)))
