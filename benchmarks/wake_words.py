"""Four wake words from a folder of recordings: what a compiled detector misses and hears wrongly in
two hours that it never heard, what each part of its training is worth, and microWakeWord's own
`alexa` on the same audio.

Words: Picovoice's wake word benchmark. Negatives: read speech, coffee orders, noises. A fifth of
the words' clips, drawn once by their names, is for the test; of the negatives, of which there has
to be enough to count one false accept an hour, nearly half. The rest is parted as `edgedistill
compile` does it: copies of a recording, and where they are named a speaker's recordings, are in one
split. The words' clips name no speaker, so a voice may be in training and in test. Thresholds are
chosen on validation and frozen. The teacher is a large model of speech with a layer that is
fitted to the training clips (`speech_embedding.py`).

    export EDGEDISTILL_EMBEDDING=...  # see speech_embedding.py
    python -m venv DIR && DIR/bin/pip install pymicro-wakeword
    python -m benchmarks.wake_words --peer DIR/bin/python [--cache DIR] [--seeds 0 1 2]

Trains for some minutes a variant and seed; what is in the cache isn't trained again.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.common import DATA, Quiet, write
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.data import open_split
from edgedistill.data.sound.split import SoundSplit
from edgedistill.listening import figures, trial
from edgedistill.listening.ear import Hops
from edgedistill.listening.mixing import LongAudio, Mixing
from edgedistill.pipeline import run_steps
from edgedistill.plan import Step, steps
from edgedistill.recipe import Recipe, parse_recipe
from edgedistill.records import DataRecord, ExportRecord
from edgedistill.records.listening import Hearing, ListenRecord, Rule
from edgedistill.stages.listen import recordings_of
from edgedistill.target import load_target

TARGET = load_target("android-arm64").model_copy(update={"runtimes": ("litert",)})
PEER = "alexa"
_LEARNING = {"batch_size": 32, "optimizer": "adamw"}
_SOFT = [
    {"kind": "soft_targets", "weight": 0.3, "temperature": 2},
    {"kind": "labels", "weight": 0.7},
]
_LABELS = [{"kind": "labels"}]


def parted(data: Path, folder: Path) -> None:
    """Write the words' clips of training and of the test into `folder`, as `train.parquet` and
    `test.parquet`."""
    clips = pq.read_table(data / "wake_words" / "wakewords.parquet")
    drawn = [int(hashlib.sha256(name.encode()).hexdigest(), 16) for name in clips["id"].to_pylist()]
    test = np.array([each % 5 == 0 for each in drawn])
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(clips.filter(~test), folder / "train.parquet")
    pq.write_table(clips.filter(test), folder / "test.parquet")


def document(data: Path, words: Path) -> dict[str, Any]:
    """The recipe, whole; data: the folder with `read_speech` and `noise`; words: as `parted` left
    it."""
    spoken = [
        str(data / "read_speech" / f"{name}.parquet") for name in ("train", "commands", "test")
    ]
    return {
        "name": "wake_words", "task": "keywords",
        "data": {
            "source": "parquet", "train": str(words / "train.parquet"),
            "test": str(words / "test.parquet"), "audio": "audio", "label": "label",
            "test_share": 0.45, "validation": 0.35,
            "sound": {
                "seconds": 1.2, "negatives": spoken,
                "noise": [str(data / "noise" / "esc10.parquet")],
                "augment": {"noise": 0.7, "snr_db": [0, 20]},
            },
        },
        "teacher": {
            "family": "python", "function": "benchmarks.speech_embedding:of_16000",
            "outputs": "embedding",
        },
        "student": {"family": "ds_cnn", "width": 40, "pool": "depthwise"},
        "stages": {
            "teach": {"views": 6},
            "distill": {**_LEARNING, "epochs": 120, "learning_rate": 0.003, "losses": _SOFT},
            "quantize": {
                **_LEARNING, "method": "qat", "epochs": 3, "learning_rate": 0.0003,
                "losses": _SOFT,
            },
            "export": {"precisions": ["int8"]},
            "audit": {"corruption_samples": 0},
        },
        "contract": {"max_size_kb": 60, "max_misses": 3, "max_false_accepts_per_hour": 1},
    }  # fmt: skip


_FROM_LABELS = {f"stages.{stage}.losses": _LABELS for stage in ("distill", "quantize")}
_PRUNED = {
    **_LEARNING, "speedup": 1.3, "round_to": 8, "rounds": 1, "epochs": 8, "learning_rate": 0.001,
    "losses": _SOFT,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "from labels alone": _FROM_LABELS,
    "pruned too": {"stages.prune": _PRUNED},
    "quantized after training": {"stages.quantize": {"method": "ptq"}},
    "from labels alone, without noise": {**_FROM_LABELS, "data.sound.augment.noise": 0.0},
    "from labels alone, with SpecAugment": {
        **_FROM_LABELS,
        "data.sound.augment.time_mask_ms": 80, "data.sound.augment.band_mask": 0.15,
    },
}  # fmt: skip
"""What differs from the recipe."""
ONE_SEED = list(VARIANTS)[2:]
"""Of these the first alone."""


def recipe(data: Path, words: Path, seed: int, changes: dict[str, Any]) -> Recipe:
    """With these changes."""
    made = copy.deepcopy(document(data, words)) | {"seed": seed}
    for path, value in changes.items():
        *folders, key = path.split(".")
        place = made
        for folder in folders:
            place = place[folder]
        place[key] = value
    return parse_recipe(made, "wake_words")


def planned(ran: Recipe) -> list[Step]:
    """What it takes to listen. Nothing is audited: probabilities are at the temperature 1."""
    found, needed = list[Step](), {"listen"}
    for step in reversed(steps(ran, TARGET)):
        if step.name in needed:
            read = {role: name for role, name in step.inputs.items() if name != "audit"}
            needed |= set(read.values())
            found.insert(0, dataclasses.replace(step, inputs=read))
    return found


def described(made: dict[str, Artifact]) -> dict[str, Any]:
    """What a compiled detector does on the test set's long audio, and its size."""
    heard = ListenRecord.read(made["listen"])
    files = ExportRecord.read(made["export"])
    entry = files.smallest("step")
    assert entry is not None
    return {
        **figured(heard.test.all),
        "within_limit_on_validation": heard.within_limit,
        "size_kb": (made["export"].file("files") / entry.file).stat().st_size / 1000,
        "rule": dataclasses.asdict(heard.rule),
        "validation": dataclasses.asdict(heard.validation),
        "test": dataclasses.asdict(heard.test),
    }


