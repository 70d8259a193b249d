"""A student of two programs: a whole sequence, and a step of it that keeps a state."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedistill import program_file
from edgedistill.bundle import Bundle, write_bundle
from edgedistill.cache import Cache
from edgedistill.pipeline import Result, run_until
from edgedistill.program import graph_of, rollout
from edgedistill.recipe import parse_recipe
from edgedistill.records import ExportRecord, VerifyRecord
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.program import layers, output_scales
from edgedistill.runtimes.sequences import Stream, state_scales_agree
from edgedistill.signature import Signature, TensorSpec
from edgedistill.target import load_target

LENGTH, FEATURES, WIDTH, CLASSES = 5, 6, 16, 2
STEPS = 500
TRAINING = {"epochs": 2, "batch_size": 16, "precision": "fp32"}


class Listener(nn.Module):
    """A cell as a GRU's, its gates of one linear layer each."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.gate, self.state_gate = nn.Linear(FEATURES, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.new, self.state_new = nn.Linear(FEATURES, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, classes)

    def step(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(self.gate(frame) + self.state_gate(state))
        new = torch.tanh(self.new(frame) + self.state_new(state))
        state = gate * state + (1 - gate) * new
        return self.head(state), state

    def forward(self, frames: Tensor) -> Tensor:
        state = frames.new_zeros(frames.shape[0], WIDTH)
        answer = self.head(state)
        for frame in frames.unbind(1):
            answer, state = self.step(frame, state)
        return answer

    def programs(self) -> dict[str, tuple[Any, Signature]]:
        inputs = TensorSpec("frame", (None, FEATURES)), TensorSpec("state", (None, WIDTH))
        outputs = TensorSpec("logits", (None, CLASSES)), TensorSpec("next", (None, WIDTH))
        return {"step": (self.step, Signature(inputs, outputs, {"next": "state"}))}


def sequences(split: str) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    """Walks that tend upwards or downwards."""
    for number in range(96) if split == "train" else range(1000, 1000 + STEPS // LENGTH):
        random, label = np.random.default_rng(number), number % CLASSES
        steps = random.normal(0.4 * (2 * label - 1), 1.0, (LENGTH, FEATURES))
        yield {"frames": steps.cumsum(0) / LENGTH}, label


def document() -> dict[str, Any]:
    family = {"family": "function", "function": f"{__name__}:Listener"}
    return {
        "name": "walks",
        "data": {"source": "function", "function": f"{__name__}:sequences",
                 "inputs": {"frames": [LENGTH, FEATURES]}, "classes": ["down", "up"]},
        "teacher": family,
        "student": family,
        "stages": {
            "teacher": {"train": dict(TRAINING)},
            "teach": {"precision": "fp32"},
            "distill": dict(TRAINING),
            "quantize": {"method": "qat", "epochs": 1, "batch_size": 16,
                         "calibration_samples": 64, "sensitivity_samples": 0},
            "benchmark": {"runs": 10, "seconds": 0.1},
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def made(quickly: None, tmp_path_factory: pytest.TempPathFactory) -> Result:
    recipe = parse_recipe(document(), "walks.yaml")
    target = load_target("linux-x64").model_copy(
        update={"runtimes": ("litert", "onnxruntime", "openvino"), "precisions": ("fp32", "int8")}
    )
    cache = Cache(tmp_path_factory.mktemp("cache"), print)
    return Result(recipe, target, run_until(recipe, target, cache, Silent()))


class Silent:
    def say(self, text: str) -> None: ...

    def tick(self, label: str, done: float, total: float, note: str = "") -> None: ...


def frames(steps: int) -> np.ndarray:
    arrays = [arrays["frames"] for arrays, _ in sequences("test")]
    return np.concatenate(arrays)[:steps].astype(np.float32)


@pytest.mark.slow
def test_a_student_of_two_programs_is_compiled(made: Result, tmp_path: Path) -> None:
    """In one test, as the compile takes a minute and workers do not share it."""
    for runtime, precision in itertools.product(STANDARD, ("fp32", "int8")):
        follows_the_graph_over_a_long_sequence(made, runtime, precision)
    is_judged_over_sequences_and_bundled(made, tmp_path)
    has_its_weights_once_in_a_file_of_several_programs(made)


def follows_the_graph_over_a_long_sequence(made: Result, runtime: str, precision: str) -> None:
    kind = "int8" if precision == "int8" else "float"
    stored = made.artifacts["quantize"].path
    program = program_file.load(program_file.place(stored, "step", kind))
    export = made.artifacts["export"]
    (entry,) = (
        each
        for each in ExportRecord.read(export).others
        if (each.runtime, each.precision) == (runtime, precision)
    )
    loaded = RUNTIMES[runtime].load(
        export.file("files") / entry.file, optimize=runtime == "litert", program="step"
    )
    assert state_scales_agree(loaded.signature)
    stream, pieces = Stream(loaded), frames(STEPS)
    assert len(pieces) == STEPS
    tensors = [(torch.from_numpy(each[None]),) for each in pieces]
    with torch.no_grad():
        wanted = [outputs for _, outputs in rollout(graph_of(program), program.signature, tensors)]
    found = [stream(each[None]) for each in pieces]
    for place, name in enumerate(("logits", "next")):
        expected = np.concatenate([each[place].numpy() for each in wanted])
        apart = np.abs(np.concatenate([each[name] for each in found]) - expected)
        scale = output_scales(program)[place]
        if scale is None:
            assert apart.max() <= 1e-4
        else:
            steps = np.rint(apart / scale)
            assert steps.max() <= 1 if name == "logits" else (steps <= 1).mean() > 0.995
    if kind == "int8":
        (state,) = (layer for layer in layers(program) if layer.input == 1)
        assert state.scale == output_scales(program)[1]


def is_judged_over_sequences_and_bundled(made: Result, tmp_path: Path) -> None:
    record = VerifyRecord.read(made.artifacts["verify"])
    assert record.ok
    assert {(row.runtime, row.precision) for row in record.programs} == {
        (runtime, precision) for runtime in STANDARD for precision in ("fp32", "int8")
    }
    assert all(row.steps >= STEPS and row.program == "step" for row in record.programs)
    bundle = write_bundle(made, tmp_path / "bundle")
    stream = Bundle.load(bundle.path).stream(runtime="litert", precision="int8")
    golden = np.load(bundle.path / "golden" / "step" / "inputs.npz")["frame"]
    outputs = np.load(bundle.path / "golden" / "step" / "outputs_walks.int8.tflite.npz")
    for step, frame in enumerate(golden):
        given = stream(frame[None])
        assert np.allclose(given["logits"][0], outputs["logits"][step])
    stream.reset()
    assert np.allclose(stream(golden[:1])["next"][0], outputs["next"][0])


def has_its_weights_once_in_a_file_of_several_programs(made: Result) -> None:
    entries = ExportRecord.read(made.artifacts["export"]).files
    files = {each.program: each.file for each in entries
             if (each.runtime, each.precision) == ("litert", "fp32")}  # fmt: skip
    assert files["main"] == files["step"]
