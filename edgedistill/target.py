"""What a target is: instruction set, runtimes, quantization scheme, budgets, packaging."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgedistill.document import problems, read_yaml
from edgedistill.errors import UserError, nearest

RuntimeName = Literal["litert", "onnxruntime", "openvino"]
Precision = Literal["fp32", "fp16", "int8"]


class Frozen(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


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


class Budget(Frozen):
    """What the target can spare; a recipe's contract may ask for less."""

    size_kb: float | None = None
    latency_ms: float | None = None
    memory_mb: float | None = None


class Target(Frozen):
    name: str
    description: str
    isa: Literal["aarch64", "x86_64", "wasm32"]
    features: tuple[str, ...] = ()
    """Instruction-set extensions that integer kernels profit from: `dotprod`, `avx512_vnni`."""
    runtimes: tuple[RuntimeName, ...] = Field(min_length=1)
    """The first is the primary one: its figures are held against the contract."""
    precisions: tuple[Precision, ...] = Field(default=("fp32", "fp16", "int8"), min_length=1)
    scheme: Scheme = Scheme()
    channel_multiple: int = Field(default=8, ge=1)
    """Pruned channel counts are a multiple of this, as the target's kernels work in such blocks."""
    threads: int = Field(default=1, ge=1)
    budget: Budget = Budget()
    package: Literal["android", "ios", "web", "c", "python"] = "python"

    @model_validator(mode="after")
    def _runtimes_read_the_scheme(self) -> Target:
        if "litert" in self.runtimes and not self.scheme.weight_symmetric:
            raise ValueError("`scheme.weight_symmetric: false` is nothing that litert reads")
        return self

    @property
    def primary(self) -> RuntimeName:
        return self.runtimes[0]


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
        if not path.is_file():
            raise UserError(f"target file not found: {path}", "check the path")
    else:
        files = target_files()
        if name_or_path not in files:
            raise UserError(
                f"unknown target `{name_or_path}`",
                nearest(name_or_path, list(files)) + " A path to a .yaml file works too.",
            )
        path = files[name_or_path]
    document: Any = read_yaml(path)
    if isinstance(document, dict):
        document = {"name": path.stem, **document}
    try:
        return Target.model_validate(document)
    except ValidationError as error:
        raise UserError(
            problems(error, Target, str(path)), "`edgedistill targets NAME` shows a valid one"
        ) from None
