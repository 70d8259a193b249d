"""Train a recognizer that lost some of its layers on what its teacher said."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import Artifact, JsonObject, read_json, write_json
from edgedistill.data.speech.utterances import open_utterances
from edgedistill.distill.speech.ablation import Part, tried
from edgedistill.distill.speech.learning import Distilled, Lessons, renumbered, sayable
from edgedistill.distill.speech.narrow import Width, narrow_decoder, narrow_encoder
from edgedistill.distill.speech.states import heard
from edgedistill.distill.speech.student import load_weights, save_weights
from edgedistill.distill.speech.transcripts import open_transcripts
from edgedistill.errors import UserError
from edgedistill.models import device_of
from edgedistill.models.whisper.folder import Kept, find, generation, open_whisper, shape_of
from edgedistill.models.whisper.network import Shape, Whisper
from edgedistill.recipe.transcription import SpeechTraining
from edgedistill.records import as_json, from_json
from edgedistill.records.recognition import (
    AblateRecord,
    LayerTrial,
    StudentRecord,
    TranscribeRecord,
)
from edgedistill.records.recognizer import VOCABULARY, Rules
from edgedistill.records.speech import SpeechRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.train import train
from edgedistill.transcribing.rules import read_rules
from edgedistill.transcribing.vocabulary import Vocabulary, read_vocabulary

_BATCH, _JUDGED = 8, 64


class Config(Frozen):
    """What the student depends on."""

    name: Path | str
    """Of the teacher."""
    fingerprint: str
    vocabulary: Literal["whole", "ascii", "data"]
    tokens: int
    heads: dict[Part, int | None]
    """Of each attention, that stay; None for all."""
    ffn: dict[Part, float]
    """Share of the channels of feed-forward layers that stay."""
    train: SpeechTraining | None

    def narrows(self, part: Part) -> bool:
        """Whether something of a part's layers goes."""
        return self.ffn[part] < 1 or self.heads[part] is not None

    def width(self, part: Part, shape: Shape) -> Width:
        """Of the part's layers then."""
        heads, inner = getattr(shape, f"{part}_heads"), getattr(shape, f"{part}_inner")
        return Width(min(self.heads[part] or heads, heads), max(1, round(self.ffn[part] * inner)))

    @property
    def learns(self) -> bool:
        """Whether training utterances are heard."""
        return self.train is not None or self.narrows("encoder") or self.narrows("decoder")


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the student's weights, its tokens, and `student.json`."""
    import torch

    data = SpeechRecord.read(inputs["speech"])
    folder, layers = find(str(config.name)), AblateRecord.read(inputs["ablate"])
    count = shape_of(folder).vocabulary
    whole = read_vocabulary(folder, count)
    rules = read_rules(generation(folder), whole, data.language, limit=config.tokens)
    tokens = _kept_tokens(config.vocabulary, whole, rules, inputs["transcribe"])
    coverage = _coverage(inputs, tokens, count)
    context.reporter.say(
        f"distill: {coverage:.1f} % of the teacher's transcripts can be said"
        + _lacking(inputs, tokens, whole)
    )
    torch.manual_seed(context.seed)
    model = open_whisper(
        folder,
        Kept(layers.encoder, layers.decoder, data.window / data.rate, config.tokens, tokens),
    )
    whole_encoder = layers.encoder == tuple(range(shape_of(folder).encoder_layers))
    names = ("train", "validation") if config.learns else ("validation",)
    learned = {
        name: _lessons(inputs, name, tokens, count, rules, config.tokens, context.seed)
        for name in names
    }
    lost = {}
    if config.narrows("encoder"):
        width, tick = config.width("encoder", model.shape), _tick(context, "encoder")
        lost["encoder"] = narrow_encoder(model, width, learned["train"], tick)
    if config.train is not None and not config.train.encoder:
        theirs = whole_encoder and not config.narrows("encoder")
        learned = {
            name: replace(each, states=_states(model, each, name, theirs, inputs, context))
            for name, each in learned.items()
        }
    if config.narrows("decoder"):
        width, tick = config.width("decoder", model.shape), _tick(context, "decoder")
        lost["decoder"] = narrow_decoder(model, width, learned["train"], tick)
    before = after = _judged(model, learned["validation"])
    trained: dict[str, float] = {}
    if config.train is not None:
        best = Best(model, learned["validation"], context.checkpoints / "best", before)
        trained = _trained(model, learned["train"], config.train, context, best.look)
        after = best.restore()
    context.reporter.say(
        f"distill: cross entropy {before.cross_entropy:.3f} a token before, "
        f"{after.cross_entropy:.3f} after"
    )
    save_weights(model, context.scratch)
    kept = whole if tokens is None else whole.trimmed(tokens)
    kept.write(context.scratch / VOCABULARY)
    limited = rules if tokens is None else rules.trimmed(tokens)
    sizes = {name: size for name, size in asdict(model.shape).items() if size is not None}
    StudentRecord(
        sizes=sizes, encoder=layers.encoder, decoder=layers.decoder,
        kept_tokens=None if tokens is None else tuple(tokens), coverage=coverage,
        narrowed=lost, before=before, after=after, rules=limited,
    ).write(context.scratch)  # fmt: skip
    return {**trained, "cross_entropy": after.cross_entropy, "accuracy": after.accuracy}


