"""What adb and ssh have in common, over a link to this machine that can be cut."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from far_end import FarEnd, processes

from edgedistill.devices import native
from edgedistill.devices.job import Job, Protocol, Record
from edgedistill.devices.remote import device, folder, scripts
from edgedistill.devices.remote.device import Remote
from edgedistill.devices.remote.link import Lost, Refused
from edgedistill.errors import UserError

ANSWERS = """
echo '[0.25, 0.5]' >record.json
cp input0.raw output0.raw
"""


def answered(order: native.Prepared, here: Path) -> Record:
    """What that answers."""
    values = {"logits": np.fromfile(here / "output0.raw", np.float32)}
    samples = json.loads((here / "record.json").read_text())
    return Record(1.0, 1.0, samples, None, outputs=values)


@pytest.fixture
def link(tmp_path: Path) -> FarEnd:
    (tmp_path / "there").mkdir()
    return FarEnd(tmp_path / "there")


@pytest.fixture
def job(tiny_onnx: Path, tmp_path: Path) -> Job:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, pixels=np.random.default_rng(0).random((2, 1, 8, 8), dtype=np.float32))
    return Job(tiny_onnx, "onnxruntime", inputs, Protocol(seconds=1), profile=False)


@pytest.fixture
def runner_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`runner_does(script)`: instead of the runner, that; nothing is built."""
    path = tmp_path / "edgedistill_runner"

    def does(script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}")

    monkeypatch.setattr(native, "runner", lambda isa: path)
    library = tmp_path / "libruntime.so"
    library.write_bytes(b"")
    for module in (native, native.order):
        monkeypatch.setattr(module, "libraries", lambda runtime, isa: [library])
    monkeypatch.setattr(native, "answered", answered)
    monkeypatch.setattr(native, "launch", lambda isa: ["./edgedistill_runner"])
    does(ANSWERS)
    return does


@pytest.fixture(autouse=True)
def waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_COMES_BACK", 0.3)
    monkeypatch.setattr(folder, "_BETWEEN", 0.05)


def test_a_job_leaves_the_model_there_for_the_next_and_in_the_end_nothing(
    link: FarEnd, job: Job, runner_does: Callable[[str], None]
) -> None:
    with Remote(link) as far:
        record = far.run(job)
        (there,) = link.place.iterdir()
        assert sorted(path.name for path in there.iterdir()) == [
            "edgedistill_runner",
            "libruntime.so",
            "models",
        ]
        first = len(link.asked)
        again = far.run(job)
        pushed = [line for line in link.asked[first:] if line.startswith("push")]
        assert pushed == ["push job.sh", "push input0.raw"]
    assert record.samples_ms == again.samples_ms == [0.25, 0.5]
    assert record.outputs["logits"].size == 2 * 64
    assert link.left() == []


TOOLS = "cat chmod date df mkdir rm rmdir sha256sum sleep tail uname".split()


@pytest.mark.parametrize(
    ("shell", "tools"), [("mksh", "toybox"), ("busybox", "busybox"), ("bash", ""), ("dash", "")]
)
def test_androids_shell_and_others_will_do(
    link: FarEnd,
    job: Job,
    runner_does: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shell: str,
    tools: str,
) -> None:
    (tmp_path / "bin").mkdir()
    for name, of in {"sh": shell, **(dict.fromkeys(TOOLS, tools) if tools else {})}.items():
        if shutil.which(of) is None:
            pytest.skip(f"{of} is not here")
        (tmp_path / "bin" / name).symlink_to(shutil.which(of))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with Remote(link) as far:
        assert len(far.run(job).conditions) == 2
        runner_does("echo last words; exit 3")
        with pytest.raises(UserError, match="last words"):
            far.run(job)
    assert link.left() == []


def test_the_device_tells_its_state_before_and_after_a_job(
    link: FarEnd, job: Job, runner_does: Callable[[str], None]
) -> None:
    with Remote(link) as far:
        conditions = far.run(job).conditions
    assert len(conditions) == 2
    assert conditions[0].at_s == 0
    assert all("load" in each.facts for each in conditions)


