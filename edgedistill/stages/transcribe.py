"""Ask the teacher what is said in every utterance, and sift what it answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import numpy as np

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.distill.speech.transcripts import Transcripts
from edgedistill.models.whisper.folder import Kept, find, generation, open_whisper
from edgedistill.recipe.transcription import FilterSettings
from edgedistill.records.recognition import ErrorRate, TranscribeRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.transcribing.labelling import transcribe
from edgedistill.transcribing.rules import read_rules
from edgedistill.transcribing.vocabulary import read_vocabulary
from edgedistill.transcripts.filter import KINDS, Transcribed, sift
from edgedistill.transcripts.normalize import normalizer
from edgedistill.transcripts.rates import error_rate


class Config(Frozen):
    """What the transcripts depend on."""

    name: Path | str
    """Of the teacher."""
    fingerprint: str
    tokens: int
    top_k: int
    batch_size: int
    precision: Literal["fp32", "bf16"]
    filter: FilterSettings
    states: bool
    """Keep what the encoder makes of the windows too."""
    splits: tuple[Literal["train", "validation"], ...]


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves for each split its transcripts and, where they are asked for, the encoder's states;
    and `transcribed.json`."""
    begin = time.monotonic()
    data = SpeechRecord.read(inputs["speech"])
    folder = find(str(config.name))
    model = open_whisper(folder, Kept(seconds=data.window / data.rate))
    vocabulary = read_vocabulary(folder, model.shape.vocabulary)
    rules = read_rules(generation(folder), vocabulary, data.language, limit=config.tokens)
    normalize = normalizer(data.language, folder)
    dropped: dict[str, dict[str, int]] = {}
    kept: dict[str, tuple[int, ...]] = {}
    rates: dict[str, ErrorRate | None] = {}
    for name in config.splits:
        split = open_utterances(inputs["speech"].path, name)
        place = context.scratch / name
        place.mkdir(exist_ok=True)
        states = None
        if config.states:
            states = _array(place / "states.npy", len(split), model.shape.positions,
                            model.shape.width)  # fmt: skip
        found = transcribe(
            model, split, rules, config.top_k, config.batch_size, context.checkpoints / name,
            lambda done, all_, name=name: context.reporter.tick(  # type: ignore[misc]
                f"teacher's transcripts, {name}", done, all_, f"{all_ / 60:.0f} minutes of sound"
            ),
            states, config.precision,
        )  # fmt: skip
        if states is not None:
            states.flush()
        found.write(place)
        texts = [vocabulary.text(found.said(each).tolist()) for each in range(len(split))]
        sifted = sift(_transcribed(split, found, texts), config.filter.config, data.language,
                      normalize)  # fmt: skip
        dropped[name] = {kind: count for kind, count in sifted.counts.items() if count}
        kept[name] = tuple(at for at, kind in enumerate(sifted.dropped) if kind is None)
        rates[name] = error_rate(split.texts, texts, normalize, context.seed)
        _say(context, name, len(split), dropped[name])
        cut = int((~found.ended).sum())
        if cut:
            context.reporter.say(
                f"transcribe: {cut} of {len(split)} transcripts of {name} are cut off, as they "
                f"take more than `student.tokens: {config.tokens}`"
            )
    record = TranscribeRecord(
        utterances={name: data.counts[name] for name in config.splits},
        dropped=dropped, kept=kept, error_rate=rates, precision=config.precision,
        seconds=time.monotonic() - begin,
        sound_seconds=3600 * sum(data.hours[name] for name in config.splits),
    )  # fmt: skip
    record.write(context.scratch)
    return {"dropped": dropped, "seconds": record.seconds}


def _array(path: Path, *shape: int) -> np.memmap:
    """A float16 array on disk, as an interrupted run left it."""
    from numpy.lib.format import open_memmap

    if path.exists():
        return open_memmap(path, "r+")
    return open_memmap(path, "w+", np.float16, shape)


def _transcribed(split: Utterances, found: Transcripts, texts: list[str]) -> list[Transcribed]:
    return [
        Transcribed(
            text=text, log_probability=float(found.sure[at]), no_speech=float(found.no_speech[at]),
            seconds=float(split.seconds[at]), reference=split.texts[at],
        )
        for at, text in enumerate(texts)
    ]  # fmt: skip


def _say(context: Context, name: str, count: int, dropped: dict[str, int]) -> None:
    told = ", ".join(f"{dropped[kind]} {kind}" for kind in KINDS if kind in dropped)
    context.reporter.say(
        f"transcribe: of {count} transcripts of {name} {sum(dropped.values())} are dropped"
        + (f": {told}" if told else "")
    )
