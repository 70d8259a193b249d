"""Put every image of a split to a teacher, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact, text_digest
from edgedistill.data import Split, View, open_split
from edgedistill.distill.store import Layout, Store, keep, open_answers, opened
from edgedistill.distill.teachers import Teacher, TeacherBatch, TeacherContext, open_teacher
from edgedistill.distill.teachers.stored import StoredTeacher
from edgedistill.progress import Reporter
from edgedistill.recipe import Teacher as Config
from edgedistill.records import DataRecord
from edgedistill.tasks.labels import LabelForm, Labels

Floats = NDArray[np.float32]
Tick = Callable[[float, float, str], None]


@dataclass(frozen=True)
class Asked:
    """How many answers were wanted, how many of them had to be asked for now, and the seconds
    that took."""

    wanted: int
    now: int
    seconds: float


def held_against(split: Split, view: View, outputs: Floats, form: LabelForm) -> Labels:
    """The labels that a teacher's outputs (samples, values) to a view of all of a split are held
    against."""
    everyone = np.arange(len(split))
    mix = split.mix(everyone, view)
    if mix is None:
        return split.labels
    labels = split.labels
    return form.answered(labels, labels[mix.others], mix.shares, outputs)


def ask(
    teacher: Teacher,
    split: Split,
    store: Store,
    look: Callable[[NDArray[np.int64], int], dict[str, Floats]],
    batch_size: int,
    tick: Tick,
    of_test: bool = False,
) -> Asked:
    """Fill `store` with what is missing; `look(ids, view)` gives what the teacher is shown.

    of_test: whether the images come from the user's own test data.
    """
    wanted = store.views * store.samples
    first = wanted - sum(len(store.missing(view)) for view in range(store.views))
    done, started = first, time.monotonic()
    for view in range(store.views):
        missing = store.missing(view)
        for start in range(0, len(missing), batch_size):
            ids = missing[start : start + batch_size]
            batch = TeacherBatch(ids, split.samples[ids], of_test, look(ids, view))
            for part in teacher.predict(batch):
                store.add(view, ids[part.at], part.logits, part.agreement)
                done += len(part.at)
                speed = (done - first) / max(time.monotonic() - started, 1e-9)
                tick(done, wanted, f"{speed:.0f} images/s")
    return Asked(wanted, done - first, time.monotonic() - started)


def plain_answers(
    config: Config,
    identity: str,
    context: TeacherContext,
    data: Artifact,
    name: str,
    folder: Path,
    reporter: Reporter,
) -> Floats | None:
    """The teacher's logits (samples, classes) for the images of a split as they are; None for
    stored answers that do not cover it. Kept in `folder`, so that none is asked for twice.

    identity: digest of all that the answers depend on, beside the images.
    """
    split = open_split(data.path, name, config.image_size)
    own_test = name == "test" and DataRecord.read(data).own_test
    made_by = {"teacher": identity, "data": data.digest, "split": name}
    teacher = open_teacher(config, context)
    if isinstance(teacher, StoredTeacher) and not teacher.covers(split.samples, own_test):
        return None
    layout = Layout(len(context.classes))
    place = folder / text_digest(made_by)[:24]
    with opened(place, layout, 1, len(split), made_by, reporter.say) as store:
        ask(teacher, split, store, lambda ids, _: split.inputs(ids), 256,
            lambda a, b, note: reporter.tick(f"teacher, {name}", a, b, note), own_test)  # fmt: skip
        with TemporaryDirectory(dir=place) as kept:
            keep(store, Path(kept))
            return open_answers(Path(kept))(np.arange(len(split)), 0)