def test_the_device_tells_its_state_while_a_job_runs(
    link: FarEnd,
    job: Job,
    runner_does: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scripts, "_APART", 1)
    runner_does(f"sleep 1.1{ANSWERS}")
    with Remote(link) as far:
        conditions = far.run(job).conditions
    assert len(conditions) == 3
    assert conditions[1].at_s in (1, 2)


def test_a_state_that_is_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "state.txt"
    path.write_text("\n@@ at\n100\n\n@@ load\n0.5 1\n\n@@ at\n\n@@ load\n\n@@ at\n160\n@@ lo")
    found = [(each.at_s, dict(each.facts)) for each in device._conditions(path)]
    assert found == [(0, {"load": 0.5}), (60, {})]
    path.write_text("")
    assert device._conditions(path) == []


def test_who_it_is(link: FarEnd) -> None:
    with Remote(link) as far:
        identity = far.identity()
    assert identity.isa in ("x86_64", "aarch64")
    assert identity.system.startswith("Linux ")
    assert identity.name
    assert int(identity.facts["cores"]) >= 1


def test_a_runner_that_dies_is_told_with_its_signal_and_its_last_words(
    link: FarEnd, job: Job, runner_does: Callable[[str], None]
) -> None:
    runner_does("echo 'about to load' >&2; kill -SEGV $$")
    with Remote(link) as far:
        with pytest.raises(UserError) as raised:
            far.run(job)
        runner_does(ANSWERS)
        assert far.run(job).samples_ms  # the device goes on
    assert raised.value.message == (
        "far: measuring tiny.onnx in onnxruntime: the runner died (SIGSEGV): about to load"
    )
    assert raised.value.hint == "the file is damaged or made to do that"
    assert link.left() == []


def test_a_runner_that_fails_says_why(
    link: FarEnd, job: Job, runner_does: Callable[[str], None]
) -> None:
    runner_does("echo 'model.onnx: is no model' >&2; exit 1")
    with Remote(link) as far, pytest.raises(UserError, match=r"onnxruntime: model.onnx: is no mo"):
        far.run(job)
    assert link.left() == []


def test_a_runner_that_hangs_is_ended_there(
    link: FarEnd,
    job: Job,
    runner_does: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "_PATIENCE", 0.0)
    runner_does("echo waiting >&2; exec sleep 1234.5")
    with Remote(link) as far:
        with pytest.raises(UserError, match="has not ended within 1 s: waiting"):
            far.run(job)
        assert processes(link.place) == []
    assert link.left() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, Lost])
