"""The Python API: what the command line does, as functions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from edgedistill.bundle.hand_over import hand_over
from edgedistill.bundle.measure import Subject, measure, subjects
from edgedistill.bundle.measure_speech import check_measurable, recognizer_times
from edgedistill.bundle.write import check_place
from edgedistill.devices import PROTOCOLS, Device, Protocol, open_device
from edgedistill.devices.benchmark_model import found as found_program
from edgedistill.errors import UserError, nearest
from edgedistill.families.endpoint import WHOLE
from edgedistill.package import package
from edgedistill.recipe import AnyRecipe, Recipe, load_recipe, of_labels, parse_recipe
from edgedistill.records import StudyRecord
from edgedistill.target import Target, check_names, load_target

if TYPE_CHECKING:
    from edgedistill.costs import Prices
    from edgedistill.progress import Reporter


__all__ = [
    "audit", "benchmark", "compare", "compile", "default_recipe", "drift", "evaluate", "package",
    "read_recipe", "search", "teach",
]  # fmt: skip


class _Log:
    """A reporter that writes to the log `edgedistill`."""

    def say(self, text: str) -> None:
        logging.getLogger("edgedistill").info(text)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        pass


def default_recipe() -> Path:
    """The recipe that needs no download: scikit-learn's digits."""
    here = Path(__file__).parent
    folder = here / "examples" if (here / "examples").is_dir() else here.parent / "examples"
    return folder / "digits.yaml"


def read_recipe(
    recipe: str | Path | Mapping[str, Any] | AnyRecipe | None, set: Sequence[str] = ()
) -> AnyRecipe:
    """A recipe from a path, a mapping, or None for the embedded digits; `set` holds overrides such
    as `stages.distill.epochs=3`. Raises UserError that lists every mistake."""
    if isinstance(recipe, AnyRecipe):
        # What was left out stays so: of speech, a column that is named has to be there.
        whole = recipe.model_dump(mode="json", context=WHOLE, exclude_unset=True)
        return parse_recipe(whole, "recipe", set) if set else recipe
    if isinstance(recipe, Mapping):
        return parse_recipe(dict(recipe), "recipe", set)
    return load_recipe(Path(recipe) if recipe is not None else default_recipe(), set)


def compile(
    recipe: str | Path | Mapping[str, Any] | AnyRecipe | None = None,
    target: str | Target | Sequence[str | Target] = "android-arm64",
    out: str | Path | None = None,
    cache: str | Path | None = None,
    set: Sequence[str] = (),
    reporter: Reporter | None = None,
    device: str | None = None,
) -> Bundle | list[Bundle]:
    """Compile a recipe for a target into the bundle folder `out` (by default
    `./RECIPE-TARGET`); for several targets, one folder for each in `out`, and a list. Each is
    written when its target is done. `device`: where to measure the files too (`adb`, `ssh:HOST`,
    `browser`, ...), to hold the contract against; by default on the target's own if that is there.

    A contract that is missed does not raise: see `Bundle.ok`. Raises UserError: whatever the user
    can mend, before or while compiling.
    """
    from edgedistill.cache import Cache, default_root
    from edgedistill.pipeline import run

    wanted = read_recipe(recipe, set)
    one = isinstance(target, str | Target)
    named = [target] if isinstance(target, str | Target) else target
    targets = [load_target(each) if isinstance(each, str) else each for each in named]
    check_names(targets)
    places = [_place(out, wanted, each, not one) for each in targets]
    for place in places:
        check_place(place)
    reporter = reporter or _Log()
    store = Cache(Path(cache) if cache else default_root(), reporter.say)
    bundles = []
    for result, place in zip(run(wanted, targets, store, reporter, device), places, strict=True):
        bundles.append(hand_over(result, place))
        if not one:
            reporter.say(f"{result.target.name}: its bundle is in {place}")
    return bundles[0] if one else bundles


