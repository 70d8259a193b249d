"""Answers in a parquet file as teacher."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.parquet import open_parquet, parquet_reading
from edgedistill.distill.teachers import (
    Floats,
    Ids,
    Predictions,
    TeacherBatch,
    TeacherContext,
    log_probabilities,
)
from edgedistill.distill.teachers.columns import (
    class_numbers,
    floats,
    in_brief,
    in_words,
    lists,
    refuse,
    whole,
)
from edgedistill.errors import UserError
from edgedistill.files import check_regular
from edgedistill.recipe import StoredTeacher as Config

Rows = Callable[[Ids], Floats]
"""Numbers of rows to their logits (rows, classes)."""


class StoredTeacher:
    """Reads a file when it is first asked for it: training and test data have one each."""

    def __init__(self, config: Config, classes: Sequence[str]) -> None:
        """Raises UserError: a file is missing, or is none."""
        for path in (config.path, config.test):
            if path is not None:
                check_regular(path, "teacher: file", "check the path in `teacher`")
        self._config, self._classes = config, classes
        self._files: dict[bool, _Answers] = {}

    def covers(self, samples: Ids, of_test: bool) -> bool:
        """Whether there are answers for all of these samples, (n,)."""
        if of_test and self._config.test is None:
            return False
        return not self._file(of_test).missing(samples).any()

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """All at once, found by the samples' numbers in the user's data. Raises UserError: the file
        has no sound answer to one."""
        found = self._file(batch.of_test)(batch.samples)
        yield Predictions(np.arange(len(batch.ids)), found)

    def _file(self, of_test: bool) -> _Answers:
        if of_test not in self._files:
            path = self._config.test if of_test else self._config.path
            assert path is not None, "nobody asks about test data for which there is no file"
            self._files[of_test] = _Answers(path, self._classes)
        return self._files[of_test]


def open_(config: Config, context: TeacherContext) -> StoredTeacher:
    """The teacher. Raises UserError as `StoredTeacher` does."""
    return StoredTeacher(config, context.classes)


class _Answers:
    """A sample has one answer, whatever its view: of a file with a column `view`, that of view 0.
    Where a file has columns for several forms of answer, the first of `FORMS` counts."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        """Raises UserError: no parquet, a column missing, or values that are no answers."""
        self._path = path
        samples, self._rows = _read(path, classes)
        self._order = np.argsort(samples, kind="stable")
        self._samples = samples[self._order]
        twice = self._samples[1:][self._samples[1:] == self._samples[:-1]]
        if len(twice):
            raise UserError(
                f"{path}: has more than one row for {in_words(twice)}",
                "keep one for each, or number them in a column `view`: view 0 counts",
            )

    def missing(self, wanted: Ids) -> NDArray[np.bool_]:
        """(samples,)"""
        missing: NDArray[np.bool_] = self._samples[self._places(wanted)] != wanted
        return missing

    def _places(self, wanted: Ids) -> Ids:
        at = np.searchsorted(self._samples, wanted)
        at[at == len(self._samples)] = 0
        return at

    def __call__(self, wanted: Ids) -> Floats:
        """Logits (samples, classes)."""
        missing = self.missing(wanted)
        if missing.any():
            raise UserError(
                f"{self._path}: has no answer for {missing.sum()} of {len(wanted)} samples: "
                f"{in_words(wanted[missing])}",
                "`sample` is the image's number in the data's own order, from 0",
            )
        return self._rows(self._order[self._places(wanted)])


def _read(path: Path, classes: Sequence[str]) -> tuple[Ids, Rows]:
    """The samples that the rows are about, and the rows' logits."""
    import pyarrow.compute as pc

    with open_parquet(path) as file, parquet_reading(str(path)):
        names = file.schema_arrow.names
        _same_classes(file.schema_arrow, classes, path)
        form = _form(path, names)
        try:
            kept = FORMS[form](path, classes, file.metadata.num_rows)
        except MemoryError:
            raise ValueError(f"{file.metadata.num_rows} rows, more than memory holds") from None
        samples = []
        view = ["view"] if "view" in names else []
        for batch in file.iter_batches(columns=["sample", *view, *form]):
            rows = batch.filter(pc.equal(batch["view"], 0)) if view else batch
            samples.append(whole(rows["sample"], "sample", path))
            kept.add(samples[-1], *(rows[name] for name in form))
        if not any(map(len, samples)):
            raise UserError(
                f"{path}: has no rows{' of view 0' if view else ''}", "give answers for the samples"
            )
        return np.concatenate(samples), kept.rows()


def _same_classes(schema: Any, classes: Sequence[str], path: Path) -> None:
    """Raises UserError: the file says that its classes are others, or in another order."""
    told = (schema.metadata or {}).get(b"classes")
    try:
        named = None if told is None else json.loads(told)
    except (ValueError, RecursionError):
        return  # somebody else's, with a meaning of their own
    if isinstance(named, list) and named != list(classes):
        raise UserError(
            f"{path}: its answers are for {in_brief(named)}, the data has {in_brief(classes)}",
            "answer for the data's classes, in their order",
        )


