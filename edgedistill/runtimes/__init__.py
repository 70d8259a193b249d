"""What runs a model file: for each runtime a writer, a loader, and a look into its files.

A loaded program is called with the real values of its signature's inputs, pictures as float32
(batch, channels, height, width) in 0..1, whatever the file's own layout and numbers are.
"""

from __future__ import annotations

import importlib
import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from edgedistill.errors import UserError, in_short, nearest, out_of_resources
from edgedistill.program import MAIN
from edgedistill.records import Look, OperatorRow
from edgedistill.runtime_table import TABLE, RuntimeEntry
from edgedistill.signature import Signature
from edgedistill.target import Precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgedistill.program import Program

    Array = NDArray[np.generic]
    Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Spec:
    """What a file is to be, beside the program it renders."""

    precision: Precision
    labels: tuple[str, ...]
    io: Literal["float", "integer"] = "float"
    """int8 files: whether an app feeds and reads floats, or the integers themselves."""
    name: str = "model"
    activations: Literal["float", "dynamic"] = "float"
    """Of layers whose weights alone are int8: whether a runtime computes them in float, or may
    round activations as it runs, where that is faster."""
    integers: Literal["signed", "unsigned"] = "signed"
    """What an int8 .onnx file computes between its layers: the same values, int8 or uint8."""


class Loaded(Protocol):
    """A program of a model file, ready to run; see `native.Running`."""

    signature: Signature
    """With the file's own shapes, layouts and scales. LiteRT files take a batch of 1."""

    def encode(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The file's own inputs for real values (batch, ...) by name, pictures NCHW in 0..1."""

    def encode_some(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The same of a part of the inputs, as those of a stream that are no state."""

    def run(self, native: dict[str, Array]) -> dict[str, Array]:
        """One inference: the file's own inputs to its own outputs, by name."""

    def decode(self, native: dict[str, Array]) -> dict[str, Array]:
        """Real values (batch, ...) of the file's own outputs."""

    def answer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Real inputs (batch, ...) of any batch size to all real outputs (batch, ...)."""

    def judged(self, outputs: Mapping[str, Array]) -> Floats:
        """Of the real outputs the one that a task judges, float32 (batch, values)."""

    def __call__(self, *inputs: Floats) -> Floats:
        """What a task judges, float32 (batch, values), for inputs in the signature's order."""

    def operators(self) -> list[OperatorRow]:
        """Each operator with the time that it takes, where the runtime tells."""


@dataclass(frozen=True)
class Runtime(RuntimeEntry):
    """A line of the table, and what its module does."""

    def prepare(self) -> Any:
        """Import the package, and our adapter to it. Raises UserError: what to install."""
        try:
            importlib.import_module(self.import_name)
        except ImportError as error:
            raise UserError(
                f"{self.name}: the package `{self.package}` is missing ({error})",
                self.install,
            ) from None
        return importlib.import_module(self.in_file)

    def write(self, program: Program, path: Path, spec: Spec) -> Signature:
        """Write `program` as a file; returns its signature as the file has it.

        Raises UserError: the converter does not know what the program computes.
        """
        module = self.prepare()
        try:
            described: Signature = module.write(program, path, spec)
        except Exception as error:  # converters raise whatever they stumble over
            if isinstance(error, UserError) or out_of_resources(error) is not None:
                raise
            place = _operator(error)
            raise UserError(
                f"{self.name}: the model cannot be written as {path.name}: "
                f"{place}{in_short(error)}",
                f"replace that operator in the student, or leave `{self.name}` out of the target's "
                "runtimes",
            ) from error
        return described

    def load(
        self, path: Path, threads: int = 1, optimize: bool = True, program: str = MAIN
    ) -> Loaded:
        """One of a file's programs. Without `optimize`, the runtime's plainest kernels run: what
        the file itself says.

        Raises UserError: no such file, or not one that this runtime reads.
        """
        module = self.prepare()
        if not path.is_file():
            raise UserError(f"model file not found: {path}", "check the path")
        try:
            loaded: Loaded = module.load(path, threads, optimize, program)
        except Exception as error:  # each runtime raises its own kinds
            raise UserError(
                f"{path}: {self.name} cannot load it: {str(error).strip()[:300]}",
                "the file is damaged or of another kind; export it again",
            ) from error
        return loaded

    def join(self, paths: Mapping[str, Path], joined: Path) -> str | None:
        """Put several programs' files into one, `joined`, where the runtime's format can and the
        file is smaller for it. Returns why not; None where it was written."""
        join = getattr(self.prepare(), "join", None)
        if join is None:
            return f"{self.name}: a file holds one graph"
        reason: str | None = join(paths, joined)
        return reason

    def inspect(self, path: Path) -> Look:
        """What is in a file and how it runs here: {"operators": {type: count}, "inner_pairs":
        quantize/dequantize operators that are not at the file's boundary, "transposes": count,
        and what `native.in_float` says of the operators that the runtime executes}. Of LiteRT's
        files also what transposes cost (`tflite.transposes.transposes_left`) and "arena_bytes"
        (`tflite.arena`); of ONNX Runtime's int8 files under "arm64" what it executes there."""
        found: Look = self.prepare().inspect(path)
        return found


def _operator(error: BaseException) -> str:
    """`NAME: ` of the operator that a converter was at when it failed: torch adds the graph's node
    to what an exception says, and where none is named, the converter's own function is."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    for each in chain:
        found = re.search(r"target=(?:torch\.ops\.)?([\w.]+)", str(each))
        if found:
            return f"{found[1]}: "
    if str(error).strip():
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].name}, {frames[-1].line}: " if frames else ""


RUNTIMES = {name: Runtime(**vars(entry)) for name, entry in TABLE.items()}


def runtime_of(path: Path) -> Runtime:
    """The runtime that reads a file, by its suffix. Raises UserError: no runtime does."""
    for runtime in RUNTIMES.values():
        if path.name.endswith(runtime.suffix):
            return runtime
    choices = ", ".join(runtime.suffix for runtime in RUNTIMES.values())
    raise UserError(
        f"{path.name}: no runtime reads `{path.suffix}` files", f"give one of {choices}"
    )


def size_of(path: Path) -> int:
    """Bytes of a model file, and of its weights where they lie in a file beside, as OpenVINO's."""
    weights = path.with_suffix(".bin")
    beside = [weights] if path.suffix == ".xml" and weights.is_file() else []
    return sum(part.stat().st_size for part in (path, *beside))


def find(name: str) -> Runtime:
    """Raises UserError: no such runtime."""
    if name not in RUNTIMES:
        raise UserError(f"unknown runtime `{name}`", nearest(name, list(RUNTIMES)))
    return RUNTIMES[name]
