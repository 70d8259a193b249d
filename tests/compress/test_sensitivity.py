from __future__ import annotations

import torch
from networks import SIZE, Residual, normalized, pixels

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, prepare
from edgedistill.compress.sensitivity import sensitivity
from edgedistill.program import graph_of
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme
from edgedistill.tasks.classification import accuracy


def test_the_table_finds_a_sabotaged_layer_and_restores_everything() -> None:
    model = normalized(Residual())
    with torch.no_grad():
        # One huge weight that meets only zeros takes the whole range of its tensor.
        model.model.blocks[1].conv1.weight[0, 0, 0, 0] = 3000.0  # type: ignore[union-attr, index]
        model.model.blocks[1].bn1.running_mean[0] = 1e9  # type: ignore[union-attr, index]
    program = fold(model, image_inputs(3, SIZE, SIZE))
    x = pixels(96)
    with torch.no_grad():
        labels = graph_of(program)(x).argmax(1).numpy()
    prepared = prepare(program, Scheme(per_channel=False))
    calibrate(prepared, [(some,) for some in x.split(32)])
    with torch.no_grad():
        before = prepared(x)
        rows = sensitivity(prepared, (x,), lambda logits: accuracy(logits, labels))
        assert torch.equal(prepared(x), before)
    assert rows[0].layer == "blocks.1.conv1"
    assert rows[0].sqnr_db < min(row.sqnr_db for row in rows[1:]) - 10
    names = {row.layer for row in rows}
    assert {"normalize", "stem", "blocks.0.conv2", "add", "linear"} <= names
