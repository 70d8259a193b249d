"""A compile for keywords, from recordings to a bundle that listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Silent
from tone_net import RATE, write_wav

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.cache import Cache
from edgedistill.pipeline import Result, run_until
from edgedistill.recipe import parse_recipe
from edgedistill.records import ListenRecord
from edgedistill.target import load_target

SWEEPS = {"down": (2500.0, 300.0), "up": (300.0, 2500.0)}
TRAINING = {"epochs": 20, "batch_size": 32, "precision": "fp32"}


def sweep(low: float, high: float, random: np.random.Generator, seconds: float) -> np.ndarray:
    """A tone from one frequency to another, of any loudness and phase."""
    count = round(seconds * RATE)
    hertz = np.linspace(low, high, count) * random.uniform(0.9, 1.1)
    wave = np.sin(2 * np.pi * np.cumsum(hertz) / RATE + random.uniform(0, 2 * np.pi))
    return np.asarray(10 ** random.uniform(-0.8, -0.2) * wave * np.hanning(count) ** 0.3)


def other(random: np.random.Generator, seconds: float) -> np.ndarray:
    """Steady tones, bursts of noise and pauses."""
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        hertz, length = random.uniform(200, 3000), random.uniform(0.1, 0.4)
        burst = 0.2 * random.normal(size=round(length * RATE))
        parts += [sweep(hertz, hertz, random, length), burst, np.zeros(round(0.1 * RATE))]
    whole = np.concatenate(parts)
    return whole + 1e-3 * random.normal(size=len(whole))


def write_recordings(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name, ends in SWEEPS.items():
        for number in range(60):
            clip = np.pad(sweep(*ends, random, 0.3), (int(random.integers(400)), 0))
            noise = 1e-3 * random.normal(size=len(clip))
            write_wav(folder / "words" / name / f"{number}.wav", clip + noise)
    for number in range(30):
        write_wav(folder / "other" / f"{number}.wav", other(random, 6))
    for number in range(12):
        write_wav(folder / "noise" / f"{number}.wav", 0.05 * random.normal(size=4 * RATE))


def document(folder: Path) -> dict[str, Any]:
    model = {
        "family": "ds_cnn", "blocks": 2, "time_kernel": 4, "band_kernel": 4, "band_stride": 2,
        "front_end": {"rate": RATE, "bands": 12, "highest_hz": 4000},
    }  # fmt: skip
    places = {key: [str(folder / name)] for key, name in (("negatives", "other"), ("noise",) * 2)}
    return {
        "name": "sweeps",
        "task": "keywords",
        "data": {"source": "folder", "train": str(folder / "words"),
                 "sound": {"rate": RATE, "seconds": 0.4, **places}},
        "teacher": {**model, "width": 16},
        "student": {**model, "width": 8},
        "stages": {
            "teacher": {"train": dict(TRAINING)},
            "teach": {"precision": "fp32"},
            "distill": dict(TRAINING),
            "quantize": {"method": "ptq", "calibration_samples": 64, "sensitivity_samples": 0},
            "audit": {"corruption_samples": 0},
            "listen": {"snr_db": [15, 30], "false_accepts_per_hour": 120},
            "benchmark": {"runs": 10, "seconds": 0.1},
        },
        "contract": {"max_misses": 100, "max_false_accepts_per_hour": 1000, "max_hop_ms": 500},
    }  # fmt: skip


@pytest.fixture(scope="module")
def made(quickly: None, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("sweeps")
    write_recordings(folder)
    recipe = parse_recipe(document(folder), "sweeps.yaml")
    target = load_target("linux-x64").model_copy(
        update={"runtimes": ("onnxruntime", "litert"), "precisions": ("int8",)}
    )
    return Result(recipe, target, run_until(recipe, target, Cache(folder, print), Silent()))


@pytest.mark.slow
def test_keywords_are_compiled_and_heard(made: Result, tmp_path: Path) -> None:
    found = ListenRecord.read(made.artifacts["listen"])
    assert found.rule.keywords == ("down", "up")
    assert (found.runtime, found.precision) == ("onnxruntime", "int8")
    assert (found.rate, found.hop) == (RATE, 160) and found.test.hours > 0.005
    # Such sweeps are nearly all copies of one another: few are left to test on.
    assert found.test.all.said and (found.test.all.misses or 0.0) <= 30
    assert found.test.all.false_accepts_per_hour < 500
    assert [(each.runtime, each.precision) for each in found.alike] == [("litert", "int8")]
    for each in found.alike:
        assert each.same >= 0.8 * each.detections > 0
    bundle = write_bundle(made, tmp_path / "bundle")
    hears_them_at_their_time(Bundle.load(bundle.path))


def hears_them_at_their_time(bundle: Bundle) -> None:
    """In quiet, by the files of both runtimes; so small a net may take one for the other too."""
    for runtime in ("onnxruntime", "litert"):
        random, right = np.random.default_rng(9), 0
        for name, ends in 5 * list(SWEEPS.items()):
            sound = 1e-3 * random.normal(size=3 * RATE)
            clip = sweep(*ends, random, 0.3)
            sound[RATE : RATE + len(clip)] += clip
            heard = list(bundle.listen(sound, runtime=runtime))
            assert all(1.0 < each.seconds < 2.0 for each in heard)
            right += name in [each.keyword for each in heard]
        assert right >= 8
