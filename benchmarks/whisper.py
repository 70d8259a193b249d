"""A Whisper compiled for a phone, beside its teacher and what a user would take instead.

Each row is a recipe: the teacher exported whole, with its window of 30 s or the student's; the
student; and another Whisper. All are judged on the same utterances with their transcripts (word
error rate of the files, in every runtime). Then all bundles transcribe some of the utterances in
turns, one thread, so that speeds can be compared.

    python -m benchmarks.whisper TEACHER [--tiny TINY] [--faster DIR/bin/python] [--cache DIR]

TEACHER and TINY are folders as transformers saves them; DIR is an environment of its own with
`faster-whisper`, whose model is converted from TEACHER. Trains for about an hour; what is in the
cache isn't done again.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile as sf

import edgedistill
from benchmarks.common import DATA, write
from edgedistill.bundle import Bundle, Guards
from edgedistill.cache import default_root
from edgedistill.data.speech.prepare import prepare_speech
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.progress import Lines, Quiet
from edgedistill.recipe.speech import Speech
from edgedistill.target import load_target
from edgedistill.transcripts.normalize import normalizer
from edgedistill.transcripts.rates import error_rate

TARGET = load_target("android-arm64").model_copy(update={"device": None})
_WHOLE = {"stages.distill": None}
WINDOW = 16
ROWS: dict[str, dict[str, Any]] = {
    "the student": {
        "student": {"encoder_ffn": 0.75, "decoder_ffn": 0.75, "vocabulary": "ascii", "tokens": 160},
    },
    "the teacher whole": {"student": {"tokens": 160}, **_WHOLE},
    "the teacher whole, 30 s": {
        "student": {"tokens": 160}, "data.seconds": 30, "stages.export.precisions": ["fp32"],
        **_WHOLE,
    },
    "tiny.en whole": {"student": {"tokens": 160}, **_WHOLE},
}  # fmt: skip
"""What differs from `document`."""


def document(data: Path, teacher: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """The recipe, whole; data: the folder with `read_speech`."""
    speech = data / "read_speech"
    made: dict[str, Any] = {
        "name": "whisper", "task": "transcription",
        "data": {
            "train": [str(speech / "train.parquet"), str(speech / "commands.parquet")],
            "test": str(speech / "test.parquet"), "language": "en", "seconds": WINDOW,
        },
        "teacher": {"family": "whisper", "name": str(teacher)},
        "stages": {
            "distill": {"epochs": 3, "batch_size": 8, "learning_rate": 1e-5},
            "export": {"precisions": ["fp32", "int8"]},
        },
        "contract": {"max_wer_increase": 2},
    }  # fmt: skip
    for path, value in changes.items():
        *folders, key = path.split(".")
        place = made
        for folder in folders:
            place = place.setdefault(folder, {})
        place[key] = value
    return made


def judged(name: str, bundle: Bundle) -> list[dict[str, Any]]:
    """Its files, and the teacher as it was given, in torch."""
    found = bundle.report["recognized"]
    rows = [(name, each) for each in found["files"]]
    rows.insert(0, (f"{name}: the teacher in torch, as it was given", found["teacher"]))
    return [
        {
            "row": row, **each, "wer": each["error_rate"]["words"],
            "wer_interval": each["error_rate"]["words_interval"],
            "cer": each["error_rate"]["characters"], "mb": each["bytes"] / 1e6,
        }
        for row, each in rows
    ]  # fmt: skip


def roundings(name: str, bundle: Bundle) -> list[dict[str, Any]]:
    """What int8 files say otherwise than the float model of validation utterances, by which
    program's activations are rounded."""
    tried = bundle.report["roundings"]["tried"]
    return [
        {"row": f"{name}: activations", **each, "otherwise": each["word_error_rate"]}
        for each in tried
    ]


