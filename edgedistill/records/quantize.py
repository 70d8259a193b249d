"""What the stage `quantize` leaves beside its programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgedistill.records.codec import Record
from edgedistill.target import Scheme


@dataclass(frozen=True)
class Fidelity:
    """How near int8 answers are to the float program's on held-out images."""

    sqnr_db: float
    rounding_db: float
    """To those of the same weights without rounding."""
    agreement: float | None = None
    """Percent of the images that are decided alike; None where the task decides nothing."""


@dataclass(frozen=True)
class LayerSensitivity:
    """What rounding one layer alone costs."""

    layer: str
    has_weights: bool
    drop_points: float
    """Points of quality."""
    sqnr_db: float
    """Of the logits: the higher, the less noise."""


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer of the quantized program."""

    name: str
    operator: str
    in_float: bool
    weight_scales: tuple[float, float] | None = None
    """The smallest and the largest; None for a layer without weights, or with float ones."""
    output_scale: float | None = None
    output_zero_point: int | None = None


@dataclass(frozen=True)
class Technique:
    """What became of a technique of quantization without training."""

    name: str
    chosen: str
    """Which of its ways; "" where it has one, or was undone."""
    kept: bool
    error_before: float
    """Root of the mean squared error of the answers, on samples that are set aside."""
    error_after: float
    """The same with it."""


@dataclass(frozen=True)
class Quantization:
    """How the student was quantized, and what became of each layer."""

    method: Literal["qat", "ptq"]
    scheme: Scheme
    fidelity: Fidelity
    kept_in_float: tuple[str, ...]
    """Layers, and parts with all that they compute, that the recipe, the model itself, or what
    rounding them costs, leaves in float."""
    sensitivity: tuple[LayerSensitivity, ...]
    """The costliest first; empty where it was not asked for."""
    layers: tuple[QuantizedLayer, ...]
    float_layers: tuple[str, ...]
    quantize_nodes: int
    dequantize_nodes: int
    techniques: tuple[Technique, ...] = ()
    """Of quantization without training, where it ships."""
    ptq_drop: float | None = None
    """Points of validation quality that it costs, where `auto` tried it."""
    noise: float | None = None
    """Points that chance may make of it, by which `auto` decided whether to train."""


@dataclass(frozen=True)
class QuantizeRecord(Record):
    """None where nothing is quantized."""

    FILE: ClassVar[str] = "quantize.json"

    quantization: Quantization | None
