"""A program over a whole sequence, its state fed back from step to step, as an app runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.records import Cause, FileEntry, OutputParity, ProgramRow
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.native import to_real
from edgedistill.runtimes.parity import misses_over_steps
from edgedistill.runtimes.verdict import KERNELS

if TYPE_CHECKING:
    import torch

    from edgedistill.program import Program
    from edgedistill.recipe import VerifyConfig
    from edgedistill.runtimes import Array, Floats, Loaded
    from edgedistill.signature import Signature

    Steps = Sequence[tuple[torch.Tensor, ...]]
    """For each step the inputs that are no state, in their order, each (1, ...)."""


_GOLDEN_STEPS = 16


class Stream:
    """A loaded program with its state, zero at the beginning."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.reset()

    @property
    def signature(self) -> Signature:
        """The program's, with the file's own shapes, layouts and scales."""
        return self._loaded.signature

    def reset(self) -> None:
        """Begin anew."""
        inputs = {each.name: each for each in self._loaded.signature.inputs}
        self._states = {
            name: _zero(inputs[name].of_batch(1), inputs[name].dtype, inputs[name].zero_point)
            for name in self._loaded.signature.state.values()
        }

    def __call__(self, *inputs: Array) -> dict[str, Array]:
        """One step: real values (1, ...) of the inputs that are no state, in their order, to those
        of all outputs. The state stays as the file holds it: integers are fed back unchanged."""
        return self._loaded.decode(self._run(*inputs))

    def judged(self, *inputs: Array) -> Floats:
        """One step as a call is, to the output that a task judges alone, float32 (1, values)."""
        signature = self._loaded.signature
        spec = signature.outputs[signature.answer]
        return to_real(self._run(*inputs)[spec.name], spec).astype(np.float32, copy=False)

    def _run(self, *inputs: Array) -> dict[str, Array]:
        """One step, to all outputs as the file holds them."""
        signature = self._loaded.signature
        fresh = dict(zip((each.name for each in signature.fresh), inputs, strict=True))
        native = self._loaded.encode_some(fresh) | self._states
        outputs = {name: each.copy() for name, each in self._loaded.run(native).items()}
        for given, taken in signature.state.items():
            self._states[taken] = outputs[given]
        return outputs


def _zero(shape: tuple[int, ...], dtype: str, zero_point: int | None) -> Array:
    return np.full(shape, zero_point or 0, dtype)


def reference(program: Program, steps: Steps) -> dict[str, Array]:
    """What the torch graph answers over a sequence: (steps, ...) by output."""
    import torch

    from edgedistill.program import graph_of, rollout

    with torch.no_grad():
        given = [outputs for _, outputs in rollout(graph_of(program), program.signature, steps)]
    columns = zip(program.signature.outputs, zip(*given, strict=True), strict=True)
    return {spec.name: np.concatenate([each.numpy() for each in found]) for spec, found in columns}


def answers(loaded: Loaded, steps: Steps) -> dict[str, Array]:
    """What a file answers over a sequence: (steps, ...) by output."""
    stream = Stream(loaded)
    given = [stream(*(each.numpy() for each in step)) for step in steps]
    return {name: np.concatenate([each[name] for each in given]) for name in given[0]}


def judge(
    entry: FileEntry, path: Path, program: Program, steps: Steps, golden: Path, asked: VerifyConfig
) -> ProgramRow:
    """Hold a file's program against its graph over a sequence. The first steps, and what the file
    gives there, are written into the folder `golden`."""
    wanted, scales = reference(program, steps), scales_of(program)
    few = steps[:_GOLDEN_STEPS]
    golden.mkdir(parents=True, exist_ok=True)
    names = [each.name for each in program.signature.fresh]
    columns = zip(names, zip(*few, strict=True), strict=True)
    _save(golden / "inputs.npz", {name: np.concatenate(each) for name, each in columns})

    def run(optimize: bool) -> tuple[OutputParity, ...]:
        loaded = RUNTIMES[entry.runtime].load(path, optimize=optimize, program=entry.program)
        found = answers(loaded, steps)
        first = {name: values[: len(few)] for name, values in found.items()}
        _save(golden / f"outputs_{entry.file}.npz", first)
        return compare(found, wanted, scales)

    usual = run(True)
    plain: tuple[OutputParity, ...] = ()
    missed = misses_over_steps(usual, entry.runtime, entry.precision, asked)
    because: Cause | None = None
    if missed:
        plain = run(False)
        wrong = misses_over_steps(plain, entry.runtime, entry.precision, asked)
        because = "the file" if wrong else KERNELS
    return ProgramRow(
        entry.runtime, entry.precision, entry.file, entry.program, len(steps), usual, plain,
        tuple(missed), because, because != "the file",
    )  # fmt: skip


def _save(path: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(path, **arrays)


def compare(
    found: dict[str, Array], wanted: dict[str, Array], scales: dict[str, float | None]
) -> tuple[OutputParity, ...]:
    """How far each output (steps, ...) is from the graph's over a sequence, and whether the error
    grows; scales: of the outputs, None where one is float."""
    return tuple(_compare(name, found[name], wanted[name], scales[name]) for name in wanted)


def _compare(name: str, found: Array, wanted: Array, scale: float | None) -> OutputParity:
    apart = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    share = apart / (float(np.ptp(wanted)) or 1.0)
    half = len(apart) // 2
    steps = None if scale is None else np.rint(apart / scale)
    return OutputParity(
        name,
        float(share.max()),
        float(share[:half].max(initial=0.0)),
        None if steps is None else float(steps.max()),
        None if steps is None else float((steps <= 1).mean()),
    )


def scales_of(program: Program) -> dict[str, float | None]:
    """Each output's scale; None where it is float."""
    from edgedistill.runtimes.program import output_scales

    names = [each.name for each in program.signature.outputs]
    return dict(zip(names, output_scales(program), strict=True))


def state_scales_agree(signature: Signature) -> bool:
    """Whether both ends of every state hold the same integers in a file."""
    inputs = {each.name: each for each in signature.inputs}
    outputs = {each.name: each for each in signature.outputs}
    return all(
        (outputs[given].dtype, outputs[given].scale, outputs[given].zero_point)
        == (inputs[taken].dtype, inputs[taken].scale, inputs[taken].zero_point)
        for given, taken in signature.state.items()
    )