def in_turns(bundles: dict[str, Bundle], split: Utterances, count: int) -> list[dict[str, Any]]:
    """Every file of each transcribes an utterance before the next one is begun; seconds."""
    step = max(1, len(split) // count)
    ids = range(0, len(split), step)[:count]
    sides = [
        (name, bundle, runtime, precision)
        for name, bundle in bundles.items()
        for runtime, precision in dict.fromkeys(
            (e["runtime"], e["precision"]) for e in bundle.files
        )
    ]
    taken: dict[tuple[str, str, str], list[float]] = {}
    for at in [ids[0], *ids]:  # the first is a warm-up
        for name, bundle, runtime, precision in sides:
            begin = time.perf_counter()
            bundle.transcribe(split.samples(at), runtime=runtime, precision=precision)
            taken.setdefault((name, runtime, precision), []).append(time.perf_counter() - begin)
        print(at, flush=True)
    sound = float(split.seconds[list(ids)].sum())
    return [
        {"row": f"{name}, in turns", "runtime": runtime, "precision": precision,
         "sound_seconds": sound, "seconds": sum(samples[1:]),
         "real_time_factor": sum(samples[1:]) / sound, "samples": samples[1:]}
        for (name, runtime, precision), samples in taken.items()
    ]  # fmt: skip


def speedups(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many times as fast the student's int8 files are, by runtime."""
    times = {(r["row"], r["runtime"], r["precision"]): r["samples"] for r in rows}
    found = []
    for (name, runtime, precision), samples in times.items():
        ours = times.get(("the student, in turns", runtime, "int8"))
        if ours is None or name == "the student, in turns":
            continue
        ratios = [theirs / own for theirs, own in zip(samples, ours, strict=True)]
        found.append(
            {"row": "the student's int8 file is faster", "than": name, "runtime": runtime,
             "precision": precision, "times": sum(samples) / sum(ours),
             "median_of_utterances": statistics.median(ratios)}
        )  # fmt: skip
    return found


def emitted(name: str, bundle: Bundle, noise: Path, seed: int = 0) -> list[dict[str, Any]]:
    """Words that float files say where nothing is said, in two minutes of each kind, with the
    bundle's guards and without."""
    rate = 16_000
    random = np.random.default_rng(seed)
    time_of = np.arange(120 * rate) / rate
    clips = pq.read_table(noise)["audio"].to_pylist()[:24]
    heard = [sf.read(io.BytesIO(c["bytes"] if isinstance(c, dict) else c))[0] for c in clips]
    sounds = {
        "silence": np.zeros(120 * rate, np.float32),
        "white noise": (0.05 * random.standard_normal(120 * rate)).astype(np.float32),
        "tones": (0.2 * np.sin(2 * np.pi * 110 * 2 ** (time_of // 5 % 24 / 6) * time_of)).astype(
            np.float32
        ),
        "ESC-10": np.concatenate(heard).astype(np.float32)[: 120 * rate],
    }
    rows = []
    for guarded in (False, True):
        guards = None if guarded else Guards()
        words = {
            kind: len(bundle.transcribe(sound, precision="fp32", guards=guards).text.split())
            for kind, sound in sounds.items()
        }
        rows.append({"row": f"{name}: words of no speech", "guards": guarded, "words": words})
    return rows


def peer(python: Path, teacher: Path, split: Utterances) -> dict[str, Any]:
    """faster-whisper, int8, of the teacher's weights, one thread, greedy, without times."""
    side = Path(__file__).with_name("faster_whisper_side.py")
    with tempfile.TemporaryDirectory() as folder:
        sounds = Path(folder) / "sounds.npz"
        np.savez(sounds, **{f"{at:05}": split.samples(at) for at in range(len(split))})
        command = [str(python), str(side), str(teacher), str(sounds), str(Path(folder) / "model")]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(ended.stdout.splitlines()[-1])
    rate = error_rate(split.texts, told.pop("texts"), normalizer("en"), 0)
    assert rate is not None
    return {"row": "faster-whisper", "precision": "int8", **told, "error_rate": vars(rate)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--tiny", type=Path)
    parser.add_argument("--faster", type=Path, help="a Python that has faster-whisper")
    parser.add_argument("--data", type=Path, default=DATA / "data")
    parser.add_argument("--cache", type=Path, default=default_root())
    parser.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--turns", type=int, default=20, help="utterances timed in turns")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    bundles: dict[str, Bundle] = {}
    for name in asked.only:
        teacher = asked.tiny if name.startswith("tiny") else asked.teacher
        if teacher is None:
            continue
        told = document(asked.data.resolve(), teacher.resolve(), ROWS[name])
        out = asked.cache / "whisper_bundles" / name.replace(" ", "_").replace(",", "")
        made = edgedistill.compile(told, TARGET, out=out, cache=asked.cache, reporter=Lines())
        assert isinstance(made, Bundle)
        bundles[name] = made
        rows += [*judged(name, made), *roundings(name, made)]
    with tempfile.TemporaryDirectory() as folder:
        test = asked.data / "read_speech" / "test.parquet"
        speech = Speech(train=(asked.data / "read_speech" / "train.parquet",), test=(test,),
                        language="en")  # fmt: skip
        prepare_speech(speech, 0, Path(folder), Quiet())
        split = open_utterances(Path(folder), "test")
        timed = in_turns(bundles, split, asked.turns)
        rows += [*timed, *speedups(timed)]
        for name, made in bundles.items():
            rows += emitted(name, made, asked.data / "noise" / "esc10.parquet")
        if asked.faster:
            rows.append(peer(asked.faster, asked.teacher.resolve(), split))
    whole = document(Path("data"), Path("whisper-base"), ROWS["the student"])
    write("whisper", rows, seeds=[0], recipe=whole)


if __name__ == "__main__":
    main()
