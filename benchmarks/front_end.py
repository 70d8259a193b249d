"""The front end of models of sound against librosa's log-mel of the same parameters: how far the
files of each runtime are off, on sounds made up here and on speech, and what it costs.

python -m benchmarks.front_end PYTHON [--data PARQUET]

PYTHON: an interpreter whose environment has librosa. PARQUET: recordings of 16 kHz.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DATA, write
from edgedistill.compress.fold import fold
from edgedistill.families.sound import DepthwiseModel, FrontEndSettings
from edgedistill.models import count
from edgedistill.models.ds_cnn import make
from edgedistill.models.front_end import FrontEnd
from edgedistill.models.work import products
from edgedistill.program import Program
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec, size_of
from edgedistill.signature import Signature, TensorSpec, blank, sound_inputs

Floats = NDArray[np.float32]

SETTINGS = FrontEndSettings()
SECONDS, CLIPS = 1.5, 64
LENGTH = round(SECONDS * SETTINGS.rate)
LIBROSA: dict[str, Any] = {
    "sr": SETTINGS.rate, "n_fft": 480, "hop_length": 160, "window": "hann", "center": False,
    "power": 2.0, "n_mels": SETTINGS.bands, "fmin": SETTINGS.range_hz[0],
    "fmax": SETTINGS.range_hz[1], "htk": True, "norm": None,
}  # fmt: skip


def made_up() -> Floats:
    """(sounds, LENGTH): chirps, tones and noise, from full scale to the last of 16 bits; silence, a
    click and a constant."""
    random, seconds = np.random.default_rng(0), np.arange(LENGTH) / SETTINGS.rate
    found = [np.zeros(LENGTH), np.ones(LENGTH), np.eye(1, LENGTH, LENGTH // 2)[0]]
    for loudness in np.geomspace(1, 1 / 32768, 10):
        low, high = np.sort(random.uniform(50, 7900, 2))
        chirp = np.sin(2 * np.pi * np.cumsum(np.linspace(low, high, LENGTH)) / SETTINGS.rate)
        tone = np.sin(2 * np.pi * low * seconds)
        found += [loudness * each for each in (chirp, tone, random.uniform(-1, 1, LENGTH))]
    return np.stack(found).astype(np.float32)


def speech(path: Path) -> Floats:
    """The middle of the first recordings of a parquet file: (clips, LENGTH)."""
    import pyarrow.parquet
    import soundfile

    found: list[Floats] = []
    for stored in pyarrow.parquet.read_table(path)["audio"].to_pylist():
        content = stored["bytes"] if isinstance(stored, dict) else stored
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        begin = (len(samples) - LENGTH) // 2
        if rate == SETTINGS.rate and begin >= 0 and samples.ndim == 1:
            found.append(samples[begin : begin + LENGTH])
        if len(found) == CLIPS:
            break
    return np.stack(found)


def librosas(python: str, sounds: Floats) -> dict[str, Any]:
    """Its log-mel in single and double precision, and its version."""
    side = Path(__file__).with_name("librosa_side.py")
    with TemporaryDirectory() as folder:
        given, found = Path(folder, "sounds.npy"), Path(folder, "found.npz")
        np.save(given, sounds)
        line = [python, side, given, found, json.dumps(LIBROSA), str(SETTINGS.floor)]
        subprocess.run(list(map(str, line)), check=True)
        return dict(np.load(found))


def front_end() -> Program:
    """Alone, and without its normalization."""
    module = FrontEnd(SETTINGS).eval()
    module.norm.eps = 0.0
    frames = LENGTH // module.hop - module.seen + 1
    output = TensorSpec("frames", (None, frames, SETTINGS.bands))
    return fold(module, Signature(sound_inputs(LENGTH), (output,)))


def rows(python: str, kinds: dict[str, Floats]) -> tuple[list[dict[str, Any]], str]:
    """For each kind of sound librosa's own error of single precision, then each runtime's; and
    librosa's version."""
    program, found = front_end(), []
    wanted = {kind: librosas(python, sounds) for kind, sounds in kinds.items()}
    for kind, theirs in wanted.items():
        apart = np.abs(theirs["single"] - theirs["double"])
        found.append(_row(kind, "librosa, float32", apart, apart, 0))
    with TemporaryDirectory() as folder:
        for name in STANDARD:
            runtime = RUNTIMES[name]
            path = Path(folder, f"front_end{runtime.suffix}")
            runtime.write(program, path, Spec("fp32", ()))
            loaded = runtime.load(path)
            for kind, sounds in kinds.items():
                theirs = wanted[kind]
                ours = loaded(sounds).reshape(theirs["single"].shape)
                apart = [np.abs(ours - theirs[each]) for each in ("single", "double")]
                found.append(_row(kind, name, apart[0], apart[1], size_of(path)))
    return found, str(next(iter(wanted.values()))["version"])


def _row(kind: str, name: str, single: Any, double: Any, size: int) -> dict[str, Any]:
    return {
        "sounds": kind,
        "runtime": name,
        "largest": float(single.max()),
        "p999": float(np.quantile(single, 0.999)),
        "largest_double": float(double.max()),
        "file_bytes": size,
    }


def cost() -> dict[str, Any]:
    """Constants and multiply-accumulates of a second, beside a DS-CNN of 64 channels."""
    module = FrontEnd(SETTINGS).eval()
    constants = [each for each in module.buffers() if each.is_floating_point()]
    whole = products(module, *blank(sound_inputs(LENGTH)))
    net = make(DepthwiseModel(family="ds_cnn"), 6, sound_inputs(LENGTH))
    macs, _ = count(net, sound_inputs(LENGTH))
    own = sum(each.macs for each in whole)
    return {
        "constants_bytes": 4 * sum(each.numel() for each in constants),
        "direct_transform_bytes": 4 * 480 * 482,
        "k_macs_a_frame": own / (LENGTH // module.hop - module.seen + 1) / 1e3,
        "share_of_ds_cnn_64": own / (macs * 1e6),
    }


def main() -> None:
    """Write `results/front_end.json`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("python")
    parser.add_argument("--data", type=Path, default=DATA / "data" / "read_speech" / "test.parquet")
    asked = parser.parse_args()
    found, version = rows(asked.python, {"made up": made_up(), "speech": speech(asked.data)})
    write("front_end", found, seeds=[0], librosa=version, parameters=LIBROSA, floor=SETTINGS.floor,
          cost=cost())  # fmt: skip
    for row in found:
        print(row)
    print(cost())


if __name__ == "__main__":
    main()
