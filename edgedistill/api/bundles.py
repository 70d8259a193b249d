"""What a bundle or a model file is worth: judged, measured, audited, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.artifact import JsonValue
from edgedistill.bundle import Bundle
from edgedistill.bundle.audit import DriftReport, drift_of_counters
from edgedistill.bundle.audit import audit as audit_of
from edgedistill.bundle.audit import drift as drift_of
from edgedistill.bundle.compare import side_by_side
from edgedistill.bundle.evaluate import Samples, qualities
from edgedistill.bundle.evaluate_speech import error_rates
from edgedistill.bundle.measure import Subject, measure, subjects
from edgedistill.bundle.measure_speech import check_measurable, recognizer_times
from edgedistill.devices import PROTOCOLS, Device, Protocol, open_device
from edgedistill.devices.benchmark_model import found as found_program
from edgedistill.errors import UserError, nearest
from edgedistill.progress import Log

if TYPE_CHECKING:
    from edgedistill.progress import Reporter


def evaluate(
    bundle: Bundle | str | Path,
    data: Samples | None = None,
    runtime: str | None = None,
    precision: str | None = None,
    device: str | None = None,
    images: int | None = None,
    reporter: Reporter | None = None,
) -> list[dict[str, Any]]:
    """Quality of a bundle's files, the task's metric in percent (a classifier's accuracy): of all,
    or of a runtime or precision; on this machine, or on a `device` that runs them, which brings
    back every answer; of all samples or of `images` of them, taken evenly.

    `data`: a folder of class folders, a `.parquet` or `.npz` file, of sound a `.jsonl` manifest, a
    recipe or the mapping of a recipe's `data` (their test set), or a pair (samples, labels). There
    is no default: what a bundle says of its own test set is told, and not opened. Of a folder, what
    cannot be read is left out: each row has the number, `left_out`, and sentences on it, `notes`.

    Of a recognizer of speech the word and character error rate; `data`: recordings with
    transcripts, as a recipe's `data.test` names them, or a recipe.

    Raises UserError: unreadable data, labels that the bundle does not know, or a file that does
    not open.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    if bundle.transcribes:
        return error_rates(bundle, data, runtime, precision, device, images, reporter or Log())
    bundle.file(runtime, precision)  # raises where there is none
    wanted = {"runtime": runtime, "precision": precision}
    entries = [
        entry
        for entry in bundle.files
        if all(value in (None, entry[key]) for key, value in wanted.items())
    ]
    opened = open_device(device) if device else None
    say = reporter.say if reporter else lambda text: None
    return qualities(bundle, entries, data, opened, images, say)


def benchmark(
    subject: Bundle | str | Path,
    threads: int = 1,
    runs: int | None = None,
    seconds: float | None = None,
    warmup: int | None = None,
    reporter: Reporter | None = None,
    device: str | Sequence[str] = "local",
    protocol: str = "quick",
    benchmark_model: str | Path | None = None,
    accelerator: str = "xnnpack",
) -> list[dict[str, JsonValue]]:
    """Measure every file of a bundle, or one model file, on a device (`local`, `adb`, `ssh:HOST`,
    `emulator:CPU`, `browser`) or on several: rows as in `measurements.json`. Files are taken in
    turn, each round of each in a fresh process; `reporter` is told of each. `runs`, `seconds` and
    `warmup` change what `protocol` (`quick`, `mlperf` or `sustained`) asks for.

    benchmark_model: the path of LiteRT's own program, built for the devices, which measures every
    .tflite file too and is asked for the `accelerator` (`xnnpack` or `gpu`): a row of what it told
    follows each one's own, and says `by`.

    Raises UserError: neither a bundle nor a model file, or a device or runtime that is not there;
    `benchmark_model` is no such program, does not run there, or there is no .tflite file.

    Of a recognizer of speech, on this machine alone: a window of noise, and as many tokens as
    speech of that length has, by each pair of files in turn; rows as in `speech_times.json`.
    """
    asked = _protocol(protocol, threads, runs, seconds, warmup)
    names = [device] if isinstance(device, str) else list(device)
    if not isinstance(subject, Bundle) and Path(subject).is_dir():
        subject = Bundle.load(subject)
    if isinstance(subject, Bundle) and subject.transcribes:
        plain = protocol == "quick" and (runs, seconds, warmup, benchmark_model) == (None,) * 4
        check_measurable(subject, names, plain)
        return recognizer_times(subject, threads, reporter.say if reporter else lambda text: None)
    devices = [open_device(name) for name in names]
    found = subjects(subject)
    by = found_program(Path(benchmark_model), accelerator) if benchmark_model else None
    if by:
        _check_program_has_work(devices, found)
    say = reporter.say if reporter else lambda text: None
    return [row for each in devices for row in measure(found, asked, each, say=say, by=by)]


def _check_program_has_work(devices: Sequence[Device], found: Sequence[Subject]) -> None:
    for each in devices:
        if not each.runs_programs:
            raise UserError(
                f"{each.name} cannot measure by benchmark_model",
                "name `local`, `adb` or `ssh:HOST`, or leave `--benchmark-model` out",
            )
    if not any(each.runtime == "litert" for each in found):
        raise UserError(
            "none of these files is a .tflite file, and benchmark_model takes no other",
            "give one, or a bundle for a target that has them, or leave `--benchmark-model` out",
        )


def _protocol(
    name: str, threads: int, runs: int | None, seconds: float | None, warmup: int | None
) -> Protocol:
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol `{name[:80]}`", nearest(name[:80], list(PROTOCOLS)))
    wanted = {"threads": threads, "runs": runs, "seconds": seconds, "warmup": warmup}
    given: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    return replace(PROTOCOLS[name], **given)


def audit(bundle: Bundle | str | Path, data: Samples | None = None) -> dict[str, Any]:
    """What a bundle's student does beyond its accuracy: classes it fails, errors it copied, how
    sure it is, bad samples, routing; as the compile found it, or for labelled samples as `evaluate`
    takes them, of the file that ships. Of a recognizer of speech, as its compile found it: by
    length and speaker, words made up, errors copied.

    Raises UserError: unreadable data, or labels that the bundle does not know.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    return audit_of(bundle, data)


def drift(
    bundle: Bundle | str | Path,
    data: str | Path | None = None,
    counters: Sequence[str | Path] = (),
) -> DriftReport:
    """Whether the images or recordings below the folder `data` still look like those the bundle was
    compiled with: {verdict: stable, shifted or drifted; psi_classes; psi_confidence; note;
    left_out; ...}. What cannot be read is left out, and told of in `notes`. Or whether what apps
    answered does, of files that their packages' `counters` wrote.

    Raises UserError: neither or both given; nothing there, or too few to tell; counters of another
    model.
    """
    if (data is None) == (not counters):
        raise UserError(
            "drift is told of a folder or of counters",
            "give `--data FOLDER`, or files that a package's counters wrote",
        )
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    if data is None:
        return drift_of_counters(bundle, [Path(each) for each in counters])
    return drift_of(bundle, Path(data))


def compare(
    a: Bundle | str | Path, b: Bundle | str | Path, threads: int = 1, runs: int = 200
) -> list[dict[str, JsonValue]]:
    """Two bundles (the file each ships) or model files side by side: rows {figure, unit, a, b,
    where}. Latency and memory are measured now, in turn; parity is of b's outputs against a's on
    a's golden inputs; quality is what each bundle's own report says. None where unknown.

    Raises UserError: neither a bundle nor a model file.
    """
    return side_by_side(a, b, Protocol(threads=threads, runs=runs))
