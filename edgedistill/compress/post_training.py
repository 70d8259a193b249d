"""Quantization of a folded program without training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgedistill.compress.equalize import equalize
from edgedistill.compress.quantize import Batch, Prepared, calibrate, convert, prepare
from edgedistill.compress.ranges import METHODS, histograms, set_ranges
from edgedistill.compress.reconstruct import reconstruct
from edgedistill.errors import in_short, out_of_resources
from edgedistill.program import Program, answers, graph_of
from edgedistill.records import Technique

if TYPE_CHECKING:
    from edgedistill.target import Scheme

EQUALIZATION, RANGES = "equalization", "ranges"
ROUNDING, BIASES = "learned rounding", "bias correction"
TECHNIQUES = (EQUALIZATION, RANGES, ROUNDING, BIASES)
"""In the order in which they are tried."""
_FEWEST = 8
"""Samples without which none are set aside to judge by."""
_LEARNED_FROM = 256
"""Samples whose values are held for all of a graph's operators at a time."""


def post_training(
    program: Program,
    scheme: Scheme,
    batches: Iterable[Batch],
    keep_float: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda _: None,
    techniques: tuple[str, ...] = TECHNIQUES,
) -> tuple[Program, tuple[Technique, ...]]:
    """Quantize a folded program without training: calibrated by the mean of the batches' extremes,
    then with each technique that brings the answers closer to the float program's by more than
    chance.

    Every fourth sample is set aside: no technique is fitted to it, and all are judged by it.
    batches: the inputs in their order, each (batch, ...); `say` gets a line on what each did.
    Returns the quantized program, and what became of each technique.
    """
    trial = _Trial(program, scheme, keep_float, list(batches))
    best, rows = trial.plain(program), []
    error = trial.errors(best)
    for name in techniques:
        try:
            tried = _TRIED[name](trial, best)
        except Exception as problem:  # of a graph of somebody else's: it ships without
            if out_of_resources(problem) is not None:
                raise
            say(f"{name} skipped: {in_short(problem)}")
            continue
        errors = {label: trial.errors(each) for label, each in tried.items()}
        label = min(errors, key=lambda each: float(errors[each].mean()))
        kept = _is_better(errors[label], error)
        before, after = _root(error), _root(errors[label])
        rows.append(Technique(name, label if kept else "", kept, before, after))
        told = f" ({label})" if label else ""
        say(
            f"{name} {'kept' if kept else 'undone'}{told}: the logits' error is "
            f"{after:.4g} with it, {before:.4g} without"
        )
        if kept:
            best, error = tried[label], errors[label]
    return convert(best), tuple(rows)


class _Trial:
    """What is tried on one program, and judged."""

    def __init__(
        self, program: Program, scheme: Scheme, keep_float: tuple[str, ...], samples: list[Batch]
    ) -> None:
        self._scheme, self._keep = scheme, keep_float
        self.program, self.samples = program, samples
        enough = sum(len(each[0]) for each in samples) >= _FEWEST
        self.fitted = _some(samples, lambda i: i % 4 != 3) if enough else samples
        self._judged = _some(samples, lambda i: i % 4 == 3) if enough else samples
        graph = graph_of(program)
        with torch.no_grad():
            self._wanted = [answers(graph(*each)) for each in self._judged]

    def plain(self, program: Program) -> Prepared:
        """Calibrated as ever."""
        prepared = prepare(program, self._scheme, self._keep)
        calibrate(prepared, self.samples)
        return prepared

    def errors(self, prepared: Prepared) -> Tensor:
        """Mean squared difference of the outputs from those in float, (samples,), of the samples
        that are set aside."""
        with torch.no_grad():
            apart = [
                torch.cat(
                    [
                        (found - wanted).flatten(1)
                        for found, wanted in zip(answers(prepared(*each)), exact, strict=True)
                    ],
                    1,
                )
                for each, exact in zip(self._judged, self._wanted, strict=True)
            ]
        return torch.cat(apart).square().mean(1)


def _is_better(after: Tensor, before: Tensor) -> bool:
    """Whether errors (samples,) fall by more than their standard error, so that few samples do not
    talk anybody into what is chance."""
    gain = before - after
    noise = float(gain.std() / len(gain) ** 0.5) if len(gain) > 1 else 0.0
    return float(gain.mean()) > noise


def _root(errors: Tensor) -> float:
    return float(errors.mean().sqrt())


def _some(samples: list[Batch], wanted: Callable[[int], bool]) -> list[Batch]:
    """Of all samples, counted through, those whose number is wanted."""
    found, count = [], 0
    for batch in samples:
        size = len(batch[0])
        ids = [i for i in range(size) if wanted(count + i)]
        count += size
        if ids:
            found.append(tuple(each[ids] for each in batch))
    return found


def _equalized(trial: _Trial, _: Prepared) -> dict[str, Prepared]:
    return {"": trial.plain(equalize(trial.program, trial.fitted))}


def _ranged(trial: _Trial, best: Prepared) -> dict[str, Prepared]:
    made = {}
    for method in METHODS:
        made[method] = copy.deepcopy(best)
        set_ranges(histograms(made[method], trial.fitted), method)
    return made


def _rounded(trial: _Trial, best: Prepared) -> dict[str, Prepared]:
    return {"": _reconstructed(trial, best, rounding=True)}


def _corrected(trial: _Trial, best: Prepared) -> dict[str, Prepared]:
    return {"": _reconstructed(trial, best, biases=True)}


def _reconstructed(
    trial: _Trial, best: Prepared, rounding: bool = False, biases: bool = False
) -> Prepared:
    changed = copy.deepcopy(best)
    few: list[Batch] = []
    left = _LEARNED_FROM
    for batch in trial.fitted:
        if left > 0:
            few.append(tuple(each[:left] for each in batch))
            left -= len(batch[0])
    reconstruct(changed, few, rounding=rounding, biases=biases)
    return changed


_TRIED: dict[str, Callable[[_Trial, Prepared], dict[str, Prepared]]] = {
    EQUALIZATION: _equalized,
    RANGES: _ranged,
    ROUNDING: _rounded,
    BIASES: _corrected,
}
