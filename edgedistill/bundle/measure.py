"""Measure the files of a bundle, or a model file on its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.apart import Apart
from edgedistill.artifact import JsonValue
from edgedistill.bundle.bundle import Bundle
from edgedistill.devices import DEVICES, Job, Protocol, figures, in_short, in_turn
from edgedistill.errors import UserError, reading
from edgedistill.records import ReportRecord, as_json, from_json
from edgedistill.runtimes import RUNTIMES, runtime_of, size_of
from edgedistill.scratch import scratch_folder

if TYPE_CHECKING:
    import numpy as np

    from edgedistill.signature import Inputs, TensorSpec
    from edgedistill.tasks import Task

_PATIENCE, _PER_MB = 4.0, 1.0
"""Seconds in which a model file must have come up, and have answered once; more for large ones."""
_NOISE_SAMPLES = 8
_LARGEST = 10**8
"""Values that an image may have."""


@dataclass(frozen=True)
class Subject:
    """A model file with what to feed it."""

    path: Path
    runtime: str
    precision: str | None
    inputs: dict[str, np.ndarray]
    """By name, each (samples, ...), pictures (samples, channels, height, width) in 0..1: golden
    inputs, or noise."""
    shipped: bool = True
    quality: float | None = None
    """On the test set, in percent, as the bundle's report has it."""
    task: Task | None = None
    """None of a model file alone."""

    @property
    def size_kb(self) -> float:
        """KB of 1,000 bytes."""
        return size_of(self.path) / 1000


def subjects(subject: Bundle | str | Path) -> list[Subject]:
    """Every file of a bundle, or one model file.

    Raises UserError: neither of the two, or not a model of images.
    """
    if isinstance(subject, Bundle):
        return _of_bundle(subject)
    path = Path(subject)
    if not path.exists():
        raise UserError(f"not found: {path}", "give a bundle or a model file")
    return [_of_file(path)] if path.is_file() else _of_bundle(Bundle.load(path))


def _of_bundle(bundle: Bundle) -> list[Subject]:
    report = from_json(ReportRecord, bundle.report)
    known = {row.file: row.quality for row in report.files}
    inputs, task = bundle.golden_inputs(), bundle.task
    return [
        Subject(
            bundle.path / entry["file"],
            entry["runtime"],
            entry["precision"],
            inputs,
            entry["file"] == bundle.manifest["shipped"],
            known.get(entry["file"]),
            task,
        )
        for entry in bundle.files
    ]


def _of_file(path: Path) -> Subject:
    import numpy as np

    runtime = runtime_of(path)
    with _opening_apart({runtime.name}) as apart:
        taken = apart.call(str(path), patience(path), _inputs_of, path)
    random = np.random.default_rng(0)
    return Subject(
        path, runtime.name, None, {each.name: _noise(path, each, random) for each in taken}
    )


def _noise(path: Path, spec: TensorSpec, random: np.random.Generator) -> np.ndarray:
    """Real values for an input. Raises UserError: it is of no size, or too large."""
    import numpy as np

    sizes = [size or 1 for size in spec.shape[1:]]
    if not 0 < math.prod(sizes) <= _LARGEST:
        raise UserError(
            f"{path}: its input {spec.name} has shape {spec.shape}", "give a model of a fixed size"
        )
    shape = [sizes[2], *sizes[:2]] if spec.layout == "NHWC" else sizes
    drawn = random.random((_NOISE_SAMPLES, *shape), dtype=np.float32)
    return drawn if spec.scale is not None else drawn.astype(spec.dtype)


def check_opens(bundle: Bundle, entries: list[dict[str, Any]]) -> None:
    """Open model files in another process, and run each once. Raises UserError: one ends it, or
    gives other values than the labels are of."""
    inputs = [values[:1] for values in bundle.golden_inputs().values()]
    with _opening_apart({entry["runtime"] for entry in entries}) as apart:
        for entry in entries:
            path = bundle.path / entry["file"]
            wait = patience(path)
            values = apart.call(str(path), wait, _answer, path, entry["runtime"], *inputs)
            if not bundle.task.by_texts:  # whose files give places in a space
                bundle.check_width(values)


def _opening_apart(runtimes: set[str]) -> Apart:
    """A process in which these are imported already."""
    apart = Apart("the file is damaged or of another kind; export it again")
    apart.call("importing the runtimes", None, _prepare, sorted(runtimes))
    return apart


def _prepare(runtimes: list[str]) -> None:
    for name in runtimes:
        RUNTIMES[name].prepare()


def patience(path: Path) -> float:
    """Seconds to wait for a model file that has to come up, or to answer once."""
    return _PATIENCE + _PER_MB * size_of(path) / 1e6


def _inputs_of(path: Path) -> Inputs:
    return runtime_of(path).load(path).signature.inputs


def _answer(path: Path, runtime: str, *inputs: np.ndarray) -> int:
    """How many values a file gives for a sample."""
    with reading(str(path), "the file does not take what the bundle says it does"):
        return int(RUNTIMES[runtime].load(path)(*inputs).shape[1])


def measure(
    found: list[Subject],
    protocol: Protocol,
    outputs: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> list[dict[str, JsonValue]]:
    """Rows as in `measurements.json`; with `outputs`, also the logits of the inputs. `say` is told
    of each round of each file as it ends."""
    import numpy as np

    device = DEVICES["local"]
    with scratch_folder() as folder:
        jobs = []
        for place, subject in enumerate(found):
            inputs = folder / f"{place}.npz"
            np.savez(inputs, **subject.inputs)  # type: ignore[arg-type]
            jobs.append(Job(subject.path, subject.runtime, inputs, protocol))
        records = in_turn(
            device,
            jobs,
            tick=lambda done, total, job, record: say(f"{done}/{total} {in_short(job, record)}"),
        )
    where = device.where()
    return [
        {
            "runtime": subject.runtime,
            "precision": subject.precision,
            "file": subject.path.name,
            "size_kb": subject.size_kb,
            **as_json(figures(record, protocol.threads, where)),
            **({"outputs": record.outputs} if outputs else {}),
        }
        for subject, record in zip(found, records, strict=True)
    ]
