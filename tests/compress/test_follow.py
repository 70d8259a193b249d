"""A step in integers beside its `main`, with a front end that stays in float."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sound_net import BANDS, FRAMES, HOP, INPUTS, LENGTH, Sounds, sounds
from torch import nn

from edgedistill import program_file
from edgedistill.compress.describe import describe
from edgedistill.compress.fold import fold
from edgedistill.compress.follow import follow
from edgedistill.compress.quantize import Batch, calibrate, convert, prepare, present
from edgedistill.compress.streams import fed
from edgedistill.errors import UserError
from edgedistill.models.programs import float_parts, programs
from edgedistill.program import Program, graph_of, module_of, placeholders, rollout
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.program import layers
from edgedistill.runtimes.sequences import answers, reference, scales_of, state_scales_agree
from edgedistill.runtimes.tflite.file import File
from edgedistill.target import Scheme

KEPT = ("front_end",)
STEPS = 500
LABELS = ("yes", "no", "silence")


@pytest.fixture(scope="module")
def folded() -> dict[str, Program]:
    torch.manual_seed(0)
    net = Sounds()
    with torch.no_grad():
        net.train()(sounds(32))
    return {name: fold(each, spec) for name, (each, spec) in programs(net, INPUTS).items()}


def in_integers(program: Program, keep: tuple[str, ...] = KEPT) -> Program:
    prepared = prepare(program, Scheme(), keep)
    calibrate(prepared, [(sounds(32),)])
    return convert(prepared)


def unasked(program: Program) -> Any:
    raise AssertionError("a scale is looked for that `main` has")


@pytest.fixture(scope="module")
def quantized(folded: dict[str, Program]) -> dict[str, Program]:
    main = in_integers(folded["main"])
    return {"main": main, "step": follow(folded["step"], main, Scheme(), unasked, KEPT)}


def hops(count: int, seed: int = 9) -> tuple[torch.Tensor, list[Batch]]:
    samples = sounds(1, HOP * count, seed)
    return samples, [(each,) for each in torch.split(samples, HOP, 1)]


def test_nothing_of_a_part_that_stays_in_float_is_rounded(quantized: dict[str, Program]) -> None:
    for program in quantized.values():
        graph = graph_of(program)
        inside = [each for each in graph.graph.nodes if module_of(each) == "front_end"]
        assert len(inside) > 10
        for node in inside:
            sources = [str(each.target) for each in node.all_input_nodes]
            assert not any(name.startswith("quantized_decomposed") for name in sources)
        *_, last = (each for each in inside if each.name.startswith("unsqueeze"))
        (reader,) = last.users
        assert "quantize_per_tensor" in str(reader.target)
        assert all(not user.name.startswith("quantize") for user in placeholders(graph)[0].users)


def test_a_step_rounds_as_its_main_does(quantized: dict[str, Program]) -> None:
    """Every window's answer is the step's that ends there, to the last bit."""
    samples, steps = hops(200)
    step, main = (graph_of(quantized[name]) for name in ("step", "main"))
    with torch.no_grad():
        given = [each[0] for _, each in rollout(step, quantized["step"].signature, steps)]
        for last in range(LENGTH // HOP - 1, len(steps), 5):
            end = (last + 1) * HOP
            torch.testing.assert_close(
                given[last], main(samples[:, end - LENGTH : end]), rtol=0, atol=1e-6
            )


def test_a_state_has_one_scale_and_what_floats_read_none(quantized: dict[str, Program]) -> None:
    step = quantized["step"]
    scales = scales_of(step)
    taken = {layer.input: layer.scale for layer in layers(step) if layer.input is not None}
    names = [each.name for each in step.signature.inputs]
    assert scales["heard_out"] is None
    assert names.index("heard_in") not in taken
    for name in ("seen", "felt", "kept"):
        assert taken[names.index(f"{name}_in")] == scales[f"{name}_out"]


def test_what_main_has_no_scale_for_is_observed(folded: dict[str, Program]) -> None:
    """As where the two programs are written apart: here `main` stands for one that has less."""
    main = in_integers(folded["main"])
    for node in main.exported.graph.nodes:
        if module_of(node) in ("", "stem"):
            node.meta.pop("custom", None)

    def feed(program: Program) -> Any:
        learned = dict(graph_of(program).named_parameters())
        assert torch.equal(
            learned["stem.bias"], dict(graph_of(main).named_parameters())["stem.bias"]
        )
        return fed(program, "step", [(sounds(8),)])

    said = describe(follow(folded["step"], main, Scheme(), feed, KEPT))
    assert set(said.float_layers) == {
        node.name for node in graph_of(folded["step"]).graph.nodes
        if module_of(node) == "front_end"
    } | {"cat", "slice_6"}  # fmt: skip
    with pytest.raises(AssertionError, match="is looked for"):
        follow(folded["step"], main, Scheme(), unasked, KEPT)


def test_a_recipe_can_name_a_module(folded: dict[str, Program]) -> None:
    said = describe(in_integers(folded["main"], (*KEPT, "deep")))
    assert "deep" in said.float_layers and "wide" not in said.float_layers
    assert present(folded["main"], ("front_end", "nothing", "deep")) == ("front_end", "deep")
    with pytest.raises(UserError, match="no layer with weights `front`"):
        prepare(folded["main"], Scheme(), ("front",))


def test_origins_outlive_a_file(quantized: dict[str, Program], tmp_path: Path) -> None:
    kept = program_file.keep(quantized["step"], tmp_path / "step.program")
    found = [module_of(each) for each in graph_of(kept).graph.nodes]
    assert found.count("front_end") == [
        module_of(each) for each in graph_of(quantized["step"]).graph.nodes
    ].count("front_end")


def test_larger_constants_of_a_part_in_float_are_halved(
    folded: dict[str, Program], quantized: dict[str, Program]
) -> None:
    before, after = (dict(graph_of(each["main"]).named_buffers()) for each in (folded, quantized))
    for name in ("window", "waves", "bands"):
        old, new = (each[f"front_end.{name}"] for each in (before, after))
        assert torch.equal(new, old.half().float() if name == "waves" else old)
    learned = [dict(graph_of(each["main"]).named_parameters()) for each in (folded, quantized)]
    assert torch.equal(learned[0]["wide.weight"], learned[1]["wide.weight"])
    kept = in_integers(folded["main"], (*KEPT, "wide"))
    assert torch.equal(
        dict(graph_of(kept).named_parameters())["wide.weight"], learned[0]["wide.weight"]
    )


def test_a_part_that_is_none_is_told() -> None:
    net = Sounds()
    net.float_parts = ("front_ent",)
    with pytest.raises(UserError, match="`front_ent`, which is no part") as caught:
        float_parts(net)
    assert caught.value.hint == "did you mean `front_end`?"
    assert float_parts(nn.Linear(1, 1)) == ()


@pytest.mark.parametrize(
    ("runtime", "io"), [("litert", "float"), *((each, "integer") for each in STANDARD)]
)
def test_files_follow_the_graph_over_a_long_sequence(
    quantized: dict[str, Program], runtime: str, io: Any, tmp_path: Path
) -> None:
    program, (_, steps) = quantized["step"], hops(STEPS)
    path = tmp_path / f"step{RUNTIMES[runtime].suffix}"
    RUNTIMES[runtime].write(program, path, Spec("int8", LABELS, io, "sounds"))
    loaded = RUNTIMES[runtime].load(path, optimize=runtime == "litert")
    assert state_scales_agree(loaded.signature)
    types = {each.name: each.dtype for each in loaded.signature.inputs}
    assert types["samples"] == types["heard_in"] == "float32"
    assert types["seen_in"] == ("float32" if io == "float" else "int8")
    found, wanted = answers(loaded, steps), reference(program, steps)
    for name, scale in scales_of(program).items():
        apart = np.abs(found[name].astype(float) - wanted[name])
        assert apart.max() <= (1.001 * scale if scale else 0.0), name


def test_a_file_holds_both_programs_and_what_they_share_once(
    quantized: dict[str, Program], tmp_path: Path
) -> None:
    litert = RUNTIMES["litert"]
    paths = {name: tmp_path / f"{name}.tflite" for name in quantized}
    for name, path in paths.items():
        litert.write(quantized[name], path, Spec("int8", LABELS, "float", "sounds"))
    joined = tmp_path / "joined.tflite"
    assert litert.join(paths, joined) is None
    assert joined.stat().st_size < 0.75 * sum(path.stat().st_size for path in paths.values())
    stored = [each for each in File.read(paths["step"]).model.buffers if each.data is not None]
    waves = dict(graph_of(quantized["step"]).named_buffers())["front_end.waves"]
    assert waves.half().numpy().T.tobytes() in [bytes(each.data) for each in stored]
    samples, steps = hops(30)
    apart = {name: litert.load(path) for name, path in paths.items()}
    window = samples[:, :LENGTH].numpy()
    assert np.array_equal(litert.load(joined)(window), apart["main"](window))
    one, other = (answers(each, steps) for each in (litert.load(joined, program="step"),
                                                    apart["step"]))  # fmt: skip
    assert all(np.array_equal(one[name], other[name]) for name in other)
    assert one["seen_out"].shape == (30, 1, 2, BANDS) and FRAMES == LENGTH // HOP - 2
