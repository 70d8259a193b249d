from __future__ import annotations

import re
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Exported

from edgedistill.devices import Job, Protocol, in_short, in_turn, in_words, open_device, worker
from edgedistill.devices.local import Local
from edgedistill.devices.machine import is_machine, machine, name_of
from edgedistill.errors import UserError
from edgedistill.runtime_table import STANDARD
from edgedistill.signature import image_inputs
from edgedistill.target import load_target


@pytest.fixture
def job(tiny_onnx: Path, tmp_path: Path) -> Job:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, pixels=np.random.default_rng(0).random((5, 1, 8, 8), dtype=np.float32))
    return Job(tiny_onnx, "onnxruntime", inputs, Protocol(warmup=2, runs=31, seconds=5))


def test_a_job_runs_in_a_process_of_its_own_and_brings_back_every_figure(job: Job) -> None:
    record = Local().run(job)
    assert len(record.samples_ms) == 31
    assert min(record.samples_ms) > 0
    assert (record.cold_load_ms or 0) > 0
    assert (record.warm_load_ms or 0) > 0
    assert (record.import_ms or 0) > 1
    assert {operator.where for operator in record.operators} == {"CPUExecutionProvider"}
    brightness = np.load(job.inputs)["pixels"].mean(axis=(1, 2, 3))
    (logits,) = record.outputs.values()
    np.testing.assert_allclose(logits[:, 2], 2 * brightness - 0.5, atol=1e-5)
    assert record.signature is not None
    assert record.signature.outputs[0].name in record.outputs


def test_memory_is_measured_in_a_run_that_takes_no_times(job: Job) -> None:
    record = Local().run(replace(job, memory=True))
    assert (record.peak_memory_mb or 0) > 0
    assert record.samples_ms == []


class Encoded: ...


class Holding:
    """A loaded file that tells how many encoded inputs there are as it runs."""

    def __init__(self) -> None:
        self.alive: weakref.WeakSet[Encoded] = weakref.WeakSet()
        self.seen: list[int] = []

    def encode(self, inputs: dict[str, np.ndarray]) -> Encoded:
        encoded = Encoded()
        self.alive.add(encoded)
        return encoded

    def run(self, native: Encoded) -> None:
        self.seen.append(len(self.alive))


def test_memory_holds_no_more_inputs_than_an_app_does(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Holding()
    monkeypatch.setattr(worker, "_load", lambda job: held)
    worker.measure(replace(job, memory=True), tmp_path / "outputs.npz")
    # The last one is there until the next is made.
    assert len(held.seen) == 5
    assert max(held.seen) <= 2


LOADS = """
import sys
from pathlib import Path
from edgedistill.runtimes import RUNTIMES
runtime = RUNTIMES[sys.argv[1]]
runtime.prepare()
before = set(sys.modules)
runtime.load(Path(sys.argv[2]))
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("runtime", STANDARD)
def test_a_load_imports_nothing_as_its_time_and_memory_are_the_files(
    exported: Exported, runtime: str
) -> None:
    command = [sys.executable, "-c", LOADS, runtime, str(exported.file(runtime, "int8"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_warm_up_goes_on_until_it_settles_and_no_longer_than_ten_blocks(job: Job) -> None:
    warmup = Local().run(replace(job, protocol=Protocol(warmup=7, runs=10))).warmup_ms
    assert len(warmup) % 7 == 0
    assert 14 <= len(warmup) <= 70


def test_a_warm_up_takes_no_longer_than_what_is_measured(job: Job) -> None:
    protocol = Protocol(warmup=3, runs=10, seconds=0.0)
    assert len(Local().run(replace(job, protocol=protocol)).warmup_ms) == 6


def test_rounds_share_the_runs_and_join_the_samples(job: Job) -> None:
    seen: list[tuple[Any, ...]] = []
    record, other = in_turn(Local(), [job, job], rounds=2, tick=lambda *at: seen.append(at))
    assert record is not None and other is not None
    assert len(record.samples_ms) == len(other.samples_ms) == 32
    assert [at[:2] for at in seen] == [(at, 6) for at in range(1, 7)]
    told = in_short(*seen[0][2:])
    assert re.fullmatch(rf"{job.model.name} in onnxruntime: \S+ ms, 16 runs", told)
    told = in_short(*seen[5][2:])
    assert re.fullmatch(rf"{job.model.name} in onnxruntime: \S+ MB", told)
    assert [len(values) for values in record.outputs.values()] == [5]
    assert (record.peak_memory_mb or 0) > 0


def test_time_ends_a_measurement_after_the_least_runs(job: Job) -> None:
    short = Job(
        job.model, job.runtime, job.inputs, Protocol(0, 10**6, 1e-6, minimum=12), profile=False
    )
    record = Local().run(short)
    assert len(record.samples_ms) == 12
    assert not record.operators
    assert not record.outputs


def test_a_file_that_a_runtime_cannot_read_is_an_error(job: Job, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises((UserError, RuntimeError), match=r"broken\.onnx"):
        Local().run(Job(broken, "onnxruntime", job.inputs, job.protocol))


def test_a_users_own_model_is_found_where_it_was_found_here(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgedistill.models import build, describe, save
    from edgedistill.recipe import FunctionModel

    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "my_small_net.py").write_text(
        "from torch import nn\n\ndef net(classes):\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "                         nn.Linear(4, classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "project")
    wanted = FunctionModel(family="function", function="my_small_net:net")
    save(
        build(wanted, 3, image_inputs(1, 8, 8)),
        tmp_path / "model",
        describe(wanted, 3, image_inputs(1, 8, 8)),
    )
    record = Local().run(Job(tmp_path / "model", "torch", job.inputs, job.protocol))
    assert len(record.samples_ms) == 31


def test_a_minimum_of_time_is_waited_for(job: Job) -> None:
    protocol = Protocol(0, 1, 0.0, minimum=1, minimum_seconds=0.2)
    record = Local().run(Job(job.model, job.runtime, job.inputs, protocol, profile=False))
    assert sum(record.samples_ms) > 100


def test_this_machine_is_told_in_a_line() -> None:
    told = in_words(open_device("local").identity())
    assert told.startswith("this machine: ")
    assert f"{machine()['cores']} cores" in told


def test_machine_is_the_same_each_time_and_named_in_a_line() -> None:
    assert machine() == machine()
    assert str(machine()["cores"]) in name_of(machine())
    assert "\n" not in name_of(machine())


def test_a_phone_is_never_this_machine() -> None:
    here = {"isa": "x86_64", "flags": ["avx2", "avx512_vnni"]}
    arm = {"isa": "aarch64", "flags": ["neon", "dotprod"]}
    assert is_machine(load_target("linux-x64"), here)
    assert is_machine(load_target("linux-x64-vnni"), here)
    assert not is_machine(load_target("linux-x64-vnni"), {**here, "flags": ["avx2"]})
    for name in ("android-arm64", "ios-arm64", "raspberry-pi-5", "web-wasm"):
        assert not is_machine(load_target(name), here)
        assert not is_machine(load_target(name), arm)
