"""A model of sound through a whole compile: its front end in float, its step as its `main`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Silent
from sound_net import HOP, LENGTH, Sounds, sounds

from edgedistill.cache import Cache
from edgedistill.pipeline import Result, run_until
from edgedistill.recipe import parse_recipe
from edgedistill.records import ExportRecord, QuantizeRecord, VerifyRecord
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.sequences import Stream, state_scales_agree
from edgedistill.target import load_target

CLASSES = ("low", "middle", "high")
TRAINING = {"epochs": 2, "batch_size": 16, "precision": "fp32"}


def Listener(classes: int) -> Sounds:
    return Sounds(classes)


def tones(split: str) -> Iterator[tuple[dict[str, np.ndarray[Any, Any]], int]]:
    """Noise with a tone of one of three pitches."""
    first, count = (0, 96) if split == "train" else (1000, 30)
    for number in range(first, first + count):
        label = number % len(CLASSES)
        tone = np.sin(np.arange(LENGTH) * (0.2 + 0.5 * label)) * 0.3
        yield {"samples": tone + 0.3 * sounds(1, seed=number)[0].numpy()}, label


def document() -> dict[str, Any]:
    family = {"family": "function", "function": f"{__name__}:Listener"}
    return {
        "name": "tones",
        "data": {"source": "function", "function": f"{__name__}:tones",
                 "inputs": {"samples": [LENGTH]}, "classes": list(CLASSES)},
        "teacher": family,
        "student": family,
        "stages": {
            "teacher": {"train": dict(TRAINING)},
            "teach": {"precision": "fp32"},
            "distill": dict(TRAINING),
            "quantize": {"method": "qat", "epochs": 1, "batch_size": 16,
                         "calibration_samples": 64, "sensitivity_samples": 16},
            "benchmark": {"runs": 10, "seconds": 0.1},
        },
    }  # fmt: skip


@pytest.mark.slow
def test_a_front_end_in_float_is_compiled(quickly: None, tmp_path: Path) -> None:
    recipe = parse_recipe(document(), "tones.yaml")
    target = load_target("linux-x64").model_copy(
        update={"runtimes": STANDARD, "precisions": ("int8",)}
    )
    made = run_until(recipe, target, Cache(tmp_path / "cache", print), Silent(), "verify")
    result = Result(recipe, target, made)
    quantization = QuantizeRecord.read(made["quantize"]).quantization
    assert quantization is not None
    assert quantization.kept_in_float == ("front_end",)
    assert quantization.float_layers == ("front_end",)
    assert set(ExportRecord.read(made["export"]).float_layers) <= {"front_end", "cat", "slice_6"}
    assert VerifyRecord.read(made["verify"]).ok
    for runtime in STANDARD:
        _hears_the_window_that_ends_there(result, runtime)


def _hears_the_window_that_ends_there(made: Result, runtime: str) -> None:
    record, folder = ExportRecord.read(made.artifacts["export"]), made.artifacts["export"]
    entries = {each.program: each for each in itertools.chain(record.files, record.others)
               if (each.runtime, each.precision) == (runtime, "int8")}  # fmt: skip
    main, step = (
        RUNTIMES[runtime].load(
            folder.file("files") / entries[name].file, optimize=runtime == "litert", program=name
        )
        for name in ("main", "step")
    )
    assert state_scales_agree(step.signature)
    assert {each.name: each.dtype for each in step.signature.inputs}["heard_in"] == "float32"
    scale = step.signature.outputs[0].scale
    assert scale is None or scale == main.signature.outputs[0].scale
    samples, stream = sounds(1, 100 * HOP, seed=5).numpy(), Stream(step)
    given = [stream(samples[:, at : at + HOP])["logits"] for at in range(0, samples.shape[1], HOP)]
    apart = []
    for last in range(LENGTH // HOP - 1, len(given)):
        end = (last + 1) * HOP
        apart.append(np.abs(main(samples[:, end - LENGTH : end]) - given[last]).max())
    step_size = scale or float(np.ptp(np.concatenate(given))) / 200
    assert max(apart) <= 1.01 * step_size
