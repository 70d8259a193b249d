"""How far a file's answers are from the torch graph's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgedistill.records import OutputParity, Parity

if TYPE_CHECKING:
    from edgedistill.recipe import VerifyConfig
    from edgedistill.runtimes import Array, Floats


def compare(
    outputs: Floats,
    reference: Floats,
    step: float | None = None,
    agreement: Callable[[Array, Array], float] | None = None,
) -> Parity:
    """How far a file's outputs are from the reference's, (samples, values) each; differences are
    shares of the reference's range.

    step: the output's scale, where it is quantized; agreement: the task's.
    """
    apart = np.abs(outputs.astype(np.float64) - reference)
    width = float(np.ptp(reference)) or 1.0
    same = agreement(outputs, reference) if agreement else None
    found = (same, float(apart.max()) / width, float(apart.mean()) / width)
    if step is None:
        return Parity(*found)
    steps = np.rint(apart / step)
    return Parity(
        *found, float(steps.max()), float(steps.mean()), float((steps <= 1).mean())
    )  # fmt: skip


def misses(
    found: Parity, quality_apart: float, runtime: str, precision: str, asked: VerifyConfig
) -> list[str]:
    """The tolerances that a file does not keep, in words."""
    told = []
    if precision == "int8":
        wanted = _within_step(runtime, asked)
        within = found.within_step
        if within is not None and within < wanted:
            told.append(f"{within:.2%} of the outputs within one step, {wanted:.2%} wanted")
        if quality_apart > asked.quality:
            told.append(f"quality {quality_apart:.2f} points apart, {asked.quality:g} allowed")
    elif strays(found, precision, asked):
        limit = _float_limit(precision, asked)
        told.append(f"an output {found.max_difference:.2g} of the range off, {limit:g} allowed")
    if found.agreement is not None and found.agreement < asked.agreement:
        told.append(f"decided alike on {found.agreement:.2%}, {asked.agreement:.2%} wanted")
    return told


def misses_over_steps(
    found: Sequence[OutputParity], runtime: str, precision: str, asked: VerifyConfig
) -> list[str]:
    """The tolerances that a program's outputs over a sequence do not keep, in words."""
    told = []
    for each in found:
        if each.within_step is not None:
            wanted = _within_step(runtime, asked)
            if each.within_step < wanted:
                share = f"{each.within_step:.2%} of `{each.output}`"
                told.append(f"{share} within one step, {wanted:.2%} wanted")
        elif each.max_difference > (limit := _float_limit(precision, asked)):
            told.append(
                f"`{each.output}` {each.max_difference:.2g} of the range off, {limit:g} allowed"
            )
    return told


def strays(found: Parity, precision: str, asked: VerifyConfig) -> bool:
    """Whether the values of a float file miss its tolerance, whatever is decided by them."""
    return precision != "int8" and found.max_difference > _float_limit(precision, asked)


def _within_step(runtime: str, asked: VerifyConfig) -> float:
    """ExecuTorch runs the kernels that LiteRT does, XNNPACK's."""
    by_xnnpack = runtime in ("litert", "executorch")
    return asked.within_step_litert if by_xnnpack else asked.within_step


def _float_limit(precision: str, asked: VerifyConfig) -> float:
    return asked.half_tolerance if precision == "fp16" else asked.float_tolerance