def _form(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    form = next((each for each in FORMS if set(each) <= set(names)), None)
    if form is None or "sample" not in names:
        raise UserError(
            f"{path}: has the columns {', '.join(names)}",
            "it needs `sample`, and `logits`, `probabilities`, `label`, or `classes` with "
            "`log_probabilities`",
        )
    return form


class _Logits:
    """A list of a number for each class."""

    name = "logits"

    def __init__(self, path: Path, classes: Sequence[str], rows: int) -> None:
        self._path, self._count = path, 0
        # Rows of other views stay unwritten, and memory that is not written to is not taken.
        self._values: Floats = np.empty((rows, len(classes)), np.float32)

    def add(self, samples: Ids, column: Any) -> None:
        flat, lengths = lists(column, self.name, self._path)
        classes = self._values.shape[1]
        wrong = lengths != classes
        if wrong.any():
            raise UserError(
                f"{self._path}: `{self.name}` has {lengths[wrong][0]} values for "
                f"{in_words(samples[wrong])}; the data has {classes} classes",
                "give one for each class, in the data's order",
            )
        values = self._real(floats(flat, self.name, self._path).reshape(-1, classes))
        refuse(~np.isfinite(values).all(axis=1), samples, self.name, self._path)
        self._values[self._count : self._count + len(samples)] = values
        self._count += len(samples)

    def _real(self, values: Floats) -> Floats:
        return values

    def rows(self) -> Rows:
        return lambda rows: self._values[rows]


class _Probabilities(_Logits):
    name = "probabilities"

    def _real(self, values: Floats) -> Floats:
        return np.where(values >= 0, log_probabilities(values), np.nan)


class _Labels:
    """One class, which has all the probability."""

    def __init__(self, path: Path, classes: Sequence[str], rows: int) -> None:
        self._path, self._classes = path, classes
        self._labels: list[Ids] = []

    def add(self, samples: Ids, column: Any) -> None:
        self._labels.append(class_numbers(column, self._classes, "label", self._path))

    def rows(self) -> Rows:
        labels, sure = np.concatenate(self._labels), np.eye(len(self._classes))
        return lambda rows: log_probabilities(sure[labels[rows]])


class _Top:
    """Some classes with the logarithms of their probabilities. What is left to 1 is spread evenly
    over the others."""

    def __init__(self, path: Path, classes: Sequence[str], rows: int) -> None:
        self._path, self._classes = path, classes
        self._lengths: list[Ids] = []
        self._named: list[Ids] = []
        self._given: list[Floats] = []

    def add(self, samples: Ids, classes: Any, given: Any) -> None:
        named, lengths = lists(classes, "classes", self._path)
        logarithms, others = lists(given, "log_probabilities", self._path)
        wrong = lengths != others
        if wrong.any():
            raise UserError(
                f"{self._path}: `classes` and `log_probabilities` are not of one length for "
                f"{in_words(samples[wrong])}",
                "give each class one probability",
            )
        values = floats(logarithms, "log_probabilities", self._path)
        bad = np.isnan(values) | (values > 1e-3)  # 1, rounded up
        refuse(
            np.isin(np.arange(len(samples)), np.repeat(np.arange(len(samples)), lengths)[bad]),
            samples, "log_probabilities", self._path,
        )  # fmt: skip
        numbers = class_numbers(named, self._classes, "classes", self._path)
        rows = np.repeat(np.arange(len(samples)), lengths)
        pairs = np.sort(rows * len(self._classes) + numbers)
        twice = pairs[1:][pairs[1:] == pairs[:-1]] // len(self._classes)
        if len(twice):
            raise UserError(
                f"{self._path}: a class is there twice in `classes` for "
                f"{in_words(samples[np.unique(twice)])}",
                "give each class one probability",
            )
        self._lengths.append(lengths)
        self._named.append(numbers)
        self._given.append(values)

    def rows(self) -> Rows:
        lengths = np.concatenate(self._lengths)
        count = len(self._classes)
        filled = np.arange(lengths.max()) < lengths[:, None]
        # Rows that name fewer classes than others are filled up with one more than there are.
        named = np.full(filled.shape, count, np.int32)
        given = np.zeros(filled.shape, np.float32)
        named[filled] = np.concatenate(self._named)
        given[filled] = np.exp(np.concatenate(self._given))

        def logits(rows: Ids) -> Floats:
            rest = np.maximum(1 - given[rows].sum(axis=1), 0) / np.maximum(count - lengths[rows], 1)
            spread = np.repeat(rest[:, None], count + 1, axis=1)
            np.put_along_axis(spread, named[rows], given[rows], axis=1)
            return log_probabilities(spread[:, :count])

        return logits


FORMS: dict[tuple[str, ...], type[_Logits] | type[_Labels] | type[_Top]] = {
    ("logits",): _Logits,
    ("probabilities",): _Probabilities,
    ("classes", "log_probabilities"): _Top,
    ("label",): _Labels,
}