def long_audio(made: dict[str, Artifact], ran: Recipe) -> LongAudio:
    """The test set's, as the stage `listen` plays it."""
    record = ListenRecord.read(made["listen"])
    data, wanted = DataRecord.read(made["data"]), ran.stages.listen
    split = open_split(made["data"].path, "test")
    assert isinstance(split, SoundSplit)
    keywords = tuple(data.labels.index(name) for name in record.rule.keywords)
    pause = (wanted.tolerance_ms + max(wanted.refractory_ms)) / 1000
    mixing = Mixing(ran.seed, wanted.snr_db, pause, wanted.minutes)
    return LongAudio(recordings_of(split, keywords), mixing)


def peer(python: Path, made: dict[str, Artifact], ran: Recipe) -> dict[str, Any]:
    """microWakeWord's detector of one of the words on that audio, with its own front end, threshold
    and smoothing, and our refractory time."""
    long, rate = long_audio(made, ran), DataRecord.read(made["data"]).sound.rate  # type: ignore[union-attr]
    side = Path(__file__).with_name("microwakeword_side.py")
    with tempfile.TemporaryDirectory() as folder:
        raw, answers = Path(folder) / "long.raw", Path(folder) / "answers.npy"
        with raw.open("wb") as file:
            for piece in long:
                file.write(np.rint(piece * 32767).astype("<i2").tobytes())
        command = [str(python), str(side), PEER, str(raw), str(answers)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(ended.stdout.splitlines()[-1])
        probabilities = np.load(answers)[:, None]
    record = ListenRecord.read(made["listen"])
    label = DataRecord.read(made["data"]).labels.index(PEER)
    hop = rate // 100
    tolerance = ran.stages.listen.tolerance_ms / 1000
    audio = trial.due(long, Hops(hop, 0, 1.0, (label,)), rate, tolerance)
    refractory = round(record.rule.refractory * record.hop / hop)
    rule = Rule(
        keywords=(PEER,), thresholds=(told["threshold"],), smoothing=1, refractory=refractory
    )
    _, counts = trial.decide(probabilities, rule, audio)
    return {
        "variant": f"microWakeWord's `{PEER}`",
        **figured(figures.figures(counts, audio, (PEER,)).all),
        **told,
        "curve": dataclasses.asdict(
            figures.curve(probabilities[:, 0], audio.said, audio.hours, refractory, PEER)
        ),
    }


def of_one_word(row: dict[str, Any], made: dict[str, Artifact]) -> dict[str, Any]:
    """What a detector does on that word alone, to stand beside the peer."""
    record = ListenRecord.read(made["listen"])
    heard = next(each for each in record.test.keywords if each.keyword == PEER)
    curve = next(each for each in record.test_curves if each.keyword == PEER)
    return {
        "variant": f"{row['variant']}, `{PEER}` alone", "seed": row["seed"],
        **figured(heard), "size_kb": row["size_kb"], "curve": dataclasses.asdict(curve),
    }  # fmt: skip


def figured(heard: Hearing) -> dict[str, Any]:
    """Its figures with their 95 % intervals."""
    return {
        "misses": heard.misses,
        "misses_interval": heard.misses_interval,
        "false_accepts_per_hour": heard.false_accepts_per_hour,
        "false_accepts_interval": heard.false_accepts_interval,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA / "data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cache", type=Path, default=default_root())
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--peer", type=Path, help="a Python that has pymicro-wakeword")
    asked = parser.parse_args()
    cache, data = Cache(asked.cache, print), asked.data.resolve()
    words = asked.cache.resolve() / "wake_words_parted"
    parted(data, words)
    rows: list[dict[str, Any]] = []
    beside: list[dict[str, Any]] = []
    wanted = [
        (name, seed) for seed in asked.seeds for name in asked.only
        if seed == asked.seeds[0] or name not in ONE_SEED
    ]  # fmt: skip
    for name, seed in wanted:
        ran = recipe(data, words, seed, VARIANTS[name])
        made = run_steps(ran, planned(ran), cache, Quiet())
        rows.append({"variant": name, "seed": seed, **described(made)})
        shown = {key: value for key, value in rows[-1].items() if not isinstance(value, dict)}
        print(json.dumps(shown), flush=True)
        if asked.peer and not beside:
            beside = [of_one_word(rows[-1], made), peer(asked.peer, made, ran)]
            print(*beside, sep="\n", flush=True)
    whole = document(Path("data"), Path("words"))
    write("wake_words", rows + beside, seeds=asked.seeds, recipe=whole)


if __name__ == "__main__":
    main()