def _trained(
    model: Whisper, lessons: Lessons, settings: SpeechTraining, context: Context,
    look: Callable[[], None],
) -> dict[str, float]:  # fmt: skip
    """Train in place, with a look at the model after each epoch; what `train` tells of it."""
    objective = Distilled(
        model, settings.soft, settings.hard, settings.temperature,
        settings.precision == "bf16", settings.encoder,
    )  # fmt: skip
    told = train(
        objective, lessons, settings,
        checkpoint=context.checkpoints / "training.safetensors",
        tick=lambda done, total, note: context.reporter.tick("distill", done, total, note),
        deterministic=context.deterministic, on_epoch=lambda _: look(),
    )  # fmt: skip
    if settings.ema:  # the average is seen at the end alone
        look()
    return told


class Best:
    """The weights of the lowest cross entropy on validation, from before training on. They are kept
    in a folder, so that an interrupted run finds them."""

    def __init__(
        self, model: Whisper, validation: Lessons, folder: Path, before: LayerTrial
    ) -> None:
        self._model, self._validation, self._folder = model, validation, folder
        self._record = folder / "best.json"
        folder.mkdir(exist_ok=True)
        if not self._record.exists():
            self._keep(before)

    def look(self) -> None:
        """Judge the model as it is now."""
        found = _judged(self._model, self._validation)
        if found.cross_entropy < self._best.cross_entropy:
            self._keep(found)

    def restore(self) -> LayerTrial:
        """Give the model the best weights; how they were judged."""
        self._model.load_state_dict(load_weights(self._folder))
        self._model.eval()
        return self._best

    @property
    def _best(self) -> LayerTrial:
        return from_json(LayerTrial, read_json(self._record))

    def _keep(self, found: LayerTrial) -> None:
        save_weights(self._model, self._folder)
        write_json(self._record, as_json(found))


def _kept_tokens(
    wanted: str, whole: Vocabulary, rules: Rules, transcribed: Artifact
) -> list[int] | None:
    if wanted == "whole":
        return None
    if wanted == "ascii":
        return whole.ascii()
    splits = (open_transcripts(transcribed.file(name)).tokens for name in ("train", "validation"))
    said = np.unique(np.concatenate([*splits, [*rules.prompt, rules.end]]))
    named = set(whole.named.values())
    return sorted({*said.tolist(), *(token for token in named if not whole.pieces[token])})


def _lessons(
    inputs: dict[str, Artifact], name: str, tokens: Sequence[int] | None, count: int, rules: Rules,
    limit: int, seed: int,
) -> Lessons:  # fmt: skip
    """Raises UserError: nothing is left to learn from."""
    transcripts = open_transcripts(inputs["transcribe"].file(name))
    if tokens is not None:
        transcripts, rules = renumbered(transcripts, tokens, count), rules.trimmed(tokens)
    kept = np.array(TranscribeRecord.read(inputs["transcribe"]).kept[name], np.int64)
    lengths = np.diff(transcripts.offsets)
    fit = sayable(transcripts) & (lengths + len(rules.prompt) <= limit)
    ids: NDArray[np.int64] = kept[fit[kept]]
    if not len(ids):
        raise UserError(
            f"distill: no transcript of {name} is left to learn from: of {len(lengths)} the filter "
            f"keeps {len(kept)}, and none of these can be said whole",
            "look at `stages.transcribe.filter`, `student.vocabulary` and `student.tokens`",
        )
    split = open_utterances(inputs["speech"].path, name)
    return Lessons(split, transcripts, ids, rules.prompt, seed)


def _states(
    model: Whisper, lessons: Lessons, name: str, theirs: bool, inputs: dict[str, Artifact],
    context: Context,
) -> NDArray[np.float16]:  # fmt: skip
    """What an encoder that stays as it is makes of a split; theirs: whether it is the teacher's,
    whose states may have been kept."""
    kept = inputs["transcribe"].file(name) / "states.npy"
    if theirs and kept.exists():
        states: NDArray[np.float16] = np.load(kept, mmap_mode="r", allow_pickle=False)
        return states
    precision = TranscribeRecord.read(inputs["transcribe"]).precision
    tick = functools.partial(context.reporter.tick, f"encoder's states, {name}")
    place = context.checkpoints / f"{name}-states.npy"
    return heard(model, lessons, place, precision, lambda done, all_: tick(done, all_, ""))


def _tick(context: Context, part: str) -> Callable[[int, int], None]:
    return lambda done, all_: context.reporter.tick(f"narrow, {part}", done, all_, "")


def _coverage(inputs: dict[str, Artifact], tokens: Sequence[int] | None, count: int) -> float:
    """Percent of the validation transcripts."""
    found = open_transcripts(inputs["transcribe"].file("validation"))
    if tokens is None:
        return 100.0
    return 100.0 * float(sayable(renumbered(found, tokens, count)).mean())


def _lacking(inputs: dict[str, Artifact], tokens: Sequence[int] | None, whole: Vocabulary) -> str:
    """Which of what the teacher says of validation cannot be said most often, in words."""
    said = open_transcripts(inputs["transcribe"].file("validation")).tokens
    found = Counter(said[~np.isin(said, said if tokens is None else tokens)].tolist())
    if not found:
        return ""
    most = [f"`{whole.pieces[each].decode(errors='replace')}`" for each, _ in found.most_common(5)]
    return (
        f"; {sum(found.values())} of {len(said)} tokens are not kept, most often {', '.join(most)}"
    )


def _judged(model: Whisper, lessons: Lessons) -> LayerTrial:
    """On some of the utterances, taken evenly."""
    most = min(_JUDGED, len(lessons.ids))
    ids = lessons.ids[np.linspace(0, len(lessons.ids) - 1, most).round().astype(int)]
    order = [ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH)]
    layers, device = tuple(range(len(model.decoder.layers))), device_of(model)
    found = tried(model, "decoder", layers, lambda: lessons.batches(order, 0, device))
    return LayerTrial(**vars(found))
