from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgedistill.distill.store import (
    Answers,
    Layout,
    Store,
    divergence,
    keep,
    log_softmax,
    open_answers,
    opened,
)
from edgedistill.errors import UserError
from edgedistill.recipe import SoundAugment

FULL = Layout(3)
logits = hnp.arrays("float32", (4, 6), elements=st.floats(-20, 20, width=32))


def answer(ids: Any, view: int) -> Any:
    return np.stack([ids, ids * 2, ids + view], axis=1).astype(np.float32)


def fill(folder: Path, views: int = 2, samples: int = 10, layout: Layout = FULL) -> None:
    with opened(folder, layout, views, samples, {"teacher": "t"}) as store:
        for view in range(views):
            missing = store.missing(view)
            store.add(view, missing, answer(missing, view)[:, : layout.classes])


def kept(folder: Path, out: Path, views: int = 2) -> Answers:
    with opened(folder, FULL, views, 10, {"teacher": "t"}) as store:
        out.mkdir(exist_ok=True)
        keep(store, out)
    return open_answers(out)


def test_answers_are_found_by_sample_and_view(tmp_path: Path) -> None:
    fill(tmp_path / "s")
    answers = kept(tmp_path / "s", tmp_path / "a")
    ids = np.array([9, 0, 4])
    assert np.array_equal(answers(ids, 1), answer(ids, 1))
    assert np.array_equal(answers(ids, 3), answer(ids, 1)), "views repeat"
    assert np.array_equal(answers.agreement(ids, 0), np.ones(3))


def test_more_views_ask_only_for_what_is_new(tmp_path: Path) -> None:
    fill(tmp_path, views=2)
    with opened(tmp_path, FULL, 3, 10, {"teacher": "t"}) as store:
        assert [len(store.missing(view)) for view in range(3)] == [0, 0, 10]


def _die_after(folder: Path, answers: int) -> None:
    with opened(folder, FULL, 1, 10, {"teacher": "t"}) as store:
        for sample in store.missing(0)[:answers]:
            ids = np.array([sample])
            store.add(0, ids, answer(ids, 0))
        os.kill(os.getpid(), 9)


def test_a_kill_loses_no_answer_and_order_does_not_show(tmp_path: Path) -> None:
    import multiprocessing

    for already in (0, 3, 7):
        with opened(tmp_path / "s", FULL, 1, 10, {"teacher": "t"}) as store:
            assert len(store.missing(0)) == 10 - already
        arguments = (tmp_path / "s", 3 if already < 3 else 4 if already < 7 else 3)
        run = multiprocessing.get_context("fork").Process(target=_die_after, args=arguments)
        run.start()
        run.join(20)
        assert run.exitcode == -9
    fill(tmp_path / "whole", views=1)
    for name in ("s", "whole"):
        with opened(tmp_path / name, FULL, 1, 10, {"teacher": "t"}) as store:
            (tmp_path / f"{name}-kept").mkdir()
            keep(store, tmp_path / f"{name}-kept")
    same = [(tmp_path / f"{name}-kept" / "answers.npy").read_bytes() for name in ("s", "whole")]
    assert same[0] == same[1]


def test_half_a_record_at_the_end_is_asked_again(tmp_path: Path) -> None:
    fill(tmp_path, views=1)
    shard = next(tmp_path.glob("shard-*.bin"))
    shard.write_bytes(shard.read_bytes()[:-5])
    with opened(tmp_path, FULL, 1, 10, {"teacher": "t"}) as store:
        assert store.missing(0).tolist() == [9]
        store.add(0, np.array([9]), answer(np.array([9]), 0))
        assert not len(store.missing(0))
    assert len(list(tmp_path.glob("shard-*.bin"))) == 2


def test_an_answer_that_is_not_a_number_names_its_samples(tmp_path: Path) -> None:
    ids = np.arange(40, 48)
    broken = answer(ids, 0)
    broken[2] = np.nan
    with (
        opened(tmp_path, FULL, 1, 100, {"split": "test"}) as store,
        pytest.raises(UserError, match=r"not finite for samples \[42\] of `test`"),
    ):
        store.add(0, ids, broken)


def test_another_teachers_store_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    with (
        pytest.raises(UserError, match="teacher: 't', expected 'other'") as caught,
        opened(tmp_path, FULL, 2, 10, {"teacher": "other"}),
    ):
        pass
    assert caught.value.hint == "take another folder, or remove this one to ask again"
    with (
        pytest.raises(UserError, match="form: 'full', expected 'half'"),
        opened(tmp_path, Layout(3, "half"), 2, 10, {"teacher": "t"}),
    ):
        pass


@given(logits)
def test_half_precision_keeps_the_distribution(values: Any) -> None:
    layout = Layout(6, "half")
    back = layout.unpack(layout.pack(0, np.arange(4), values, None))
    assert divergence(values, back).max() < 1e-3
    assert np.allclose(back.max(axis=1), 0)


@given(logits)
def test_the_top_few_keep_their_probabilities_and_the_rest_its_sum(values: Any) -> None:
    layout = Layout(6, "top_k", 2)
    back = np.exp(log_softmax(layout.unpack(layout.pack(0, np.arange(4), values, None))))
    wanted = np.exp(log_softmax(values))
    top = np.argsort(-wanted, axis=1, kind="stable")[:, :2]
    got, exact = (np.take_along_axis(each, top, axis=1) for each in (back, wanted))
    assert np.allclose(got, exact, atol=2e-2)
    assert np.allclose(back.sum(axis=1), 1)
    others = np.delete(back[0], top[0])
    assert np.allclose(others, others[0])


