"""An int8 OpenVINO file cut at every layer: each computes from integers that it is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.runtimes import openvino
from edgedistill.runtimes.openvino_ir.graph import is_quantizer

if TYPE_CHECKING:
    from edgedistill.runtimes import Array
    from edgedistill.runtimes.program import Layer


def compute(
    path: Path, native: list[Array], given: dict[str, Array], layers: list[Layer], optimize: bool
) -> tuple[dict[str, Array], list[Array]]:
    """See `layers.Compute`. A FakeQuantize gives real values, not integers."""
    model = openvino._read(path)
    ends = len(model.outputs)
    cut = _cut(model, layers)
    request = openvino._compile(model, 1, optimize).create_infer_request()
    reals = [layer.reals(given[layer.name]) for layer in cut]
    runs = []
    for sample in range(len(native[0])):
        feeds = [each[sample : sample + 1] for each in (*native, *reals)]
        results = request.infer(dict(enumerate(feeds)))
        runs.append([results[place].copy() for place in range(ends + len(cut))])
    whole = [np.concatenate(each) for each in zip(*runs, strict=True)]
    computed = zip(cut, whole[ends:], strict=True)
    return {layer.name: layer.steps(values) for layer, values in computed}, whole[:ends]


def _cut(model: Any, layers: list[Layer]) -> list[Layer]:
    """Make what every layer's FakeQuantize gives an output, and what its readers read an input;
    returns those layers that the model has."""
    from openvino import opset13

    made = {
        name: node
        for node in model.get_ordered_ops()
        if is_quantizer(node)
        for name in node.output(0).names
    }
    found = {}
    for layer in layers:
        name = next((each for each in (*layer.readers, layer.name) if each in made), None)
        if name is not None:
            found[made.pop(name)] = layer
    entries = []
    for node in found:
        entry = opset13.parameter(node.output(0).partial_shape, node.output(0).element_type)
        # Readers find their numbers behind a FakeQuantize, as in the file: else they would be
        # computed in float.
        ranges = [node.input_value(port) for port in range(1, 5)]
        levels = int(node.get_attributes()["levels"])
        again = opset13.fake_quantize(entry, *ranges, levels)
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(again.output(0))
        entries.append(entry)
    model.add_parameters(entries)
    model.add_outputs([node.output(0) for node in found])
    return list(found.values())
