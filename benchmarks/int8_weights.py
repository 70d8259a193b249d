"""What int8 weights do to a Whisper whose activations stay in float, and to one whose activations
are rounded as it runs.

One int8 graph of each of its two programs is written for every runtime, with activations `float`
and `dynamic`, beside the float graph. Each pair of files is run in a process of its own, by one
thread: sizes, memory, times, how far its logits are from those of the graph that it renders, step
by step over the tokens of one transcript, and the word error rate of the first clips of a data set.

    python -m benchmarks.int8_weights MODEL DATA [--clips N] [--work DIR]

MODEL is a Whisper's folder, as transformers saves it; DATA a parquet file with the columns `audio`
(whole files, 16 kHz) and `text`. What is found in --work is not measured again.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import write
from edgedistill.compress.weights import check_kept, integer_weights
from edgedistill.files import read_json_file
from edgedistill.models.programs import Method
from edgedistill.models.whisper.folder import Kept, open_whisper
from edgedistill.models.whisper.network import DECODE_STEP, ENCODE
from edgedistill.program import Program, export, graph_of
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec, size_of
from edgedistill.runtimes.native import Running
from edgedistill.transcribing.decoding import Floats, greedy
from edgedistill.transcribing.recognizers import InRuntime
from edgedistill.transcribing.rules import Rules, read_rules
from edgedistill.transcribing.vocabulary import Vocabulary, read_vocabulary

FLOAT_PARTS = ("log_mel",)
MODES = (("fp32", "float"), ("int8", "float"), ("int8", "dynamic"))
FORCED = 12
"""Tokens over which logits are compared."""


@dataclass(frozen=True)
class Clips:
    """Windows of samples (length,), and what is said in them."""

    samples: list[Floats]
    texts: list[str]


def read_clips(path: Path, count: int, length: int) -> Clips:
    import pyarrow.parquet
    import soundfile

    table = pyarrow.parquet.read_table(path, columns=["audio", "text"]).slice(0, count)
    samples = []
    for row in table["audio"].to_pylist():
        content = row["bytes"] if isinstance(row, dict) else row
        found, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        assert rate == 16_000, rate
        samples.append(np.pad(found[:length], (0, max(0, length - len(found)))))
    return Clips(samples, table["text"].to_pylist())


class Graphs(Running):
    """One of a model's programs in torch, as files of a runtime are run."""

    def __init__(self, program: Program) -> None:
        self.signature = program.signature
        self._graph = graph_of(program)

    def run(self, native: dict[str, Any]) -> dict[str, Any]:
        given = [torch.from_numpy(native[each.name]) for each in self.signature.inputs]
        with torch.no_grad():
            found = self._graph(*given)
        named = zip(self.signature.outputs, found, strict=True)
        return {each.name: value.numpy() for each, value in named}


def forced(recognizer: InRuntime, samples: Floats, tokens: list[int]) -> Floats:
    """Logits (tokens, vocabulary) behind each of the tokens of a transcript."""
    recognizer.hear(samples)
    return np.stack([recognizer.step(token, place) for place, token in enumerate(tokens)])


def programs(folder: Path, kept: Kept) -> dict[tuple[str, str], Program]:
    """Both graphs of both programs, by name and precision."""
    model = open_whisper(folder, kept)
    plain = {
        name: export(Method(model, call), signature)
        for name, (call, signature) in model.programs().items()
    }
    check_kept(plain.values(), FLOAT_PARTS)
    found = {(name, "fp32"): program for name, program in plain.items()}
    return found | {
        (name, "int8"): integer_weights(program, FLOAT_PARTS) for name, program in plain.items()
    }


def write_files(work: Path, runtime: str, graphs: dict[tuple[str, str], Program]) -> None:
    for (name, precision), program in graphs.items():
        for kind, activations in MODES:
            path = _file(work, runtime, name, kind, activations)
            if kind == precision and not path.exists():
                spec = Spec(kind, (), name="whisper", activations=activations)  # type: ignore[arg-type]
                RUNTIMES[runtime].write(program, path, spec)
                print(path.name, size_of(path), flush=True)


def _file(work: Path, runtime: str, name: str, precision: str, activations: str) -> Path:
    return work / f"{name}.{precision}.{activations}{RUNTIMES[runtime].suffix}"


