"""What the user wants: frozen models, read from YAML, all mistakes reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, ValidationError, model_validator

from edgedistill.document import override, problems, read_yaml
from edgedistill.errors import UserError
from edgedistill.target import Frozen, Precision
from edgedistill.usercode import make_importable

# --- data -----------------------------------------------------------------------------------


class Augment(Frozen):
    """Random changes to training images. Each is drawn from (seed, sample, view) alone, so a view
    can be drawn again at any time, by any process."""

    shift: int = Field(default=0, ge=0)
    """Pad by this many pixels on each side and crop back at random."""
    flip: bool = False
    """Mirror half of the images left to right."""
    scale: float = Field(default=1.0, gt=0.0, le=1.0)
    """Crop at random down to this share of the area, then resize back."""
    brightness: float = Field(default=0.0, ge=0.0, lt=1.0)
    contrast: float = Field(default=0.0, ge=0.0, lt=1.0)
    erase: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Side of a grey square put at a random place, as a share of the image's side."""


class DataCommon(Frozen):
    image_size: int = Field(ge=8, le=1024)
    """Height and width, in pixels, that the model sees."""
    channels: Literal[1, 3] = 3
    validation: float = Field(default=0.1, gt=0.0, lt=0.9)
    """Share of the training images held out to make choices on; the test set is for the end."""
    limit: int | None = Field(default=None, ge=10)
    """Use only this many training images (chosen by the seed), validation included."""
    convert_channels: bool = True
    """Turn grey, RGBA or palette images into the wanted channels. `false` makes them an error."""
    skip_unreadable: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of images that may fail to decode and be left out. 0 makes the first one an error."""
    augment: Augment = Augment()
    workers: int | None = Field(default=None, ge=0)
    """Processes that decode and augment; none given: as many as the images' size calls for."""


class DigitsData(DataCommon):
    """scikit-learn's handwritten digits: 1,797 images of 8x8 pixels, shipped in that package."""

    source: Literal["digits"]
    image_size: int = Field(default=16, ge=8, le=1024)
    channels: Literal[1, 3] = 1


class FolderData(DataCommon):
    """One folder for each class, images in it. Without `test`, a share of `train` is set aside."""

    source: Literal["folder"]
    train: Path
    test: Path | None = None
    test_share: float = Field(default=0.2, gt=0.0, lt=0.9)
    """Share of `train` that becomes the test set where `test` is not given."""


class ParquetData(DataCommon):
    """Parquet in Hugging Face's layout: an image column (bytes, path) and an integer label."""

    source: Literal["parquet"]
    train: Path
    test: Path
    image: str = "img"
    label: str = "label"
    classes: tuple[str, ...] | None = None
    """Class names in label order; by default those in the file's own metadata, else numbers."""


class TorchvisionData(DataCommon):
    """A torchvision dataset by name, for example `CIFAR10`; it must already lie in `root`
    unless `download` is set."""

    source: Literal["torchvision"]
    name: str
    root: Path
    download: bool = False


class HuggingFaceData(DataCommon):
    """A Hugging Face dataset: a hub name, or a local folder in the same format."""

    source: Literal["huggingface"]
    name: str
    config: str | None = None
    train: str = "train"
    test: str = "test"
    image: str = "image"
    label: str = "label"


class ArraysData(DataCommon):
    """`.npz` files with `images`, uint8 (samples, height, width[, channels]), and `labels`
    (samples,)."""

    source: Literal["arrays"]
    train: Path
    test: Path
    classes: tuple[str, ...] | None = None


class FunctionData(DataCommon):
    """A user's own `module:function`. Called with "train" or "test", it yields (image, label):
    image uint8 (height, width[, channels]) or a Pillow image, label int."""

    source: Literal["function"]
    function: str
    classes: tuple[str, ...]


