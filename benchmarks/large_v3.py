"""What compiling Whisper large-v3 takes: its configuration, with random weights.

A few layers of each kind are labelled with, learned from, exported and run here, each in a process
of its own whose peak memory is counted. What `edgedistill check` reckons of so many layers stands
beside it, and what it reckons of all 32; the rest of the whole is told from the difference that a
layer makes. Seconds are the processor's, of one thread: what else the machine does is not counted.

    python -m benchmarks.large_v3 [--runtimes NAME...] [--layers 1 2]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import write
from edgedistill.models.programs import Method
from edgedistill.models.whisper.needs import Batch, exporting, labelling, parameters, training
from edgedistill.models.whisper.network import DECODE_STEP, ENCODE, Shape
from edgedistill.program import export
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.writing import file_path, write_file
from edgedistill.transcribing.pace import seconds_an_hour
from edgedistill.transcribing.rules import Rules

WHOLE = Shape(
    bands=128, width=1280, encoder_layers=32, decoder_layers=32, encoder_heads=20, decoder_heads=20,
    encoder_inner=5120, decoder_inner=5120, vocabulary=51_866, positions=1500, tokens=448,
)  # fmt: skip
CONFIG = {
    "model_type": "whisper", "num_mel_bins": 128, "d_model": 1280, "encoder_attention_heads": 20,
    "decoder_attention_heads": 20, "encoder_ffn_dim": 5120, "decoder_ffn_dim": 5120,
    "vocab_size": 51_866, "max_source_positions": 1500, "max_target_positions": 448,
}  # fmt: skip
BATCH = Batch(size=2, tokens=16)
USUAL = Batch(size=8, tokens=192)
"""As a recipe has it by default."""
SPEC = Spec("fp32", (), name="large")
RULES = Rules(prompt=(50_258, 50_259, 50_360, 50_364), end=50_257, limit=BATCH.tokens)
REPEATS = 2


def of_layers(count: int) -> Shape:
    return Shape(**(vars(WHOLE) | {"encoder_layers": count, "decoder_layers": count}))


def save(folder: Path, layers: int) -> None:
    """Random weights in float16, as the published ones lie on disk."""
    from safetensors.torch import save_file

    from edgedistill.models.whisper.network import Whisper

    torch.manual_seed(0)
    model = Whisper(of_layers(layers))
    held = {f"model.{name}": each.detach().half() for name, each in model.named_parameters()}
    save_file(held, folder / "model.safetensors")
    sizes = {"encoder_layers": layers, "decoder_layers": layers}
    (folder / "config.json").write_text(json.dumps(CONFIG | sizes))


def label(folder: Path, runtime: str) -> dict[str, Any]:
    """A batch of windows, as the stage `transcribe` does."""

    from edgedistill.models.whisper.folder import open_whisper
    from edgedistill.transcribing.batches import label as labelled

    model = open_whisper(folder)
    samples = 0.1 * torch.rand(BATCH.size, model.shape.samples)
    begin = time.process_time()
    with torch.no_grad():
        states = model.states(samples)
    heard = time.process_time() - begin
    said = labelled(model, states, RULES, 16)
    steps = max(len(each.tokens) for each in said)
    return {"encoder_seconds": heard, "decoder_seconds": time.process_time() - begin - heard,
            "steps": steps}  # fmt: skip


def train(folder: Path, runtime: str) -> dict[str, Any]:
    """Steps of training the decoder, as the stage `tune` does them."""

    from edgedistill.distill.speech.learning import Batch as Lesson
    from edgedistill.distill.speech.learning import Distilled
    from edgedistill.models.whisper.folder import open_whisper

    model = open_whisper(folder)
    learner = Distilled(model).train()
    size, tokens = BATCH.size, BATCH.tokens
    said = torch.randint(0, WHOLE.vocabulary, (size, tokens))
    lesson = Lesson(
        tokens=said, target=said, counted=torch.ones(size, tokens, dtype=torch.bool),
        likely=torch.randint(0, WHOLE.vocabulary, (size, tokens, 16)),
        log_probabilities=torch.full((size, tokens, 16), -3.0),
        states=torch.rand(size, WHOLE.positions, WHOLE.width),
    )  # fmt: skip
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad])
    taken = []
    for _ in range(REPEATS):
        begin = time.process_time()
        optimizer.zero_grad()
        learner(lesson).backward()
        optimizer.step()
        taken.append(time.process_time() - begin)
    return {"step_seconds": min(taken)}


def write_files(folder: Path, runtime: str) -> dict[str, Any]:
    """Both programs, as the stage `export` writes them."""
    from edgedistill.models.whisper.folder import open_whisper

    begin = time.process_time()
    model = open_whisper(folder)
    programs = {
        name: export(Method(model, call), signature)
        for name, (call, signature) in model.programs().items()
    }
    sizes = {
        name: write_file(program, RUNTIMES[runtime].name, SPEC, folder, name).bytes
        for name, program in programs.items()
    }
    return {
        "seconds": time.process_time() - begin,
        **{f"{n}_bytes": size for n, size in sizes.items()},
    }


def use_files(folder: Path, runtime: str) -> dict[str, Any]:
    """A window, and tokens of it, by one thread."""
    loaded = {
        name: RUNTIMES[runtime].load(
            file_path(folder, RUNTIMES[runtime].name, SPEC, name), program=name
        )
        for name in (ENCODE, DECODE_STEP)
    }
    encode, step = loaded[ENCODE], loaded[DECODE_STEP]
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (1, WHOLE.samples)).astype(np.float32)
    given = encode.encode({"samples": samples})
    hearing, heard = _timed(lambda: encode.run(given))
    held = {name: each.copy() for name, each in heard.items()}
    sizes = {each.name: each for each in step.signature.inputs}
    empty = {
        name: np.zeros(sizes[name].of_batch(1), np.float32)
        for name in step.signature.state.values()
    }
    token = {"token": np.array([50_258], np.int32), "position": np.array([0], np.int32)}
    stepping, answered = _timed(lambda: step.run(token | held | empty))
    assert all(np.isfinite(each).all() for each in answered.values())
    return {"encode_seconds": hearing, "step_seconds": stepping}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """The fastest, after one that is not counted."""
    found, taken = call(), []
    for _ in range(REPEATS):
        begin = time.process_time()
        found = call()
        taken.append(time.process_time() - begin)
    return min(taken), found


JOBS: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "label": label, "train": train, "export": write_files, "use": use_files,
}  # fmt: skip


def reckoned(job: str, shape: Shape, batch: Batch = BATCH) -> int | None:
    """Bytes, as `edgedistill check` tells them."""
    if job == "label":
        return labelling(shape, batch)
    if job == "train":
        return training(shape, shape, batch, encoder=False)
    return exporting(shape) if job == "export" else None


def in_its_own_process(job: str, folder: Path, runtime: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.large_v3", "--job", job, "--folder", str(folder),
               "--runtimes", runtime]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(layers: int, runtimes: list[str]) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder), layers)
        jobs = [("label", ""), ("train", "")]
        jobs += [(job, each) for each in runtimes for job in ("export", "use")]
        for job, runtime in jobs:
            found = in_its_own_process(job, Path(folder), runtime or runtimes[0])
            told = reckoned(job, of_layers(layers))
            row = {"row": job, "layers": layers, "runtime": runtime, **found}
            rows.append(row if told is None else {**row, "reckoned_gb": told / 1e9})
            print(rows[-1], flush=True)
    return rows


def whole(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All layers, of each job: what one more layer of each kind made, so many times."""
    found = []
    kinds = dict.fromkeys((each["row"], each["runtime"]) for each in rows)
    for job, runtime in kinds:
        few, more = (each for each in rows if (each["row"], each["runtime"]) == (job, runtime))
        times = (WHOLE.encoder_layers - few["layers"]) / (more["layers"] - few["layers"])
        told = {
            key: value + times * (more[key] - value)
            for key, value in few.items()
            if key.endswith(("_gb", "seconds", "_bytes")) and key != "reckoned_gb"
        }
        size = reckoned(job, WHOLE)
        row = {
            "row": f"{job}, the whole",
            "layers": WHOLE.encoder_layers,
            "runtime": runtime,
            **told,
        }
        found.append(row if size is None else {**row, "reckoned_gb": size / 1e9})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtimes", nargs="+", default=["onnxruntime"], choices=list(RUNTIMES))
    parser.add_argument("--layers", nargs=2, type=int, default=[1, 2])
    parser.add_argument("--job", choices=list(JOBS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        torch.set_num_threads(1)
        found = JOBS[asked.job](asked.folder, asked.runtimes[0])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(json.dumps({**found, "peak_gb": peak}))
        return
    rows = [row for layers in asked.layers for row in measured(layers, asked.runtimes)]
    rows += whole(rows)
    for job in ("label", "train", "export"):
        size = reckoned(job, WHOLE, USUAL)
        assert size is not None
        rows.append(
            {
                "row": f"{job}, as a recipe asks by default",
                "layers": WHOLE.encoder_layers,
                "reckoned_gb": size / 1e9,
            }
        )
    counts = parameters(WHOLE)
    rows.append({"row": "parameters", **counts, "all": sum(counts.values())})
    torch.set_num_threads(1)
    hour = seconds_an_hour(WHOLE, BATCH.size, "fp32", time.process_time)
    rows.append({"row": "labelling an hour of sound, reckoned", "hours": hour / 3600})
    for each in rows:
        print(each)
    write("large_v3", rows, seeds=[0], batch=vars(BATCH), config=CONFIG)


if __name__ == "__main__":
    main()
