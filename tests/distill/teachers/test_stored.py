from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from asking import answers, batch, context, softmax
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.distill.teachers import Teacher, TeacherBatch, open_teacher
from edgedistill.errors import UserError
from edgedistill.recipe import StoredTeacher

SAMPLES = [104, 101, 102, 100, 103, 7]
LOGITS = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)


def write(path: Path, **columns: Any) -> Path:
    """Rows about `SAMPLES`, unless they come with a column of their own; row groups of two."""
    pq.write_table(pa.table({"sample": SAMPLES, **columns}), path, row_group_size=2)
    return path


def teacher(path: Path) -> Teacher:
    return open_teacher(StoredTeacher(family="stored", path=path), context())


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as raised:
        answers(teacher(path), batch(2))
    return raised.value.message


def everything() -> TeacherBatch:
    """About each row, in the file's order."""
    return TeacherBatch(np.arange(6), np.array(SAMPLES), False, batch(6).inputs)


def rows(asked: TeacherBatch) -> list[int]:
    return [SAMPLES.index(sample) for sample in asked.samples]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 3)]
)
def test_logits_are_found_by_sample(tmp_path: Path, kind: pa.DataType) -> None:
    path = write(tmp_path / "a.parquet", logits=pa.array(LOGITS.tolist(), kind))
    asked = batch(5)
    assert np.array_equal(answers(teacher(path), asked), LOGITS[rows(asked)])


def test_probabilities_are_given_as_their_logarithms(tmp_path: Path) -> None:
    probabilities = [[1.0, 0.0, 0.0], *softmax(LOGITS[1:]).tolist()]
    path = write(tmp_path / "a.parquet", probabilities=probabilities)
    asked = batch(5)
    found = answers(teacher(path), asked)
    assert np.allclose(softmax(found), np.array(probabilities)[rows(asked)], atol=1e-6)
    assert found.min() == pytest.approx(np.log(1e-7))


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 2, 0, 1, 2],
        ["bird", "cat", "ship", "bird", "cat", "ship"],
        pa.array(["bird", "cat", "ship", "bird", "cat", "ship"]).dictionary_encode(),
    ],
)
def test_a_label_has_all_the_probability(tmp_path: Path, labels: Any) -> None:
    asked = batch(5)
    found = softmax(answers(teacher(write(tmp_path / "a.parquet", label=labels)), asked))
    assert np.allclose(found, np.eye(3)[[row % 3 for row in rows(asked)]], atol=1e-6)


def test_what_the_top_few_leave_is_spread_over_the_others(tmp_path: Path) -> None:
    named = [["cat"], ["ship", "bird"], ["bird", "cat", "ship"], [], ["ship"], ["cat"]]
    shares = [[0.6], [0.5, 0.4], [0.2, 0.3, 0.5], [], [1.0], [0.25]]
    path = write(
        tmp_path / "a.parquet",
        classes=named,
        log_probabilities=[np.log(each).tolist() for each in shares],
    )
    found = softmax(answers(teacher(path), everything()))
    expected = [
        [0.2, 0.6, 0.2],
        [0.4, 0.1, 0.5],
        [0.2, 0.3, 0.5],
        [1 / 3, 1 / 3, 1 / 3],
        [0, 0, 1],
        [0.375, 0.25, 0.375],
    ]
    assert np.allclose(found, expected, atol=1e-6)


@given(st.lists(st.lists(st.integers(0, 2), unique=True), min_size=6, max_size=6), st.data())
def test_a_distribution_comes_of_any_top_few(
    tmp_path_factory: pytest.TempPathFactory, named: list[list[int]], data: st.DataObject
) -> None:
    draw = st.floats(-20, 0)
    given_ = [[data.draw(draw) - np.log(3) for _ in each] for each in named]
    path = tmp_path_factory.mktemp("top") / "a.parquet"
    kinds = pa.list_(pa.int64()), pa.list_(pa.float64())
    write(path, classes=pa.array(named, kinds[0]), log_probabilities=pa.array(given_, kinds[1]))
    found = np.exp(answers(teacher(path), everything()).astype(np.float64))
    for row, (numbers, logarithms) in enumerate(zip(named, given_, strict=True)):
        assert np.allclose(found[row, numbers], np.exp(logarithms), atol=2e-7)
        assert len(numbers) == 3 or found[row].sum() == pytest.approx(1, abs=1e-5)


def test_view_0_answers_for_all_views(tmp_path: Path) -> None:
    samples = [100, 100, 101, 101]
    views, labels = [1, 0, 0, 1], [2, 0, 1, 2]
    path = write(tmp_path / "a.parquet", sample=samples, view=views, label=labels)
    assert answers(teacher(path), batch(2)).argmax(axis=1).tolist() == [0, 1]
    write(path, sample=samples, view=[1, 2, 3, 4], label=labels)
    assert refusal(path) == f"{path}: has no rows of view 0"


def test_richer_answers_go_before_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", label=[0] * 6, logits=LOGITS.tolist())
    asked = batch(5)
    assert np.array_equal(answers(teacher(path), asked), LOGITS[rows(asked)])


