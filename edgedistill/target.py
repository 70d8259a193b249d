"""What a target is: instruction set, runtimes, quantization scheme, budgets, packaging."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from edgedistill.document import cut, mapping, problems, read_yaml
from edgedistill.errors import UserError, nearest
from edgedistill.runtime_table import TABLE

if TYPE_CHECKING:
    RuntimeName = str
else:
    RuntimeName = Literal[tuple(TABLE)]
Precision = Literal["fp32", "fp16", "int8"]
S = TypeVar("S", bound=tuple[Any, ...])


class Frozen(BaseModel):
    """Every number in one has a lower and an upper bound, generous, so that a slip of the pen is
    told before it costs hours or all memory."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def _is_no_folder_of_its_own(name: str) -> str:
    if name in (".", ".."):
        raise ValueError(f"`{name}` cannot be the name of a file")
    return name


def each_once(items: S) -> S:
    """For lists in which an entry that stands twice is a mistake. Raises ValueError: one does."""
    seen = set()
    for item in items:
        if item in seen:
            raise ValueError(f"`{item}` is listed twice")
        seen.add(item)
    return items


FileName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=100),
    AfterValidator(_is_no_folder_of_its_own),
]
"""What files and folders are named after; it leads into no other folder."""
Precisions = Annotated[tuple[Precision, ...], Field(min_length=1), AfterValidator(each_once)]


class Scheme(Frozen):
    """How a target wants its integers. Everything a quantizer needs, as data."""

    weight_bits: Literal[7, 8] = 8
    """7 keeps int8 kernels from saturating where the processor adds pairs in 16 bits."""
    weight_symmetric: bool = True
    per_channel: bool = True
    """One scale for each output channel of a weight, rather than one for the whole tensor."""
    activation_symmetric: bool = False
    io: Literal["float", "integer"] = "integer"
    """Whether an app feeds and reads floats, or the integers themselves."""


class Kernel(Frozen):
    """The blocks in which LiteRT's int8 kernels (XNNPACK) compute on a target: channels that do not
    fill one cost as much as if they did."""

    output_channels: int = Field(ge=1, le=1024)
    """Of a convolution or linear layer: NR of XNNPACK's `gemm-config.c`."""
    input_channels: int = Field(default=1, ge=1, le=1024)
    """The same: KR, times SR."""
    depthwise: int = Field(default=1, ge=1, le=1024)
    """Channels of a depthwise convolution: `channel_tile` of `dwconv-config.c`."""
    depthwise_sizes: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(max_length=100)
    ] = (3, 9, 25)
    """Kernel elements that there are depthwise kernels for (`primary_tile`): a smaller one costs as
    the next, a larger one as ordinary convolutions of one channel each."""


class Budget(Frozen):
    """What the target can spare; a recipe's contract may ask for less."""

    size_kb: float | None = Field(default=None, gt=0.0, le=1e12)
    latency_ms: float | None = Field(default=None, gt=0.0, le=1e9)
    memory_mb: float | None = Field(default=None, gt=0.0, le=1e9)


class Target(Frozen):
    """A device class, as `targets/NAME.yaml` describes it."""

    name: FileName
    """Of the bundle's folder, where there are several targets; by default the file's own."""
    description: str = Field(max_length=2000)
    isa: Literal["aarch64", "x86_64", "wasm32"]
    features: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
        Field(max_length=200),
        AfterValidator(each_once),
    ] = ()
    """Instruction-set extensions that integer kernels profit from: `dotprod`, `avx512_vnni`."""
    runtimes: Annotated[tuple[RuntimeName, ...], Field(min_length=1), AfterValidator(each_once)]
    """The first is the primary one: its figures are held against the contract."""
    precisions: Precisions = ("fp32", "fp16", "int8")
    scheme: Scheme = Scheme()
    channel_multiple: int = Field(default=8, ge=1, le=1024)
    """Pruned channel counts are a multiple of this, as the target's kernels work in such blocks."""
    kernel: Kernel | None = None
    """What `padded_macs` are counted by; where LiteRT is the primary runtime."""
    threads: int = Field(default=1, ge=1, le=1024)
    require_full_delegation: bool = False
    """Whether the contract is missed where an operator of the shipped file falls back to the
    runtime's plain kernels, as LiteRT's do that XNNPACK does not take."""
    budget: Budget = Budget()
    package: Literal["android", "ios", "web", "c", "python"] = "python"
    device: str | None = Field(default=None, max_length=200)
    """Where a compile measures too, if it is there: `adb`, `ssh:HOST`, `browser`; None: nowhere but
    on the machine that compiles. `edgedistill device list` shows how each is named."""

    @model_validator(mode="after")
    def _runtimes_read_the_scheme(self) -> Target:
        if "litert" in self.runtimes and not self.scheme.weight_symmetric:
            raise ValueError("`scheme.weight_symmetric: false` is nothing that litert reads")
        return self

    @model_validator(mode="after")
    def _the_first_runs_here(self) -> Target:
        first = TABLE[self.runtimes[0]]
        if first.elsewhere:
            raise ValueError(
                f"`runtimes`: {first.name} cannot be the first, whose figures are held against the "
                f"contract: it runs on {first.elsewhere} alone"
            )
        return self

    @property
    def primary(self) -> RuntimeName:
        """The runtime whose figures are held against the contract."""
        return self.runtimes[0]

    @property
    def known_kernel(self) -> Kernel:
        """Raises UserError: it is not known how the target pads channels."""
        if self.kernel is None:
            raise UserError(
                f"stages.prune.padded_macs: the target {self.name} does not say in which blocks "
                "its kernels compute",
                "prune to `macs`, or give `kernel` in a target file of your own",
            )
        return self.kernel


def target_files() -> dict[str, Path]:
    """The targets that come with the package, by name."""
    here = Path(__file__).parent
    folder = here / "targets" if (here / "targets").is_dir() else here.parent / "targets"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}


def load_target(name_or_path: str) -> Target:
    """A target by name, or from a user's own YAML file (recognized by its suffix).

    Raises UserError: no such target or file, or a file that says something a target cannot.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        document = read_yaml(path, "target file", "check the path")
    else:
        files = target_files()
        if name_or_path not in files:
            raise UserError(
                f"unknown target `{cut(name_or_path)}`",
                nearest(cut(name_or_path), list(files)) + " A path to a .yaml file works too.",
            )
        path = files[name_or_path]
        document = read_yaml(path, "target file", "install edgedistill anew")
    hint = "`edgedistill targets NAME` shows a valid one"
    given = {"name": path.stem, **mapping(document, "a target", str(path), hint)}
    try:
        return Target.model_validate(given)
    except ValidationError as error:
        raise UserError(problems(error, Target, str(path)), hint) from None


def check_names(targets: Sequence[Target]) -> None:
    """Raises UserError: two of the targets have one name, and so would have one folder."""
    first: dict[str, int] = {}
    for at, target in enumerate(targets):
        before = first.setdefault(target.name, at)
        if before == at:
            continue
        if targets[before] == target:
            raise UserError(f"the target `{target.name}` is given twice", "name each target once")
        raise UserError(
            f"targets {before + 1} and {at + 1} are both named `{target.name}`, and each one's "
            "bundle goes into a folder of its target's name",
            "give one of them another `name`",
        )
