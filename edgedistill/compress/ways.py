"""The ways to integers: after training, by training, or whichever validation says; and with the
layers in float that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edgedistill.compress.mixed import layer_macs, leave_in_float
from edgedistill.compress.post_training import post_training
from edgedistill.compress.quantize import Batch, Prepared, calibrate, convert, prepare
from edgedistill.compress.sensitivity import sensitivity
from edgedistill.program import Program
from edgedistill.recipe import QuantizeConfig
from edgedistill.records import LayerSensitivity, Technique

if TYPE_CHECKING:
    from edgedistill.predict import Validation
    from edgedistill.target import Scheme

Kept = tuple[str, ...]
"""Names of layers and modules that stay in float."""
Rows = tuple[LayerSensitivity, ...]


@dataclass(frozen=True)
class Made:
    """A quantized program, and how it came about."""

    program: Program
    kept: Kept
    method: Literal["qat", "ptq"]
    quality: float
    """On validation."""
    rows: Rows = ()
    """The sensitivity table."""
    techniques: tuple[Technique, ...] = ()
    ptq_drop: float | None = None
    noise: float | None = None


@dataclass(frozen=True)
class Ways:
    """Quantizes a folded program by the method that the recipe names, or that validation says."""

    program: Program
    scheme: Scheme
    settings: QuantizeConfig
    batches: Callable[[], Iterable[Batch]]
    """Calibration samples."""
    train: Callable[[Prepared], None]
    """Trains what rounds already and is calibrated."""
    validation: Validation
    float_quality: float
    """Of `program` on validation."""
    say: Callable[[str], None]

    def make(self, kept: Kept) -> Made:
        """Quantized, with `kept`, and what is found to be too sensitive, left in float."""
        rows, above = self._table(kept), self.settings.float_above
        if above is not None:
            touchy = [row.layer for row in rows if row.has_weights and row.drop_points > above]
            if touchy:
                self.say(f"left in float, too sensitive: {', '.join(touchy)}")
            kept = (*kept, *touchy)
        return replace(self._by_method(kept, rows), rows=rows)

    def _table(self, kept: Kept) -> Rows:
        """What rounding each layer alone costs; nothing where it is not asked for."""
        if not self.settings.sensitivity_samples:
            return ()
        held_out, labels = self.validation.some(self.settings.sensitivity_samples)
        quality = self.validation.task.quality
        return tuple(sensitivity(self._prepared(kept), held_out, lambda x: quality(x, labels)))

    def _prepared(self, kept: Kept) -> Prepared:
        """What rounds, calibrated."""
        prepared = prepare(self.program, self.scheme, kept)
        calibrate(prepared, self.batches())
        return prepared

    def _by_method(self, kept: Kept, rows: Rows) -> Made:
        if self.settings.method == "qat":
            if self.settings.mixed:
                kept = self._mixed(self._after(kept, quiet=True), rows).kept
            return self._trained(kept)
        made = self._after(kept)
        if self.settings.method == "auto":
            made = self._or_trained(made)
        return self._mixed(made, rows) if self.settings.mixed else made

    def _after(self, kept: Kept, quiet: bool = False) -> Made:
        """Quantized after training."""
        program, techniques = post_training(
            self.program, self.scheme, self.batches(), kept,
            (lambda _: None) if quiet else self.say,
        )  # fmt: skip
        return Made(program, kept, "ptq", self.validation.quality(program), techniques=techniques)

    def _trained(self, kept: Kept) -> Made:
        prepared = self._prepared(kept)
        self.train(prepared)
        program = convert(prepared)
        return Made(program, kept, "qat", self.validation.quality(program))

    def _or_trained(self, made: Made) -> Made:
        """The program quantized after training, where it is within what chance explains of the
        float one; else the better of it and one that is trained."""
        chance = 2 * self.validation.noise(self.program, made.program)
        drop = self.float_quality - made.quality
        told = (
            f"without training int8 costs {drop:.2f} points of validation quality, where "
            f"{chance:.2f} may be chance"
        )
        if drop <= chance:
            self.say(f"{told}: nothing is trained")
            return replace(made, ptq_drop=drop, noise=chance)
        trained = self._trained(made.kept)
        better = max(made, trained, key=lambda each: each.quality)
        self.say(
            f"{told}; trained it costs {self.float_quality - trained.quality:.2f}: "
            f"`{better.method}` ships"
        )
        return replace(better, ptq_drop=drop, noise=chance)

    def _mixed(self, made: Made, rows: Rows) -> Made:
        """The same with layers in float, where it costs more than it may."""
        limit = self.settings.max_drop
        if self.float_quality - made.quality <= limit:
            return made
        tried: dict[Kept, Made] = {}

        def drop(names: Kept) -> float:
            tried[names] = self._after((*made.kept, *names), quiet=True)
            return self.float_quality - tried[names].quality

        macs = layer_macs(self.program)
        names, fallen = leave_in_float(rows, macs, drop, limit, made.kept)
        share = 100 * sum(macs[each] for each in names) / max(sum(macs.values()), 1)
        held = "" if fallen <= limit else f", which is more than the {limit:g} that were to hold"
        self.say(
            f"left in float, so that int8 costs {fallen:.2f} points{held}: "
            f"{', '.join(names) or 'nothing'} ({share:.1f} % of the multiply-accumulates)"
        )
        found = replace(tried[names], ptq_drop=made.ptq_drop, noise=made.noise)
        return max(made, found, key=lambda each: each.quality)