@dataclass(frozen=True)
class Searched:
    """What `search` found."""

    path: Path
    """Its folder, with search.json, search.html and recipe.yaml."""
    record: StudyRecord
    bundle: Bundle | None
    """The best, compiled in full, in `path / "best"`; None where that was not wanted."""


def search(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    target: str | Target = "android-arm64",
    budget: str = "30m",
    vary: Sequence[str] = (),
    out: str | Path | None = None,
    compile_best: bool = True,
    set: Sequence[str] = (),
    cache: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Searched:
    """Try a recipe with other values, short trials first, for as long as `budget` (`30m`) says;
    then compile what is best on validation and costs no more than the contract allows. Cost is the
    device's own where the target's is there, else multiply-accumulates. An interrupted search goes
    on where it is called again.

    vary: `student.depth=8,14,20` or `stages.distill.learning_rate=0.02..0.3`; none: what is usual
    for the recipe. out: by default `./RECIPE-TARGET-search`.

    Raises UserError: what is asked for cannot be done, or the recipe's own values fail.
    """
    from edgedistill.cache import Cache, default_root
    from edgedistill.searching import RECIPE, Wanted, varied_in
    from edgedistill.searching import search as searched
    from edgedistill.searching.budget import parse_budget

    wanted = of_labels(read_recipe(recipe, set))
    named = load_target(target) if isinstance(target, str) else target
    folder = Path(out or f"{wanted.name}-{named.name}-search")
    varied, seconds = varied_in(wanted, named, vary), parse_budget(budget)
    reporter = reporter or _Log()
    store = Cache(Path(cache) if cache else default_root(), reporter.say)
    prices = _prices(wanted, named, store.root, reporter)
    asked = Wanted(wanted, named, varied, seconds, folder, prices)
    record = searched(asked, store, reporter)
    bundle = None
    if compile_best:
        made = compile(folder / RECIPE, named, folder / "best", store.root, (), reporter)
        assert isinstance(made, Bundle), "one target gives one bundle"
        bundle = made
    return Searched(folder, record, bundle)


def _prices(recipe: Recipe, target: Target, cache: Path, reporter: Reporter) -> Prices | None:
    """What the target's device asks for operators; None where it is not there, which is said."""
    from edgedistill.costs import PriceSource
    from edgedistill.plan import numbers_of

    try:
        source = PriceSource.of(target, numbers_of(recipe, target))
        return source.open(cache, reporter.say)
    except UserError as error:
        reporter.say(f"search: not by the device's cost: {error.message}")
        return None


def teach(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    export: str | Path | None = None,
    cache: str | Path | None = None,
    set: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Ask a recipe's teacher for all answers that its student will learn from, and keep them in
    the cache; what is there already is not asked again. `export` writes them as parquet too.

    Returns the stage's metrics: answers, quality on the training images, seconds. Raises
    UserError: no loss of the recipe needs answers, or the teacher does not give them.
    """
    from edgedistill.cache import Cache, default_root
    from edgedistill.distill.exchange import write_parquet
    from edgedistill.pipeline import run_until
    from edgedistill.plan import steps

    wanted = of_labels(read_recipe(recipe, set))
    target = load_target("android-arm64")
    if "teach" not in [step.name for step in steps(wanted, target)]:
        raise UserError(
            "no loss of this recipe learns from the teacher's answers",
            "give one, e.g. {kind: soft_targets}",
        )
    if export is not None and not Path(export).absolute().parent.is_dir():
        raise UserError(f"{export}: its folder is not there", "make it, or name another file")
    reporter = reporter or _Log()
    store = Cache(Path(cache) if cache else default_root(), reporter.say)
    done = run_until(wanted, target, store, reporter, "teach")
    if export is not None:
        write_parquet(done["teach"], done["data"], Path(export))
    return dict(done["teach"].metrics)


def _place(out: str | Path | None, recipe: AnyRecipe, target: Target, several: bool) -> Path:
    if out is None:
        return Path(f"{recipe.name}-{target.name}")
    return Path(out) / target.name if several else Path(out)


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
        return error_rates(bundle, data, runtime, precision, device, images, reporter or _Log())
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
