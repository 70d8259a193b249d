"""The store: damaged entries are dropped aloud, and several runs may use it at once."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from edgedistill.cache import Cache, default_root


def put(cache: Cache, key: str, size: int = 10) -> None:
    with cache.work(key) as scratch:
        (scratch / "file.bin").write_bytes(bytes(size))
        cache.commit(key, "stage", {"size": size}, {})


def test_what_was_committed_is_found_by_another_run(tmp_path: Path) -> None:
    put(Cache(tmp_path), "k")
    found = Cache(tmp_path).find("k")
    assert found is not None
    assert found.metrics == {"size": 10}
    assert found.file("file.bin").read_bytes() == bytes(10)
    assert Cache(tmp_path).find("other") is None


@pytest.mark.parametrize("damage", ["change", "remove", "add", "seal"])
def test_a_damaged_entry_is_dropped_aloud_and_can_be_built_again(
    tmp_path: Path, damage: str
) -> None:
    said: list[str] = []
    cache = Cache(tmp_path, said.append)
    put(cache, "k")
    entry = tmp_path / "artifacts" / "k"
    if damage == "change":
        (entry / "file.bin").write_bytes(b"x" * 10)
    elif damage == "remove":
        (entry / "file.bin").unlink()
    elif damage == "add":
        (entry / "more").write_text("x")
    else:
        (entry / "artifact.json").write_text("{}")
    assert cache.find("k") is None
    assert not entry.exists()
    assert len(said) == 1
    assert said[0].startswith("cache: dropped a damaged entry, it will be built again: k: ")
    put(cache, "k")
    assert cache.find("k") is not None


def test_what_an_interrupted_stage_left_is_found_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.work("k") as scratch:
        (scratch / "epoch-1").write_text("half")
    assert [entry.key for entry in cache.unfinished()] == ["k"]
    with Cache(tmp_path).work("k") as scratch:
        assert (scratch / "epoch-1").read_text() == "half"


def _build(root: Path, log: Any, waits: Any) -> None:
    def say(text: str) -> None:
        log.append(text)
        waits.set()

    cache = Cache(root, say)
    if cache.find("k") is None:
        with cache.work("k") as scratch:
            if cache.find("k") is None:
                log.append("builds")
                (scratch / "part").write_text("x")
                assert waits.wait(20)
                cache.commit("k", "stage", {}, {})
    assert cache.find("k") is not None
    log.append("has it")


def test_two_runs_at_once_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        log, waits = manager.list(), context.Event()
        runs = [context.Process(target=_build, args=(tmp_path, log, waits)) for _ in range(2)]
        for run in runs:
            run.start()
        for run in runs:
            run.join(30)
        assert [run.exitcode for run in runs] == [0, 0]
        events = list(log)
    assert events.count("builds") == 1
    assert events.count("has it") == 2
    assert events.count("cache: another run is building the same thing; waiting for it") == 1


def _die(root: Path) -> None:
    with Cache(root).work("k") as scratch:
        (scratch / "epoch-1").write_text("half")
        os.kill(os.getpid(), 9)


def test_a_killed_run_holds_no_lock(tmp_path: Path) -> None:
    run = multiprocessing.get_context("fork").Process(target=_die, args=(tmp_path,))
    run.start()
    run.join(20)
    assert run.exitcode == -9
    with Cache(tmp_path).work("k") as scratch:
        assert (scratch / "epoch-1").exists()


def test_prune_removes_the_least_recently_used_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for age, key in enumerate(["old", "middle", "new"]):
        put(cache, key, 1000)
        os.utime(tmp_path / "artifacts" / key, (age + 1, age + 1))
    assert cache.find("old") is not None  # which makes it the most recently used
    cache = Cache(tmp_path)
    sizes = {entry.key: entry.bytes for entry in cache.entries()}
    removed = cache.prune(sizes["old"] + sizes["new"])
    assert [entry.key for entry in removed] == ["middle"]
    assert [entry.key for entry in cache.entries()] == ["new", "old"]


def test_clearing_removes_unfinished_work_too(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    put(Cache(tmp_path), "k")
    with cache.work("half") as scratch:
        (scratch / "x").write_text("x")
    assert {entry.key for entry in cache.prune(0)} == {"k", "half"}
    assert cache.entries() == cache.unfinished() == []


def test_prices_of_devices_are_listed_and_go_last(tmp_path: Path) -> None:
    put(Cache(tmp_path), "k", 1000)
    prices = tmp_path / "costs" / "device.jsonl"
    prices.write_text('["inference", 1.0]\n')
    cache = Cache(tmp_path)
    told = [(each.kind, each.key, each.bytes) for each in cache.prices()]
    assert told == [("prices", "device.jsonl", prices.stat().st_size)]
    assert [entry.key for entry in cache.prune(500)] == ["k"]
    assert [entry.key for entry in cache.prune(0)] == ["device.jsonl"]
    assert not cache.prices() and not prices.exists()


def test_work_under_way_is_never_pruned(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.work("busy") as scratch:
        (scratch / "x").write_text("x")
        assert Cache(tmp_path).prune(0) == []
        assert (scratch / "x").exists()


def test_an_artifact_that_a_run_reads_is_never_pruned(tmp_path: Path) -> None:
    put(Cache(tmp_path), "k")
    run = Cache(tmp_path)
    assert run.find("k") is not None
    assert Cache(tmp_path).prune(0) == []
    del run
    assert [entry.key for entry in Cache(tmp_path).prune(0)] == ["k"]


def test_the_place_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDISTILL_CACHE", "/somewhere")
    assert default_root() == Path("/somewhere")
    monkeypatch.delenv("EDGEDISTILL_CACHE")
    assert default_root() == Path.home() / ".cache" / "edgedistill"


def test_what_helps_to_resume_is_there_until_all_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    with cache.work("key") as scratch:
        (scratch / "result").write_text("done")
        (scratch / "checkpoints").mkdir()
        (scratch / "checkpoints" / "run").write_text("half")
        with monkeypatch.context() as context:
            context.setattr("edgedistill.cache.seal", _killed)
            with pytest.raises(KeyboardInterrupt):
                cache.commit("key", "stage", {}, {})
        assert (scratch / "checkpoints" / "run").exists()
        with monkeypatch.context() as context:
            context.setattr("edgedistill.cache.shutil.rmtree", _killed)
            with pytest.raises(KeyboardInterrupt):
                cache.commit("key", "stage", {}, {})
    sealed = cache.find("key")
    assert sealed is not None
    assert sorted(item.name for item in sealed.path.iterdir()) == ["artifact.json", "result"]


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_what_was_paid_for_goes_when_asked_and_not_while_it_comes_in(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for name in ("busy", "idle"):
        (tmp_path / "answers" / name).mkdir(parents=True)
        (tmp_path / "answers" / name / "answers.bin").write_bytes(b"paid")
    cache.prune(0)
    assert len(cache.answers()) == 2
    with (tmp_path / "answers" / "busy" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert [entry.key for entry in cache.forget()] == ["idle"]
    assert [entry.key for entry in cache.answers()] == ["busy"]
    cache.forget()
    assert not cache.answers()