def test_whatever_ends_a_run_here_ends_the_runner_there(
    link: FarEnd,
    job: Job,
    runner_does: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    runner_does("exec sleep 1234.5")

    def cut(script: str) -> None:
        if script.startswith("sh "):
            with pytest.raises(Lost):
                link._sh(script, 0.5)
            assert any("1234.5" in words for words in processes(link.place))
            raise error

    link.on["run"] = cut
    with pytest.raises((KeyboardInterrupt, UserError)), Remote(link) as far:
        far.run(job)
    assert processes(link.place) == []
    assert link.left() == []


def test_a_cable_pulled_in_a_push_is_told_and_what_it_left(
    link: FarEnd, job: Job, runner_does: Callable[[str], None]
) -> None:
    link.on["push"] = lambda name: setattr(link, "gone", True)
    with pytest.raises(UserError) as raised, Remote(link) as far:
        far.run(job)
    assert raised.value.message == (
        "far: lost while copying edgedistill_runner, "
        f"libruntime.so, {_model(link)}: device 'far' not found"
    )
    (left,) = link.left()
    assert raised.value.hint == (
        f"look at the cable; {link.place}/{left} was left on far (device 'far' not found): "
        "remove it"
    )


def _model(link: FarEnd) -> str:
    (folder_there,) = link.place.iterdir()
    (model,) = (folder_there / "models").iterdir()
    return f"models/{model.name}/model.onnx"


def test_a_device_that_comes_back_in_a_few_seconds_is_cleaned_up(
    link: FarEnd, job: Job, runner_does: Callable[[str], None]
) -> None:
    until = []

    def cut(name: str) -> None:
        until.append(time.monotonic() + 0.15)
        raise Lost("device 'far' not found")

    def away(script: str) -> None:
        if until and time.monotonic() < until[0]:
            raise Lost("device 'far' not found")

    link.on |= {"pull": cut, "run": away}
    with pytest.raises(UserError) as raised, Remote(link) as far:
        far.run(job)
    assert raised.value.message == (
        "far: lost while bringing back what tiny.onnx gave: device 'far' not found"
    )
    assert raised.value.hint == "look at the cable"
    assert link.left() == []


def test_a_device_that_is_gone_in_the_end_is_told(
    link: FarEnd, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = r"was left on far \(device 'far' not found\)\n"
    with pytest.raises(UserError, match=lost), Remote(link):
        link.gone = True
    link.gone = False
    with pytest.raises(KeyboardInterrupt), Remote(link):
        _interrupted(link)
    assert "was left on far" in capsys.readouterr().err


def _interrupted(link: FarEnd) -> None:
    link.gone = True
    raise KeyboardInterrupt


def test_a_file_that_changed_on_the_way_is_refused(
    link: FarEnd,
    job: Job,
    runner_does: Callable[[str], None],
) -> None:
    push = link.push

    def damage(files: dict[str, Path], there: str) -> None:
        push(files, there)
        with Path(there, "edgedistill_runner").open("r+b") as file:
            file.write(b"?")

    link.push = damage  # type: ignore[assignment,method-assign]
    words = r"far: edgedistill_runner arrived changed: its SHA-256"
    with pytest.raises(UserError, match=words), Remote(link) as far:
        far.run(job)
    assert link.left() == []


def test_a_device_that_takes_no_more_says_why(
    link: FarEnd, job: Job, runner_does: Callable[[str], None]
) -> None:
    def full(name: str) -> None:
        raise Refused("remote write failed: No space left on device")

    link.on["push"] = full
    words = r"failed while copying .*: remote write failed: No space"
    with pytest.raises(UserError, match=words), Remote(link) as far:
        far.run(job)
    assert link.left() == []


def test_too_little_room_is_told_before_anything_is_copied(
    link: FarEnd,
    job: Job,
    runner_does: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scripts, "room", lambda *given: "echo /dev/fuse 100 100 0 100% /data")
    with pytest.raises(UserError) as raised, Remote(link) as far:
        far.run(job)
    assert re.fullmatch(
        r"far: 0\.0 MB are free at \S+, and \d\.\d MB are needed", raised.value.message
    )
    assert not any(line.startswith("push") for line in link.asked)
    assert link.left() == []


def test_the_first_place_that_will_do_is_taken(tmp_path: Path) -> None:
    link = FarEnd(tmp_path)
    names = ("has space", "missing", "good")
    for name in ("has space", "good"):
        (tmp_path / name).mkdir()
    link.places = tuple(str(tmp_path / name) for name in names)
    with Remote(link):
        assert len(list((tmp_path / "good").iterdir())) == 1
        assert list((tmp_path / "has space").iterdir()) == []
    assert list((tmp_path / "good").iterdir()) == []


def test_a_device_without_a_place_is_told_why_none_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = FarEnd(tmp_path)
    link.places = (str(tmp_path / "missing"), str(tmp_path))
    monkeypatch.setattr(folder, "_LEAST_FREE", 10**12)
    with pytest.raises(UserError) as raised, Remote(link):
        pass
    assert re.fullmatch(
        rf"far: no place to measure in \({tmp_path}/missing: cannot be written; "
        rf"{tmp_path}: only \d+ KiB are free\)",
        raised.value.message,
    )
    assert list(tmp_path.iterdir()) == []


def test_other_processors_are_refused(link: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.facts, "IDENTITY", {"machine": "echo armv7l"})
    with pytest.raises(UserError, match="far: its processor is `armv7l`"), Remote(link):
        pass
    assert link.left() == []


def test_runtimes_that_the_runner_does_not_know_are_refused(link: FarEnd, job: Job) -> None:
    with Remote(link) as far, pytest.raises(UserError, match="`openvino` is not measured there"):
        far.run(replace(job, runtime="openvino"))
