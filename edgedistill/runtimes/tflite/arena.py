"""How much memory LiteRT lays the tensors of a file out in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgedistill.runtimes.native import hushed

if TYPE_CHECKING:
    from edgedistill.runtimes.tflite.file import File

_APART = 64
"""Bytes that LiteRT's plan may leave between two tensors, so that each begins at a multiple."""


def arena_bytes(file: File) -> int:
    """What the plan of LiteRT's own kernels takes for whatever a file computes from a sample, and
    for what they work in; the weights stay in the file. Tensors share a place where none is needed
    while another is: the plan is read from where they lie.

    What a delegate takes lies in memory that it plans itself, for the processor's own kernels; of
    XNNPACK it is a part of the peak that is measured.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with hushed():
        runner = Interpreter(
            model_content=file.pack(),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        runner.allocate_tensors()
    written = len(file.graph.tensors)
    spans = []
    for each in runner.get_tensor_details():
        index = each["index"]
        if index < written and file.constant(index) is not None:
            continue
        try:
            begin = runner.tensor(index)().ctypes.data
        except ValueError:  # what is given its place only as it is computed
            continue
        spans.append((begin, begin + runner.tensor(index)().nbytes))
    return _covered(spans)


def _covered(spans: list[tuple[int, int]]) -> int:
    """Bytes between the first and the last of what lies together; what does not is added up."""
    total, begin, end = 0, 0, 0
    for first, last in sorted(spans):
        if first - end > _APART:
            total += end - begin
            begin, end = first, last
        end = max(end, last)
    return total + end - begin
