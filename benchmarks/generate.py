"""Whether a recognizer's float files say what transformers' `generate` says, token for token.

A Whisper is exported whole by the product's own stages, with a window of 16 s. Each test utterance
is parted as `edgedistill transcribe` parts it; every piece is decoded greedily by the files of each
runtime, without guards, and by `generate` of the same weights, window and rules, whose encoder was
told of fewer positions and whose spectrum is transformers' own. Where they differ, the two best
logits at the first place that does must be within 1e-3: there rounding decides.

    python -m benchmarks.generate MODEL [--data DIR] [--cache DIR] [--runtimes NAME...]

MODEL is a Whisper's folder, as transformers saves it; --data has `read_speech`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import DATA, Quiet, write
from edgedistill.cache import Cache, default_root
from edgedistill.data.speech.parting import parted
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.pipeline import run_until
from edgedistill.recipe import parse_recipe
from edgedistill.records.recognizer import RecognizerRecord, Rules
from edgedistill.runtimes import RUNTIMES
from edgedistill.target import load_target
from edgedistill.transcribing.decoding import Floats, Recognizer, greedy
from edgedistill.transcribing.long import filled
from edgedistill.transcribing.recognizers import InRuntime

SECONDS, TOKENS = 16, 160
NEAR = 1e-3
"""Between the two best logits."""
Generate = Callable[[Floats], tuple[int, ...]]
"""Tokens of a window, prompt and end not with them."""


def recipe(model: Path, data: Path) -> dict[str, Any]:
    """The model whole; of the training data a few utterances are prepared, none is learned."""
    speech = data / "read_speech"
    return {
        "name": "whole", "task": "transcription",
        "data": {
            "train": str(speech / "train.parquet"), "test": str(speech / "test.parquet"),
            "language": "en", "seconds": SECONDS, "validation": 0.02,
        },
        "teacher": {"family": "whisper", "name": str(model)},
        "student": {"tokens": TOKENS},
        "stages": {"distill": None, "export": {"precisions": ["fp32"]}},
    }  # fmt: skip


class Watched:
    """A recognizer, and how far apart the two best logits that may be said were at each place."""

    def __init__(self, recognizer: Recognizer, rules: Rules) -> None:
        self._recognizer, self._rules = recognizer, rules
        self.margins: list[float] = []

    def hear(self, samples: Floats) -> None:
        self.margins = []
        self._recognizer.hear(samples)

    def step(self, token: int, position: int) -> Floats:
        logits = self._recognizer.step(token, position)
        first = len(self._rules.prompt) - 1
        if position >= first:
            more = self._rules.suppressed_first if position == first else ()
            allowed = np.delete(logits, [*self._rules.suppressed, *more])
            second, best = np.partition(allowed, -2)[-2:]
            self.margins.append(float(best - second))
        return logits


def transformers_generate(model: Path, rules: Rules) -> Generate:
    """`generate` with one beam and no times, of a model whose window is `SECONDS`."""
    import torch
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    theirs = WhisperForConditionalGeneration.from_pretrained(model, dtype=torch.float32)
    theirs = theirs.eval()
    positions = SECONDS * 50
    theirs.config.max_source_positions = positions
    encoder = theirs.model.encoder
    encoder.max_source_positions = positions
    held = encoder.embed_positions.weight[:positions].detach().clone()
    encoder.embed_positions = torch.nn.Embedding.from_pretrained(held)
    extractor = WhisperFeatureExtractor(
        feature_size=theirs.config.num_mel_bins, chunk_length=SECONDS
    )

    def generate(window: Floats) -> tuple[int, ...]:
        given = extractor(window, sampling_rate=16_000, return_tensors="pt").input_features
        with torch.no_grad():
            found = theirs.generate(
                given, language="en", task="transcribe", num_beams=1, do_sample=False,
                max_new_tokens=rules.limit - len(rules.prompt),
            )[0].tolist()  # fmt: skip
        return tuple(found[: found.index(rules.end)] if rules.end in found else found)

    return generate


def windows(split: Utterances) -> Iterator[tuple[int, int, Floats]]:
    """(utterance, piece, window)."""
    for utterance in range(len(split)):
        sound = split.audio[slice(*split.offsets[utterance : utterance + 2])]
        for number, piece in enumerate(parted([sound], split.window, split.rate)):
            yield utterance, number, filled(piece, split.window)


def first_difference(ours: tuple[int, ...], theirs: tuple[int, ...], end: int) -> int | None:
    """The first place that differs, that of the end with them."""
    places = zip((*ours, end), (*theirs, end), strict=False)
    return next((place for place, (one, other) in enumerate(places) if one != other), None)


def compared(
    name: str, recognizer: Recognizer, rules: Rules, wanted: dict[tuple[int, int], tuple[int, ...]],
    split: Utterances,
) -> dict[str, Any]:  # fmt: skip
    """A row of one runtime."""
    watched, begin = Watched(recognizer, rules), time.perf_counter()
    apart: list[dict[str, Any]] = []
    near: list[dict[str, Any]] = []
    least = np.inf
    for utterance, number, window in windows(split):
        found = greedy(watched, window, rules)
        ours, theirs = found.tokens, wanted[utterance, number]
        here = {"utterance": split.names[utterance], "piece": number}
        place = first_difference(ours, theirs, rules.end)
        told = watched.margins[: None if place is None else place + 1]
        least = min(least, *told)
        near += [
            {**here, "place": at, "margin": margin}
            for at, margin in enumerate(told) if margin < NEAR
        ]  # fmt: skip
        if place is not None:
            apart.append({
                **here, "place": place, "margin": watched.margins[place],
                "ours": [*ours, rules.end][place], "theirs": [*theirs, rules.end][place],
            })  # fmt: skip
            print(f"{name}: {apart[-1]}", flush=True)
    return {
        "row": name, "precision": "fp32", "utterances": len(split),
        "equal": len(split) - len({each["utterance"] for each in apart}),
        "pieces": len(wanted), "pieces_equal": len(wanted) - len(apart),
        "tokens": sum(len(each) + 1 for each in wanted.values()), "least_margin": least,
        "within_1e-3": near, "apart": apart,
        "apart_beyond_1e-3": sum(each["margin"] >= NEAR for each in apart),
        "seconds": time.perf_counter() - begin,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, default=DATA / "data")
    parser.add_argument("--cache", type=Path, default=default_root())
    parser.add_argument("--runtimes", nargs="+", default=["onnxruntime", "litert", "openvino"])
    asked = parser.parse_args()
    told = recipe(asked.model.resolve(), asked.data.resolve())
    target = load_target("android-arm64").model_copy(
        update={"device": None, "runtimes": tuple(asked.runtimes)}
    )
    made = run_until(
        parse_recipe(told, "generate"), target, Cache(asked.cache, print), Quiet(), "export"
    )
    record = RecognizerRecord.read(made["export"])
    split = open_utterances(made["speech"].path, "test")
    generate = transformers_generate(asked.model, record.rules)
    wanted = {}
    for utterance, number, window in windows(split):
        wanted[utterance, number] = generate(window)
        print(f"generate: {utterance}, {number}", flush=True)
    rows = []
    for pair in record.pairs():
        runtime = pair[0].runtime
        loaded = [
            RUNTIMES[runtime].load(made["export"].path / "files" / each.file, program=each.program)
            for each in pair
        ]
        recognizer = InRuntime(*loaded)
        rows.append(compared(runtime, recognizer, record.rules, wanted, split))
        print(rows[-1], flush=True)
        write("generate", rows, seeds=[0], recipe=recipe(Path("whisper-base"), Path("data")))
    if any(each["apart_beyond_1e-3"] for each in rows):
        raise SystemExit("other tokens where rounding does not decide")


if __name__ == "__main__":
    main()
