"""A bundle's files explained to whoever writes an app: what to feed, what comes out, and golden
data in each file's own layout and numbers."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edgedistill.bundle.manifest import GOLDEN, BundledFile, Golden
from edgedistill.records import FileEntry, ListenRecord
from edgedistill.runtimes.native import to_native
from edgedistill.signature import TensorSpec
from edgedistill.tasks import TASKS

if TYPE_CHECKING:
    from edgedistill.recipe import VerifyConfig
    from edgedistill.runtimes import Floats

_AXES = {
    "NHWC": "(batch, height, width, channels)",
    "NCHW": "(batch, channels, height, width)",
    "NC": "(batch, values)",
    "": "(batch, then a sample's own axes)",
}
T = TypeVar("T", bound=Sized)
_LEAST = 1e-6
"""Of a tolerance, where all golden outputs are equal."""


def explained(entry: FileEntry, folder: Path, asked: VerifyConfig) -> BundledFile:
    """A file's entry in the manifest with `notes` on its input and output, and with `golden`, whose
    arrays are written below `folder`/golden: those there, in the file's own layout and numbers."""
    taken, values, name = entry.signature.inputs, entry.output, entry.file
    outputs = np.load(folder / GOLDEN / f"outputs_{name}.npy")
    place = f"{GOLDEN}/{name}"
    (folder / place).mkdir()
    fed = {spec.name: golden_name(spec.name, len(taken)) for spec in taken}
    for spec in taken:
        inputs = np.load(folder / GOLDEN / fed[spec.name].replace("input", "inputs", 1))
        np.save(folder / place / fed[spec.name], to_native(inputs, spec))
    np.save(folder / place / "output.npy", to_native(outputs, values))
    tolerance, share = tolerance_of(entry.runtime, entry.precision, outputs, values, asked)
    golden = Golden(
        input=f"{place}/{next(iter(fed.values()))}",
        inputs=_if_several({spec: f"{place}/{file}" for spec, file in fed.items()}),
        output=f"{place}/output.npy",
        tolerance=tolerance,
        share=share,
        notes=f"fed {', '.join(fed.values())}, {_in_turn(taken[0])}, the file gives "
        f"output.npy: a share of at least {share:g} of all values is no further off than "
        f"{tolerance:.3g}, in the numbers that the file gives",
    )
    words = {"input": "; then ".join(map(_input_words, taken)), "output": _output_words(values)}
    own = {name: getattr(entry, name) for name in BundledFile.model_fields if hasattr(entry, name)}
    return BundledFile(**own, inputs=_if_several(taken), notes=words, golden=golden)


def golden_name(name: str, count: int) -> str:
    """Of the file with what the input `name`, of so many, is fed."""
    return "input.npy" if count == 1 else f"input_{name}.npy"


def _if_several(each: T) -> T | None:
    return each if len(each) > 1 else None


_FED = {
    "pictures": "a photo is prepared as `preprocessing` says, and its bytes are then fed as the "
    "file's own notes say; nothing is to be subtracted or divided by beyond that",
    "sound": "a recording is mixed into one channel, resampled to `sound.rate`, cut to "
    "`sound.samples` as `sound.cut` says, with silence before it (`middle`: on both sides) where "
    "it is shorter, and fed as real values in -1..1, an int16 sample / 32768; nothing is to be "
    "computed of it beyond that",
    "arrays": "a sample's arrays are fed as the training data had them, in the files' order",
}


def notes(task: str, temperature: float, samples: str = "pictures") -> dict[str, str]:
    """What holds for every file of a bundle; samples: `pictures`, `sound` or other `arrays`."""
    reading = TASKS[task].reading(temperature)
    pictures = samples == "pictures"
    return {
        "numbers": "where a tensor has a scale, an app meets integers, and real = scale * "
        "(stored - zero_point); the other way, stored = round(real / scale) + zero_point, halves "
        "to even, cut to what its type holds",
        "input": _FED[samples],
        "output": reading,
        "labels": "value number i of an output belongs to number i of `labels`, from 0",
        "golden": "golden/inputs.npy and golden/outputs_FILE.npy hold the same images and answers "
        "for all files alike: float32, "
        + ("(batch, channels, height, width) in 0..1" if pictures else "as the training data")
        + ", and real values",
    }


