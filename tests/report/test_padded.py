"""Padded multiply-accumulates in the report and in contracts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgedistill.artifact import Artifact, seal
from edgedistill.errors import UserError
from edgedistill.recipe import load_recipe
from edgedistill.report import build_report
from edgedistill.report.page import page
from edgedistill.target import Kernel, load_target

KERNEL = Kernel(output_channels=16, input_channels=4, depthwise=16)


def padded(result: Any) -> Any:
    """The same compile, for a target whose kernels are known, its models of two products."""
    for name, channels in (("distill", 32), ("prune", 24)):
        artifact: Artifact = result.artifacts[name]
        products = [[2, 1, channels, 30, 1, 1000], [1, channels, 1, 1, 9, 1000]]
        metrics = {**artifact.metrics, "products": products}
        result.artifacts[name] = seal(artifact.path, name, metrics, {})
    target = result.target.model_copy(update={"kernel": KERNEL})
    return dataclasses.replace(result, target=target)


def test_the_report_shows_padded_macs_where_the_kernels_are_known(
    make_result: Callable[..., Any],
) -> None:
    report = build_report(padded(make_result()))
    cut = (2 * 32 * 32 * 1000 + 32 * 9 * 1000) / 1e6
    assert [row.padded_macs for row in report.stages] == [None, cut, cut, cut, cut]
    assert report.summary.padded_macs == cut
    assert "<th>padded</th>" in page(report)
    plain = build_report(make_result())
    assert plain.summary.padded_macs is None
    assert "<th>padded</th>" not in page(plain)


def test_a_contract_holds_padded_macs(make_result: Callable[..., Any]) -> None:
    report = build_report(padded(make_result(contract={"max_padded_macs": 2.3})))
    (line,) = (line for line in report.contract if line.name == "padded MACs")
    assert (line.status, line.value) == ("missed", 2.336)
    report = build_report(make_result(contract={"max_padded_macs": 2.3}))
    (line,) = (line for line in report.contract if line.name == "padded MACs")
    assert line.status == "not measured"
    assert line.note.endswith("does not say in which blocks its kernels compute")


@pytest.mark.parametrize("name", ["android-arm64", "raspberry-pi-5", "ios-arm64"])
def test_targets_of_litert_prune_in_whole_tiles(name: str) -> None:
    target = load_target(name)
    assert target.primary == "litert" and target.kernel is not None
    assert target.channel_multiple % target.kernel.output_channels == 0


def test_a_goal_in_padded_macs_needs_a_target_that_tells_of_its_kernels() -> None:
    from edgedistill.plan import steps

    example = Path(__file__).parents[2] / "examples" / "digits.yaml"
    recipe = load_recipe(example, ["stages.prune={padded_macs: 0.4}"])
    with pytest.raises(UserError, match="the target linux-x64 does not say in which blocks"):
        steps(recipe, load_target("linux-x64"))
    phone = load_target("android-arm64")
    (pruning,) = (step.config for step in steps(recipe, phone) if step.name == "prune")
    assert pruning.kernel == phone.kernel  # type: ignore[attr-defined]
