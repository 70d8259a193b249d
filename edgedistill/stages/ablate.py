"""Find the layers of a recognizer that can go."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data.speech.utterances import open_utterances
from edgedistill.distill.speech.ablation import Part, Trial, ablate
from edgedistill.distill.speech.learning import Batch, Lessons
from edgedistill.distill.speech.transcripts import open_transcripts
from edgedistill.errors import UserError
from edgedistill.models.whisper.folder import Kept, find, generation, open_whisper
from edgedistill.models.whisper.network import Whisper
from edgedistill.recipe.transcription import Layers
from edgedistill.records.recognition import AblateRecord, LayerTrial, TranscribeRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.transcribing.labelling import encoded
from edgedistill.transcribing.rules import read_rules
from edgedistill.transcribing.vocabulary import read_vocabulary

_BATCH = 8
_PARTS: tuple[Part, ...] = ("encoder", "decoder")


class Config(Frozen):
    """What is left depends on."""

    name: Path | str
    """Of the teacher."""
    fingerprint: str
    encoder: Layers | None
    decoder: Layers | None
    utterances: int


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `ablated.json`: the layers that stay. Those of the encoder are looked for with all of
    the decoder, and the decoder's with what is left of the encoder."""
    import torch

    data = SpeechRecord.read(inputs["speech"])
    folder = find(str(config.name))
    model = open_whisper(folder, Kept(seconds=data.window / data.rate))
    ids = _chosen(inputs["transcribe"], config.utterances)
    lessons = _lessons(inputs, folder, model, data, ids, context.seed)
    order = [ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH)]

    trials: list[Trial] = []
    kept: dict[Part, tuple[int, ...]] = {}
    for part in _PARTS:
        if part == "decoder":  # whose trials hear the same
            lessons = replace(lessons, states=_states(model, lessons))
        asked = functools.partial(lessons.batches, order, 0, torch.device("cpu"))
        kept[part] = _searched(model, part, getattr(config, part), asked, trials, context)
        layers = getattr(model, part).layers
        getattr(model, part).layers = torch.nn.ModuleList(layers[at] for at in kept[part])
    record = AblateRecord(
        encoder=kept["encoder"], decoder=kept["decoder"],
        trials=tuple(LayerTrial(**vars(each)) for each in trials), utterances=len(ids),
    )  # fmt: skip
    record.write(context.scratch)
    return {"encoder": record.encoder, "decoder": record.decoder}


def _states(model: Whisper, lessons: Lessons) -> NDArray[np.float16]:
    """What the encoder makes of the utterances that are learned from, by their numbers; of others
    nothing is held in memory."""
    size = (len(lessons.split), model.shape.positions, model.shape.width)
    found = np.zeros(size, np.float16)
    for at in range(0, len(lessons.ids), _BATCH):
        ids = lessons.ids[at : at + _BATCH]
        found[ids] = encoded(model, lessons.split, ids).numpy()
    return found


def _searched(
    model: Whisper, part: Part, wanted: Layers | None,
    batches: Callable[[], Iterator[Batch]], trials: list[Trial],
    context: Context,
) -> tuple[int, ...]:  # fmt: skip
    there = len(getattr(model, part).layers)
    if wanted is None:
        return tuple(range(there))
    most = wanted if isinstance(wanted, int) else max(wanted) + 1
    if most > there:
        raise UserError(
            f"student.{part}_layers: {wanted}; the teacher's {part} has {there} layers",
            f"give {there} at most, numbered from 0",
        )
    if not isinstance(wanted, int):
        return tuple(sorted(wanted))
    found = ablate(
        model, part, wanted, batches,
        lambda done, total: context.reporter.tick(f"ablate, {part}", done, total),
    )  # fmt: skip
    trials += found.trials
    best = next(each for each in reversed(found.trials) if each.layers == found.kept)
    context.reporter.say(
        f"ablate: of the {part} stay layers {', '.join(map(str, found.kept))}: cross entropy "
        f"{best.cross_entropy:.3f} a token (all: {found.trials[0].cross_entropy:.3f})"
    )
    return found.kept


def _chosen(transcribed: Artifact, count: int) -> NDArray[np.int64]:
    """Utterances of validation whose transcripts are believed, taken evenly."""
    kept = np.array(TranscribeRecord.read(transcribed).kept["validation"], np.int64)
    if not len(kept):
        raise UserError(
            "ablate: no transcript of a validation utterance is believed, so nothing can be chosen "
            "by them",
            "look at `stages.transcribe.filter`, or give a teacher that knows the language",
        )
    places = np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)
    chosen: NDArray[np.int64] = kept[places]
    return chosen


def _lessons(
    inputs: dict[str, Artifact], folder: Path, model: Whisper, data: SpeechRecord,
    ids: NDArray[np.int64], seed: int,
) -> Lessons:  # fmt: skip
    vocabulary = read_vocabulary(folder, model.shape.vocabulary)
    rules = read_rules(generation(folder), vocabulary, data.language)
    return Lessons(
        split=open_utterances(inputs["speech"].path, "validation"),
        transcripts=open_transcripts(inputs["transcribe"].file("validation")),
        ids=ids, prompt=rules.prompt, seed=seed,
    )  # fmt: skip