Data = Annotated[
    Union[
        DigitsData, FolderData, ParquetData, TorchvisionData, HuggingFaceData, ArraysData,
        FunctionData,
    ],
    Field(discriminator="source"),
]  # fmt: skip

# --- models ---------------------------------------------------------------------------------


class ModelCommon(Frozen):
    weights: Path | None = None
    """A safetensors file. Pickles are refused: loading one can run any code."""
    mean: tuple[float, ...] | None = None
    """Per-channel mean that the weights expect to be taken off pixels in 0..1."""
    std: tuple[float, ...] | None = None
    """Per-channel deviation that the weights expect pixels to be divided by."""

    @model_validator(mode="after")
    def _normalization_is_whole(self) -> ModelCommon:
        if (self.mean is None) != (self.std is None):
            raise ValueError("`mean` and `std` come together")
        if self.std and min(self.std) <= 0:
            raise ValueError("`std` must be positive")
        return self


class ResidualModel(ModelCommon):
    """CIFAR-style residual network of depth 6n+2 (He et al. 2015, section 4.2)."""

    family: Literal["resnet_cifar"]
    depth: int = 20
    widths: tuple[int, int, int] = (16, 32, 64)
    shortcut: Literal["pad", "conv"] = "pad"
    """What a block that changes shape adds: strided input padded with zeros (the paper's option
    A) or a 1x1 convolution (option B)."""

    @model_validator(mode="after")
    def _depth_is_6n_plus_2(self) -> ResidualModel:
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"depth must be 8, 14, 20, ... (6n+2), got {self.depth}")
        return self


class TorchvisionModel(ModelCommon):
    """A torchvision classification model by name."""

    family: Literal["torchvision"]
    name: str
    pretrained: bool = False
    """Start from torchvision's own weights (a download where they are not on disk)."""


class TimmModel(ModelCommon):
    """A timm model by name."""

    family: Literal["timm"]
    name: str
    pretrained: bool = False
    """Start from timm's own weights (a download where they are not on disk)."""


class FunctionModel(ModelCommon):
    """A user's own `module:function`, called with `classes` and `args`; returns a torch module
    that takes (batch, channels, height, width) and gives logits (batch, classes)."""

    family: Literal["function"]
    function: str
    args: dict[str, Any] = Field(default_factory=dict)


Model = Annotated[
    Union[ResidualModel, TorchvisionModel, TimmModel, FunctionModel],
    Field(discriminator="family"),
]

# --- stages ---------------------------------------------------------------------------------


class SoftTargets(Frozen):
    """KL divergence to the teacher at a temperature, times T^2 (Hinton et al. 2015)."""

    kind: Literal["soft_targets"]
    weight: float = Field(default=1.0, ge=0.0)
    temperature: float = Field(default=4.0, gt=0.0)


class Labels(Frozen):
    """Cross entropy with the labels."""

    kind: Literal["labels"]
    weight: float = Field(default=1.0, ge=0.0)
    smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)


Loss = Annotated[Union[SoftTargets, Labels], Field(discriminator="kind")]
DISTILLATION: tuple[Loss, ...] = (
    SoftTargets(kind="soft_targets", weight=0.9),
    Labels(kind="labels", weight=0.1),
)


class Training(Frozen):
    """One training run: stochastic gradient descent, cosine schedule with a linear warm-up."""

    epochs: float = Field(default=10, gt=0)
    """Passes over the training images."""
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=0.1, gt=0.0)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = Field(default=5e-4, ge=0.0)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps over which the learning rate rises."""
    clip: float | None = Field(default=5.0, gt=0.0)
    """Largest norm of the gradient."""
    ema: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Decay of an exponential moving average of the weights, used in their place at the end."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` takes bf16 where this processor multiplies it natively."""
    checkpoint_minutes: float = Field(default=3.0, gt=0.0)


class TeacherConfig(Frozen):
    train: Training | None = None
    """Train or fine-tune the teacher on the labels first. Without it, weights must be given."""
    losses: tuple[Loss, ...] = (Labels(kind="labels", smoothing=0.0),)


