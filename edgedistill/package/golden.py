"""Golden data as an app's self-test reads it: raw arrays in a file's own numbers, and sounds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.bundle.explain import tolerance_of
from edgedistill.errors import UserError, reading
from edgedistill.package.app import (
    GOLDEN,
    INT8_EDITS,
    AppArray,
    AppFile,
    AppGolden,
    AppRun,
    AppSpoken,
    AppUtterance,
)
from edgedistill.recipe import VerifyConfig
from edgedistill.runtimes.native import to_native
from edgedistill.transcribing.golden import write_wav

if TYPE_CHECKING:
    from edgedistill.bundle import Bundle
    from edgedistill.data.sound.decode import Samples
    from edgedistill.runtimes import Array

Files = dict[str, bytes]
"""What is to be written, by its name within the package's data."""
_AGAIN = "compile the bundle again"
_TRIES = 3


def of_main(bundle: Bundle, entry: dict[str, Any]) -> tuple[AppGolden, Files]:
    """Of a file of the bundle. Raises UserError: a bundle of the first kind, which has none."""
    told = entry.get("golden")
    if told is None:
        raise UserError(f"{bundle.path}: carries no golden data of {entry['file']}", _AGAIN)
    ends = (("input", entry["input"], told["input"]), ("output", entry["output"], told["output"]))
    arrays, files = [], {}
    for end, spec, name in ends:
        values = _loaded(bundle, name)
        array, content = _raw(spec["name"], f"{GOLDEN}/{end}.bin", values)
        arrays.append(array)
        files[array.file] = content
    run = AppGolden(
        samples=arrays[0].shape[0], inputs=(arrays[0],), outputs=(arrays[1],),
        tolerance=told["tolerance"], share=told["share"],
    )  # fmt: skip
    return run, files


def of_steps(bundle: Bundle, entry: dict[str, Any], file: AppFile) -> tuple[AppRun, Files]:
    """Of a program of the bundle that keeps a state: what is fed beside it, and the answers."""
    fed, given = (_columns(bundle, entry[key]) for key in ("golden", "golden_outputs"))
    fresh = [each for each in file.inputs if each.name not in file.state.values()]
    answers = [each for each in file.outputs if each.name not in file.state]
    files: Files = {}
    ends: list[tuple[AppArray, ...]] = []
    for end, specs, columns in (("input", fresh, fed), ("output", answers, given)):
        arrays = []
        for spec in specs:
            place = f"{GOLDEN}/step_{end}_{spec.name}.bin"
            array, files[place] = _raw(spec.name, place, to_native(columns[spec.name], spec))
            arrays.append(array)
        ends.append(tuple(arrays))
    recipe = bundle.manifest["recipe"].get("stages") or {}
    asked = VerifyConfig.model_validate(recipe.get("verify") or {})
    outputs = given[answers[0].name].astype(np.float32)
    tolerance, share = tolerance_of(
        entry["runtime"], entry["precision"], outputs, answers[0], asked
    )
    run = AppRun(
        samples=ends[0][0].shape[0], inputs=ends[0], outputs=ends[1], tolerance=tolerance,
        share=share,
    )  # fmt: skip
    return run, files


def _raw(name: str, place: str, values: Array) -> tuple[AppArray, bytes]:
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    told = AppArray(name=name, file=place, dtype=values.dtype.name, shape=values.shape)
    return told, little.tobytes()


def _loaded(bundle: Bundle, name: str) -> Array:
    with reading(str(bundle.path / name), _AGAIN):
        found: Array = np.load(bundle.path / name, allow_pickle=False)
    return found


def _columns(bundle: Bundle, name: str) -> dict[str, Any]:
    with (
        reading(str(bundle.path / name), _AGAIN),
        np.load(bundle.path / name, allow_pickle=False) as found,
    ):
        return {key: found[key] for key in found.files}


def of_speech(bundle: Bundle, runtime: str, precision: str) -> tuple[AppSpoken, Files]:
    """Utterances that the bundle carries; of one that has none, sounds that are made up, with what
    its files make of them now."""
    told = bundle.recognizer
    edits = INT8_EDITS if precision == "int8" else 0.0
    carried = [
        AppUtterance(file=each.file, tokens=said.tokens, text=bundle.tokens.text(said.tokens))
        for each in told.golden
        for said in each.said
        if (said.runtime, said.precision) == (runtime, precision)
    ]
    if carried:
        files = {each.file: (bundle.path / each.file).read_bytes() for each in carried}
        return AppSpoken(utterances=tuple(carried), made_up=False, edits=edits), files
    for seed in range(_TRIES):  # one in which something is heard
        sound = _made_up(told.window, told.rate, seed)
        found = bundle.transcribe(sound, runtime, precision)
        if found.text:
            break
    name = f"{GOLDEN}/0.wav"
    tokens = tuple(token for each in found.segments for token in each.tokens)
    utterance = AppUtterance(file=name, tokens=tokens, text=found.text)
    spoken = AppSpoken(utterances=(utterance,), made_up=True, edits=edits)
    return spoken, {name: _wav(sound, told.rate)}


def _made_up(length: int, rate: int, seed: int) -> Samples:
    """(samples,) int16: a voice-like sound that rises and falls, in a little noise."""
    at = np.arange(length) / rate
    pitch = 2 * np.pi * np.cumsum(140 + 30 * seed + 40 * np.sin(2 * np.pi * 0.7 * at)) / rate
    voice = sum(np.sin(part * pitch) / part for part in range(1, 12))
    loud = np.clip(np.sin(2 * np.pi * 2.5 * at), 0, 1)
    noise = np.random.default_rng(seed).normal(size=length)
    return np.rint(6000 * (loud * voice + 0.02 * noise)).clip(-32768, 32767).astype(np.int16)


def _wav(samples: Samples, rate: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "0.wav")
        write_wav(path, samples, rate)
        return path.read_bytes()