def reference(
    graphs: dict[tuple[str, str], Program], precision: str, samples: Floats, tokens: list[int]
) -> Floats:
    """What the graphs in torch say, (tokens, vocabulary)."""
    torch.set_num_threads(1)
    parts = (Graphs(graphs[name, precision]) for name in (ENCODE, DECODE_STEP))
    return forced(InRuntime(*parts), samples, tokens)


def measured(
    work: Path, runtime: str, mode: tuple[str, str], rules: Rules, vocabulary: Vocabulary,
    clips: Clips, wanted: Floats, tokens: list[int],
) -> dict[str, Any]:  # fmt: skip
    """One pair of files, in a process of its own."""
    paths = [_file(work, runtime, name, *mode) for name in (ENCODE, DECODE_STEP)]
    recognizer = InRuntime(*(RUNTIMES[runtime].load(path) for path in paths))
    found = forced(recognizer, clips.samples[0], tokens)
    encoding, steps = [], []
    for _ in range(3):
        begin = time.perf_counter()
        recognizer.hear(clips.samples[0])
        encoding.append(time.perf_counter() - begin)
    for place in range(40):
        begin = time.perf_counter()
        recognizer.step(tokens[place % len(tokens)], place)
        steps.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    said = [vocabulary.text(greedy(recognizer, each, rules).tokens) for each in clips.samples]
    return {
        "name": f"{runtime}, {mode[0]} weights, {mode[1]}",
        "runtime": runtime, "weights": mode[0], "activations": mode[1],
        "encode_mb": size_of(paths[0]) / 1e6, "step_mb": size_of(paths[1]) / 1e6,
        "peak_mb": peak, "encode_s": float(np.median(encoding)), "encode_samples": encoding,
        "step_ms": 1e3 * float(np.median(steps)), "step_samples": steps,
        "logits_apart": float(np.abs(found - wanted).max()), "said": said,
        "same_tokens": int((found.argmax(1) == wanted.argmax(1)).sum()),
    }  # fmt: skip


def apart(*given: Any) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, given)


def rows(options: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    graphs = programs(options.model, Kept(seconds=options.seconds, tokens=options.tokens))
    clips = read_clips(options.data, options.clips, round(options.seconds * 16_000))
    vocabulary, rules = language(options.model, options.tokens)
    tokens = [*rules.prompt, *_spoken(vocabulary, clips.texts[0])][:FORCED]
    wanted = {
        precision: reference(graphs, precision, clips.samples[0], tokens)
        for precision in ("fp32", "int8")
    }
    for runtime in options.runtimes:
        write_files(work, runtime, graphs)
        for mode in MODES:
            path = work / f"{runtime}.{'.'.join(mode)}.json"
            if not path.exists():
                given = (rules, vocabulary, clips, wanted[mode[0]], tokens)
                path.write_text(json.dumps(apart(work, runtime, mode, *given)))
            found = judged(json.loads(path.read_text()), clips.texts)
            print(
                {key: each for key, each in found.items() if isinstance(each, str | float)},
                flush=True,
            )
            yield found


def language(folder: Path, limit: int) -> tuple[Vocabulary, Rules]:
    size = read_json_file(folder / "config.json", "a model", "", 1 << 20)["vocab_size"]
    vocabulary = read_vocabulary(folder, size)
    generation = read_json_file(folder / "generation_config.json", "rules", "", 1 << 20)
    return vocabulary, read_rules(generation, vocabulary, "en", limit=limit)


def _spoken(vocabulary: Vocabulary, text: str) -> list[int]:
    """Tokens of a text, word by word, of those words that are a token."""
    known = {piece: number for number, piece in enumerate(vocabulary.pieces) if piece}
    words = (f" {word}".encode() for word in text.lower().split())
    return [known[each] for each in words if each in known]


def judged(found: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    from edgedistill.transcripts.errors import align, rate_interval, total
    from edgedistill.transcripts.normalize import normalizer

    counts = align(texts, found["said"], normalizer("en"), "words")
    interval = rate_interval(counts, seed=0)
    return {**found, "wer": total(counts).rate, "wer_interval": interval}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=16.0)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--runtimes", nargs="+", default=list(STANDARD))
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        found = list(rows(options, work))
    write(
        "int8_weights", found, seeds=[0], model=options.model.name, clips=options.clips,
        data=options.data.name, seconds=options.seconds, tokens=options.tokens, threads=1,
    )  # fmt: skip


if __name__ == "__main__":
    main()