def test_what_a_form_loses_is_measured(tmp_path: Path) -> None:
    with opened(tmp_path, Layout(3, "top_k", 1), 1, 2, {}) as store:
        store.add(0, np.array([0, 1]), np.array([[2.0, 1.0, -3.0], [0.0, 5.0, 5.1]], np.float32))
        assert isinstance(store, Store)
        assert store.loss.answers == 2 and store.loss.same == 2
        assert 0.05 < store.loss.divergence < 2
    with opened(tmp_path / "full", FULL, 1, 2, {}) as store:
        store.add(0, np.array([0]), np.zeros((1, 3), np.float32))
        assert store.loss.answers == 0, "nothing is lost when all is kept"


def test_what_is_kept_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        fill(tmp_path / "a" / "s")
        kept(tmp_path / "a" / "s", tmp_path / "out")
    finally:
        os.umask(before)
    paths = [*(tmp_path / "a").rglob("*"), *(tmp_path / "out").rglob("*")]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes.pop("s") == 0o700
    assert {"lock", "store.json", "answers.npy", "answers.json"} < set(modes)
    assert set(modes.values()) == {0o600}


def test_pairs_that_are_lists_in_the_file_are_the_same(tmp_path: Path) -> None:
    asked = {"teacher": "t", "augment": SoundAugment(snr_db=(0.0, 20.0)).model_dump()}
    for _ in range(2):
        with opened(tmp_path, FULL, 2, 10, asked) as store:
            assert store.views == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b"7", b'{"made_by": 3}', b'{"made_by": null}', b"{}",
     b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_head_is_told(tmp_path: Path, content: bytes) -> None:
    fill(tmp_path)
    (tmp_path / "store.json").write_bytes(content)
    with pytest.raises(UserError) as caught, opened(tmp_path, FULL, 2, 10, {"teacher": "t"}):
        pass
    assert str(tmp_path) in caught.value.message


def test_a_head_of_anything_long_is_told_in_short(tmp_path: Path) -> None:
    fill(tmp_path)
    head = {"made_by": {"teacher": "x" * 9999}, "classes": list(range(9999))}
    (tmp_path / "store.json").write_text(json.dumps(head))
    with pytest.raises(UserError) as caught, opened(tmp_path, FULL, 2, 10, {"teacher": "t"}):
        pass
    assert len(caught.value.message) < 900


@pytest.mark.parametrize("layout", [FULL, Layout(3, "half"), Layout(3, "top_k", 2)])
def test_records_that_can_be_no_answers_are_asked_again(tmp_path: Path, layout: Layout) -> None:
    fill(tmp_path / "s", views=1, layout=layout)
    shard = tmp_path / "s" / "shard-00000.bin"
    records = np.fromfile(shard, layout.record)
    numbers = "log_probabilities" if layout.form == "top_k" else "logits"
    records["sample"][2] = 10
    records["view"][3] = 4_000_000_000
    records[numbers][5, 0] = np.nan
    if layout.form == "top_k":
        records["classes"][7, 1] = 3
    records.tofile(shard)
    with opened(tmp_path / "s", layout, 1, 10, {"teacher": "t"}) as store:
        damaged = [2, 3, 5, 7] if layout.form == "top_k" else [2, 3, 5]
        assert store.missing(0).tolist() == damaged
        store.add(0, store.missing(0), answer(store.missing(0), 0))
        keep(store, tmp_path)
    assert np.isfinite(open_answers(tmp_path)(np.arange(10), 0)).all()


def test_a_new_shard_is_appended_to_no_old_one(tmp_path: Path) -> None:
    fill(tmp_path, views=1)
    (tmp_path / "shard-00000.bin").rename(tmp_path / "shard-00001.bin")
    (tmp_path / "shard-00001.bin").write_bytes((tmp_path / "shard-00001.bin").read_bytes()[:-5])
    (tmp_path / "shard-x.bin").write_bytes(b"not ours")
    with opened(tmp_path, FULL, 1, 10, {"teacher": "t"}) as store:
        store.add(0, np.array([9]), answer(np.array([9]), 0))
    assert (tmp_path / "shard-00002.bin").stat().st_size == FULL.record.itemsize


@pytest.mark.parametrize(
    ("name", "content"),
    [("answers.npy", b""), ("answers.npy", b"\x93NUMPY"), ("answers.npy", b"garbage" * 99),
     ("answers.json", b""), ("answers.json", b"[]"), ("answers.json", b'{"classes": "x"}'),
     ("answers.json", b'{"classes": 4, "form": "full", "k": 0}'), ("answers.json", b'{"a": 1}'),
     ("answers.json", b'{"classes": -1}'), ("answers.json", b'{"classes": 1e9}')],
)  # fmt: skip
def test_damaged_answers_are_told(tmp_path: Path, name: str, content: bytes) -> None:
    fill(tmp_path / "s")
    kept(tmp_path / "s", tmp_path / "a")
    (tmp_path / "a" / name).write_bytes(content)
    with pytest.raises(UserError, match="the answers kept there: cannot be read") as caught:
        open_answers(tmp_path / "a")
    assert "remove the folder" in caught.value.hint


def test_cut_answers_are_told(tmp_path: Path) -> None:
    fill(tmp_path / "s")
    kept(tmp_path / "s", tmp_path / "a")
    os.truncate(tmp_path / "a" / "answers.npy", 200)
    with pytest.raises(UserError, match="the answers kept there: cannot be read"):
        open_answers(tmp_path / "a")