def listening_notes(told: ListenRecord) -> str:
    """How an app listens to a stream."""
    rule, step_ms = told.rule, 1000 * told.hop / told.rate
    mean = (
        f"the mean of its last {rule.smoothing} probabilities, this one among them, zero before "
        "the first"
        if rule.smoothing > 1
        else "this probability"
    )
    return (
        f"sound is one channel at {told.rate} samples a second, real values in -1..1: an int16 "
        f"sample / 32768. States begin and are fed back as `programs` says. First feed "
        f"{told.lead_in} samples of zero, {told.hop} a step, and pass over the answers. From then "
        f"on feed each {told.hop} samples ({step_ms:g} ms) as they come: "
        f"softmax(real / {told.temperature:.6g}) of the output are the labels' probabilities. For "
        f"each keyword take {mean}; where that is above the keyword's threshold, and more than "
        f"{rule.refractory} steps came since the same keyword was last heard, it is heard, at the "
        "end of this step"
    )


def _in_turn(pixels: TensorSpec) -> str:
    return "one image at a time" if pixels.shape[0] == 1 else "in any batches"


def _input_words(pixels: TensorSpec) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in pixels.shape)
    told = f"{pixels.dtype} ({sizes}): {_AXES[pixels.layout]}, {_in_turn(pixels)}"
    if pixels.layout not in ("NHWC", "NCHW"):
        return f"{told}; {_formula(pixels) if pixels.scale is not None else 'real values'}"
    if pixels.scale is None:
        return f"{told}; real values in 0..1: feed byte / 255 of an 8-bit photo"
    return f"{told}; {_formula(pixels)}, real values in 0..1: feed {_bytes_to_stored(pixels)}"


def _bytes_to_stored(pixels: TensorSpec) -> str:
    scale, zero = pixels.scale or 1.0, pixels.zero_point or 0
    # A byte is its own step where the scale is 1/255.
    if abs(255 * scale - 1) < 1e-6 and pixels.dtype in ("int8", "uint8"):
        shift = f"byte - {-zero}" if zero < 0 else f"byte + {zero}" if zero else "the bytes"
        return f"{shift} as {pixels.dtype} of an 8-bit photo"
    limits = np.iinfo(pixels.dtype)
    return (
        f"round(byte / 255 / {scale:.9g}) + {zero} of an 8-bit photo, cut to "
        f"{limits.min}..{limits.max}, as {pixels.dtype}"
    )


def _output_words(values: TensorSpec) -> str:
    told = f"{values.dtype}: {_AXES[values.layout]}, in the order of `labels`"
    return f"{told}; {_formula(values)}" if values.scale is not None else f"{told}; real values"


def _formula(each: TensorSpec) -> str:
    zero = each.zero_point or 0
    shift = f"+ {-zero}" if zero < 0 else f"- {zero}"
    return f"real = {each.scale:.9g} * (stored {shift})"


def tolerance_of(
    runtime: str, precision: str, outputs: Floats, values: TensorSpec, asked: VerifyConfig
) -> tuple[float, float]:
    """How far an app's outputs may lie from the golden ones, in the file's own numbers, and for
    what share of them: as `verify` asks of other kernels than the graph's."""
    extent = max(_LEAST, float(np.ptp(outputs)))
    if precision == "int8":
        share = asked.within_step_litert if runtime == "litert" else asked.within_step
        return (1.0 if values.scale is not None else asked.half_tolerance * extent), share
    limit = asked.float_tolerance if precision == "fp32" else asked.half_tolerance
    return limit * extent, 1.0