def test_a_file_that_names_other_classes_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", label=[0] * 6)
    table = pq.read_table(path)
    for told, fits in ((["bird", "cat", "ship"], True), (["cat", "bird", "ship"], False)):
        pq.write_table(table.replace_schema_metadata({"classes": json.dumps(told)}), path)
        if fits:
            answers(teacher(path), everything())
        else:
            assert refusal(path) == (
                f"{path}: its answers are for 3 classes (cat, bird, ship), the data has "
                "3 classes (bird, cat, ship)"
            )


def test_missing_samples_are_counted_and_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", label=[0] * 6)
    with pytest.raises(UserError) as raised:
        answers(teacher(path), batch(12))
    assert raised.value.message == (
        f"{path}: has no answer for 7 of 12 samples: samples 105, 106, 107, 108, 109, ..."
    )


def test_a_sample_answered_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", sample=[1, 2, 3, 2, 4, 5], label=[0] * 6)
    assert refusal(path) == f"{path}: has more than one row for sample 2"


def test_what_is_no_answer_names_its_samples(tmp_path: Path) -> None:
    logits = LOGITS.tolist()
    logits[1][2] = float("nan")
    logits[4][0] = None
    path = write(tmp_path / "a.parquet", logits=logits)
    # Rows are read in batches larger than this file.
    assert refusal(path) == f"{path}: `logits` are not finite for samples 101, 103"
    shares = softmax(LOGITS).tolist()
    shares[5][0] = -0.5
    write(path, probabilities=shares)
    assert refusal(path) == f"{path}: `probabilities` are not probabilities for sample 7"
    given_ = [[-0.1], [-0.1], [2.0], [-0.1], [-0.1], [-0.1]]
    write(path, classes=[["cat"]] * 6, log_probabilities=given_)
    assert refusal(path) == f"{path}: `log_probabilities` are not log probabilities for sample 102"


def test_lists_of_another_length_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", logits=[[0.0, 1.0]] * 6)
    assert refusal(path) == (
        f"{path}: `logits` has 2 values for samples 104, 101, 102, 100, 103, ...; "
        "the data has 3 classes"
    )
    write(path, classes=[["cat", "bird"]] * 6, log_probabilities=[[-0.1]] * 6)
    assert refusal(path) == (
        f"{path}: `classes` and `log_probabilities` are not of one length for "
        "samples 104, 101, 102, 100, 103, ..."
    )


def test_classes_that_the_data_has_not_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", label=["bird", "cat", "shop", "cat", "cat", "cat"])
    with pytest.raises(UserError) as raised:
        answers(teacher(path), batch(2))
    assert raised.value.message == (f"{path}: `shop` in `label` is not one of the data's 3 classes")
    assert raised.value.hint == "did you mean `ship`?"
    write(path, label=[0, 1, 2, 3, 1, 1])
    assert refusal(path) == f"{path}: 3 in `label` is outside the 3 classes (0..2)"


def test_columns_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", score=[0.5] * 6)
    assert refusal(path) == f"{path}: has the columns sample, score"
    write(path, logits=[0.5] * 6)
    assert refusal(path) == f"{path}: `logits` holds double"
    write(path, logits=[["a", "b", "c"]] * 6)
    assert refusal(path) == f"{path}: `logits` holds string"
    write(path, sample=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], label=[0] * 6)
    assert refusal(path) == f"{path}: `sample` holds double"
    write(path, label=[0, None, 0, 0, 0, 0])
    assert refusal(path) == f"{path}: `label` holds int64 with nulls"


def test_test_data_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", label=[0] * 6)
    test = write(tmp_path / "b.parquet", label=[2] * 6)
    config = StoredTeacher(family="stored", path=path, test=test)
    opened, asked = open_teacher(config, context()), batch(3)
    of_test = dataclasses.replace(asked, of_test=True)
    for each, label in ((asked, 0), (of_test, 2), (asked, 0)):
        assert answers(opened, each).argmax(axis=1).tolist() == [label] * 3
    test.unlink()
    with pytest.raises(UserError) as raised:
        open_teacher(config, context())
    assert raised.value.message == f"teacher: file not found: {test}"


def test_a_file_that_is_missing_or_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(UserError) as raised:
        teacher(path)
    assert raised.value.message == f"teacher: file not found: {path}"
    path.write_bytes(b"sample,label\n0,1\n")
    assert refusal(path).startswith(f"{path}: cannot be read: ArrowInvalid: ")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"sample": pa.array([2**64 - 1] * 6, pa.uint64()), "label": [0] * 6},
            "too large a number",
        ),
        ({"view": ["a"] * 6, "label": [0] * 6}, "cannot be read: ArrowNotImplementedError: "),
        ({"label": [{"a": 1}] * 6}, "`label` holds struct<a: int64>"),
        ({"logits": [[1e300, 0.0, 0.0]] * 6}, "`logits` are not finite"),
        (
            {"classes": [["cat", "cat"]] * 6, "log_probabilities": [[-1.0, -1.0]] * 6},
            "a class is there twice in `classes` for samples 104, 101",
        ),
    ],
)
def test_columns_that_are_no_answers(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    assert message in refusal(write(tmp_path / "a.parquet", **columns))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_file_with_other_bytes_answers_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "other.parquet", logits=LOGITS.tolist())
    content = bytearray(path.read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        assert answers(teacher(path), batch(2)).shape == (2, 3)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="is no regular file; teacher: file is meant"):
        teacher(tmp_path / "a.parquet")
