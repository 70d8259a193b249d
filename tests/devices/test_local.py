from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedistill.devices import (
    DEVICES,
    Job,
    Protocol,
    figures,
    in_short,
    in_turn,
    measurements,
    percentile,
)
from edgedistill.devices.machine import is_machine, machine, name_of
from edgedistill.errors import UserError
from edgedistill.signature import image_inputs
from edgedistill.target import load_target


@pytest.fixture
def job(tiny_onnx: Path, tmp_path: Path) -> Job:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, pixels=np.random.default_rng(0).random((5, 1, 8, 8), dtype=np.float32))
    return Job(tiny_onnx, "onnxruntime", inputs, Protocol(warmup=2, runs=31, seconds=5))


def test_a_job_runs_in_a_process_of_its_own_and_brings_back_every_figure(job: Job) -> None:
    record = DEVICES["local"].run(job)
    assert len(record.samples_ms) == 31
    assert min(record.samples_ms) > 0
    assert record.cold_load_ms > 0
    assert record.warm_load_ms > 0
    assert record.import_ms > 1
    assert record.peak_memory_mb is not None
    assert record.peak_memory_mb > 0
    assert {operator.where for operator in record.operators} == {"CPUExecutionProvider"}
    brightness = np.load(job.inputs)["pixels"].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(np.array(record.outputs)[:, 2], 2 * brightness - 0.5, atol=1e-5)


def test_rounds_share_the_runs_and_join_the_samples(job: Job) -> None:
    seen: list[tuple[Any, ...]] = []
    record, other = in_turn(
        DEVICES["local"], [job, job], rounds=2, tick=lambda *at: seen.append(at)
    )
    assert len(record.samples_ms) == len(other.samples_ms) == 32
    assert [at[:2] for at in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    told = in_short(*seen[0][2:])
    assert re.fullmatch(rf"{job.model.name} in onnxruntime: \S+ ms, 16 runs", told)
    assert len(record.outputs) == 5


def test_time_ends_a_measurement_after_the_least_runs(job: Job) -> None:
    short = Job(
        job.model, job.runtime, job.inputs, Protocol(0, 10**6, 1e-6, minimum=12), profile=False
    )
    record = DEVICES["local"].run(short)
    assert len(record.samples_ms) == 12
    assert not record.operators
    assert not record.outputs


def test_a_file_that_a_runtime_cannot_read_is_an_error(job: Job, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises((UserError, RuntimeError), match=r"broken\.onnx"):
        DEVICES["local"].run(Job(broken, "onnxruntime", job.inputs, job.protocol))


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
    record = DEVICES["local"].run(Job(tmp_path / "model", "torch", job.inputs, job.protocol))
    assert len(record.samples_ms) == 31


def test_percentiles_lie_between_samples() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([1.0, 2.0], 90) == pytest.approx(1.9)
    assert percentile([7.0], 99) == 7.0


def test_every_figure_of_a_row_says_how_and_where(job: Job) -> None:
    made = figures(DEVICES["local"].run(job), 1, "a bench")
    found = measurements(made)
    assert found["p50_ms"].unit == "ms"
    assert len(found["p50_ms"].samples) == 31
    assert found["peak_memory_mb"].unit == "MB"
    assert {(each.how, each.where) for each in found.values()} == {("measured", "a bench")}


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
