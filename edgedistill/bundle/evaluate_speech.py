"""Error rates of a recognizer's files on any recordings with transcripts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.apart import Apart
from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.evaluate import Samples
from edgedistill.bundle.measure import patience
from edgedistill.bundle.speech import Pair, chosen, pairs
from edgedistill.errors import UserError, reading
from edgedistill.recipe import TranscriptionRecipe, load_recipe
from edgedistill.recipe.speech import Speech
from edgedistill.scratch import scratch_folder

if TYPE_CHECKING:
    from edgedistill.data.speech.utterances import Utterances
    from edgedistill.progress import Reporter

_DATA = (
    "give --data: a folder, a .parquet file or a .jsonl manifest with transcripts, or your recipe"
)


def error_rates(
    bundle: Bundle, data: Samples | None, runtime: str | None, precision: str | None,
    device: str | None, most: int | None, reporter: Reporter,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows {file, runtime, precision, wer, wer_low, wer_high, cer, utterances, words, seconds,
    real_time_factor, left_out, notes} of the files of a runtime or precision, by default of all;
    rates in percent with a 95 % interval. See `edgedistill.evaluate`."""
    from edgedistill.data.speech.prepare import read_utterances

    if device not in (None, "local"):
        raise UserError(
            f"--device {device}: a recognizer is judged on this machine alone",
            "leave `--device` out; the files of the bundle run on the device as they are",
        )
    places, speech = _places(bundle, data)
    chosen(bundle, runtime, precision)  # raises where there is none
    wanted = [
        pair for pair in pairs(bundle)
        if runtime in (None, pair[0].runtime) and precision in (None, pair[0].precision)
    ]  # fmt: skip
    for pair in wanted:
        _check_hears(bundle, pair)
    with scratch_folder() as folder:
        split, notes = read_utterances(places, speech, folder, reporter)
        known = [at for at, text in enumerate(split.texts) if text is not None]
        if not known:
            raise UserError(
                f"{places[0]}: no recording has a transcript: no error rate can be told",
                "give some; `data.text` of a recipe names their column or key",
            )
        if most is not None and most < len(known):
            known = [known[place * len(known) // most] for place in range(most)]
        left_out = len(split) - len(known) if most is None else 0
        return [
            _judged(bundle, pair, split, known, reporter)
            | {"left_out": left_out, "notes": list(notes)}
            for pair in wanted
        ]


def _places(bundle: Bundle, data: Samples | None) -> tuple[tuple[Path, ...], Speech]:
    """Where recordings lie, and how they are read."""
    if not isinstance(data, str | Path):
        raise UserError(f"{bundle.path}: which recordings?", _DATA)
    path, told = Path(data), bundle.recognizer
    if path.suffix not in (".yaml", ".yml"):
        seconds = min(30.0, max(1.0, told.window / told.rate))
        with reading(f"{bundle.path}: its language", "compile the bundle again"):
            return (path,), Speech(train=(path,), language=told.language, seconds=seconds)
    recipe = load_recipe(path)
    if not isinstance(recipe, TranscriptionRecipe) or recipe.data.test is None:
        raise UserError(f"{path}: is no recipe of a recognizer that names a test set", _DATA)
    return recipe.data.test, recipe.data


def _judged(
    bundle: Bundle, pair: Pair, split: Utterances, ids: list[int], reporter: Reporter
) -> dict[str, Any]:
    from edgedistill.transcripts.normalize import normalizer
    from edgedistill.transcripts.rates import error_rate

    encode, _ = pair
    texts, begin = [], time.perf_counter()
    for done, at in enumerate(ids):
        sound = split.audio[slice(*split.offsets[at : at + 2])]
        texts.append(bundle.transcribe(sound, encode.runtime, encode.precision).text)
        reporter.tick(f"{encode.runtime}, {encode.precision}", done + 1, len(ids))
    seconds = time.perf_counter() - begin
    # A bundle carries no table of its teacher's of British spellings.
    rate = error_rate([split.texts[at] for at in ids], texts,
                      normalizer(bundle.recognizer.language), seed=0)  # fmt: skip
    if rate is None:
        raise UserError("no word is said in these recordings: no error rate can be told", _DATA)
    length = float(split.seconds[ids].sum())
    return {
        "file": encode.file, "runtime": encode.runtime, "precision": encode.precision,
        "wer": rate.words, "wer_low": rate.words_interval[0], "wer_high": rate.words_interval[1],
        "cer": rate.characters, "utterances": rate.utterances, "words": rate.reference_words,
        "seconds": length, "real_time_factor": seconds / length,
    }  # fmt: skip


def _check_hears(bundle: Bundle, pair: Pair) -> None:
    """Open both programs in another process, and run each once. Raises UserError: one ends it."""
    told = bundle.recognizer
    paths = [bundle.path / each.file for each in pair]
    with Apart("the file is damaged or of another kind; compile the bundle again") as apart:
        apart.call("importing the runtime", None, _prepare, pair[0].runtime)
        wait = sum(map(patience, paths))
        apart.call(str(paths[0]), wait, _hear, pair[0].runtime, *paths, told.window,
                   told.rules.prompt[0])  # fmt: skip


def _prepare(runtime: str) -> None:
    from edgedistill.runtimes import RUNTIMES

    RUNTIMES[runtime].prepare()


def _hear(runtime: str, encode: Path, step: Path, window: int, token: int) -> None:
    import numpy as np

    from edgedistill.runtimes import RUNTIMES
    from edgedistill.transcribing.recognizers import InRuntime

    with reading(str(encode), "the file does not take what the bundle says it does"):
        loaded = [
            RUNTIMES[runtime].load(path, program=program)
            for path, program in ((encode, "encode"), (step, "decode_step"))
        ]
        recognizer = InRuntime(*loaded)
        recognizer.hear(np.zeros(window, np.float32))
        recognizer.step(token, 0)