class TeachConfig(Frozen):
    views: int = Field(default=4, ge=1)
    """Augmented versions of each image that the teacher answers for; epoch e trains on view
    e mod `views`."""
    batch_size: int = Field(default=256, ge=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"


class DistillConfig(Training):
    losses: tuple[Loss, ...] = DISTILLATION


class PruneConfig(Training):
    """Structured pruning in rounds, each followed by recovery training from the teacher."""

    epochs: float = Field(default=3, gt=0)
    learning_rate: float = Field(default=0.02, gt=0.0)
    importance: Literal["magnitude", "taylor", "hessian"] = "taylor"
    macs: float | None = Field(default=None, gt=0)
    """Wanted multiply-accumulates of one inference, in millions."""
    params: float | None = Field(default=None, gt=0)
    """Wanted parameters, in thousands."""
    speedup: float | None = Field(default=None, gt=1.0)
    """Wanted ratio of multiply-accumulates, before to after."""
    rounds: int = Field(default=3, ge=1)
    """Steps, at equal ratios, in which the cost goes down to the goal."""
    epochs_between: float = Field(default=1.0, gt=0)
    """Recovery training after each round but the last, which gets `epochs`."""
    importance_samples: int = Field(default=2048, ge=16)
    round_to: int | None = Field(default=None, ge=1)
    """Channel counts are a multiple of this; by default the target's."""
    max_drop: float = Field(default=3.0, ge=0.0)
    """Points of validation accuracy that pruning may cost; past it, pruning is undone."""
    losses: tuple[Loss, ...] = DISTILLATION

    @model_validator(mode="after")
    def _has_one_goal(self) -> PruneConfig:
        if self.macs is None and self.params is None and self.speedup is None:
            raise ValueError("say how far to prune: `macs`, `params` or `speedup`")
        return self


class QuantizeConfig(Training):
    method: Literal["qat", "ptq"] = "qat"
    epochs: float = Field(default=2, gt=0)
    learning_rate: float = Field(default=0.005, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    warmup: float = Field(default=0.05, ge=0.0, lt=1.0)
    calibration_samples: int = Field(default=512, ge=8)
    """Training images that set the first ranges."""
    freeze_observers: float = Field(default=0.6, gt=0.0, le=1.0)
    """Share of the training after which ranges stand still. Batch norm is folded before."""
    keep_float: tuple[str, ...] = ()
    """Layers left in float, by name, as `quantize`'s sensitivity table names them."""
    sensitivity_samples: int = Field(default=256, ge=0)
    """Validation images for the per-layer sensitivity table; 0 leaves it out."""
    float_above: float | None = Field(default=None, gt=0.0)
    """Leave a layer in float if quantizing it alone costs more points of accuracy than this."""
    max_drop: float = Field(default=3.0, ge=0.0)
    """Points of validation accuracy that quantization may cost before the report says so."""
    losses: tuple[Loss, ...] = DISTILLATION


class ExportConfig(Frozen):
    precisions: tuple[Precision, ...] | None = None
    """By default the target's."""


class VerifyConfig(Frozen):
    """How closely each file must follow the torch graph."""

    agreement: float = Field(default=0.995, ge=0.0, le=1.0)
    """Share of the test set on which top-1 must agree."""
    within_step: float = Field(default=0.99, ge=0.0, le=1.0)
    """int8: share of output values within one quantization step."""
    within_step_litert: float = Field(default=0.95, ge=0.0, le=1.0)
    """The same for LiteRT, whose fixed-point rounding adds up with depth."""
    float_tolerance: float = Field(default=1e-3, gt=0.0)
    """fp32: largest difference of an output, relative to the outputs' range."""
    half_tolerance: float = Field(default=2e-2, gt=0.0)
    """fp16: the same."""
    accuracy: float = Field(default=0.3, ge=0.0)
    """int8: points of accuracy by which a runtime may differ from the torch graph."""
    layer_samples: int = Field(default=16, ge=1)
    """Images for the layer-by-layer comparison."""


class BenchmarkConfig(Frozen):
    runs: int = Field(default=200, ge=10)
    seconds: float = Field(default=5.0, gt=0.0)
    """Measure until both `runs` and `seconds` are reached, whichever comes first ends it."""
    warmup: int = Field(default=10, ge=0)


class Stages(Frozen):
    teacher: TeacherConfig = TeacherConfig()
    teach: TeachConfig = TeachConfig()
    distill: DistillConfig = DistillConfig()
    prune: PruneConfig | None = None
    quantize: QuantizeConfig | None = QuantizeConfig()
    export: ExportConfig = ExportConfig()
    verify: VerifyConfig = VerifyConfig()
    benchmark: BenchmarkConfig = BenchmarkConfig()


class Contract(Frozen):
    """What the result must keep. Unmet: exit code 1. Figures are the primary runtime's."""

    max_accuracy_drop: float | None = Field(default=None, ge=0.0)
    """Points of test accuracy below the teacher."""
    min_retention: float | None = Field(default=None, gt=0.0, le=1.0)
    """Share of the teacher's test accuracy kept."""
    max_size_kb: float | None = Field(default=None, gt=0.0)
    max_macs: float | None = Field(default=None, gt=0.0)
    """Millions of multiply-accumulates."""
    max_latency_ms: float | None = Field(default=None, gt=0.0)
    """Median on the device measured; `not measured` where the target itself was not."""
    max_memory_mb: float | None = Field(default=None, gt=0.0)


class Recipe(Frozen):
    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    task: Literal["classification"] = "classification"
    data: Data
    teacher: Model
    student: Model
    stages: Stages = Stages()
    contract: Contract = Contract()
    seed: int = Field(default=0, ge=0)
    deterministic: bool = False
    """Same bytes on every run of this machine, at some cost in speed."""

    @model_validator(mode="after")
    def _teacher_knows_something(self) -> Recipe:
        pretrained = getattr(self.teacher, "pretrained", False)
        if not (self.teacher.weights or pretrained or self.stages.teacher.train):
            raise ValueError(
                "the teacher has no `weights`, is not `pretrained`, and `stages.teacher.train` "
                "does not train it"
            )
        return self

    @model_validator(mode="after")
    def _normalization_fits_the_images(self) -> Recipe:
        for role, model in (("teacher", self.teacher), ("student", self.student)):
            for key in ("mean", "std"):
                given = getattr(model, key)
                if given is not None and len(given) != self.data.channels:
                    raise ValueError(
                        f"`{role}.{key}` has {len(given)} values, the images have "
                        f"{self.data.channels} channels"
                    )
        return self


# --- reading --------------------------------------------------------------------------------


def parse_recipe(document: Any, where: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from a document. Raises UserError that lists every mistake."""
    if not isinstance(document, dict):
        raise UserError(
            f"{where}: a recipe is a mapping, got {type(document).__name__}",
            "`edgedistill init` writes a recipe to start from",
        )
    for setting in overrides:
        document = override(document, setting)
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise UserError(
            problems(error, Recipe, where), "`edgedistill schema` prints every key and its meaning"
        ) from None


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from a YAML file; its relative paths, and its user's Python files, are found from
    the file's folder."""
    recipe = parse_recipe(read_yaml(path), str(path), overrides)
    folder = path.resolve().parent
    make_importable(folder)
    absolute: Recipe = _with_absolute_paths(recipe, folder)
    return absolute


def _with_absolute_paths(model: Any, base: Path) -> Any:
    changes: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path):
            changes[name] = base / value.expanduser()
        elif isinstance(value, BaseModel):
            changes[name] = _with_absolute_paths(value, base)
    return model.model_copy(update=changes) if changes else model
