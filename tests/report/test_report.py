from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgedistill.artifact import Artifact, seal, write_json
from edgedistill.records import (
    LayerSensitivity,
    ReportRecord,
    as_json,
    read_record,
)
from edgedistill.report import build_report, summary
from edgedistill.report.page import page

Make = Callable[..., Any]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any x86-64 machine."""
    found = {"processor": "a test", "isa": "x86_64", "flags": ["avx2"], "cores": 2,
             "memory_gb": 8.0, "system": "Linux 6", "versions": {"python": "3.11"}}  # fmt: skip
    monkeypatch.setattr("edgedistill.report.build.machine", lambda: found)


def change(result: Any, stage: str, file: str, edit: Callable[[Any], object]) -> None:
    artifact: Artifact = result.artifacts[stage]
    content = artifact.json(file)
    edit(content)
    write_json(artifact.file(file), content)
    result.artifacts[stage] = seal(artifact.path, stage, artifact.metrics, {})


@pytest.mark.usefixtures("here")
def test_stages_show_quality_size_and_latency(make_result: Make) -> None:
    rows = build_report(make_result()).stages
    assert [row.stage for row in rows] == ["teacher", "distill", "prune", "quantize", "export"]
    assert [row.validation_quality for row in rows] == [96.0, 95.0, 94.5, 94.0, None]
    assert [row.test_quality for row in rows] == [95.5, 94.6, 94.25, 94.1, 94.0]
    assert [row.size_kb for row in rows[:3]] == [400, 120, 60]
    assert [row.p50_ms for row in rows] == [1.0, 0.4, 0.2, None, 0.1]
    assert rows[-1].macs == 4.0


@pytest.mark.usefixtures("here")
def test_summary_holds_the_shipped_file_against_the_teacher(make_result: Make) -> None:
    found = build_report(make_result()).summary
    assert found.file == "tiny.int8.onnx"
    assert found.quality_drop == pytest.approx(1.5)
    assert found.faster_than_teacher == pytest.approx(10)


@pytest.mark.usefixtures("here")
def test_contract_lines_are_ok_or_missed(make_result: Make) -> None:
    limits = {"max_drop": 1, "max_size_kb": 50, "max_latency_ms": 5, "max_macs": 5,
              "min_retention": 0.9, "max_memory_mb": 1}  # fmt: skip
    report = build_report(make_result(contract=limits))
    status = {line.name: line.status for line in report.contract}
    assert status == {
        "quality drop": "missed", "quality kept": "ok", "size": "ok", "MACs": "ok",
        "latency": "ok", "memory": "missed", "parity": "ok",
    }  # fmt: skip
    assert not report.ok


@pytest.mark.usefixtures("here")
def test_latency_of_a_phone_is_not_taken_from_this_machine(make_result: Make) -> None:
    report = build_report(make_result("android-arm64"))
    line = next(line for line in report.contract if line.name == "latency")
    assert line.status == "not measured"
    assert line.value is None
    assert line.note == "this machine is not android-arm64; `--device` measures on one that is"
    assert report.ok
    assert "not on android-arm64" in report.where


@pytest.mark.usefixtures("here")
def test_a_file_that_drifted_misses_the_contract(make_result: Make) -> None:
    result = make_result()
    change(result, "verify", "verify.json", lambda found: found["rows"][1].update(ok=False))
    report = build_report(result)
    line = next(line for line in report.contract if line.name == "parity")
    assert (line.status, line.note) == ("missed", "tiny.int8.onnx")
    assert not report.ok


@pytest.mark.usefixtures("here")
def test_stages_that_made_things_worse_are_warned_of(make_result: Make) -> None:
    result = make_result(stages={"teacher": {"train": {}}, "quantize": {"max_drop": 0.2},
                                 "prune": {"speedup": 2, "max_drop": 0.2}})  # fmt: skip
    change(
        result, "benchmark", "measurements.json", lambda found: found["rows"][4].update(p50_ms=0.5)
    )
    assert list(build_report(result).warnings) == [
        "prune: validation quality fell by 0.5 points (95.0 to 94.5 %); the recipe allows 0.2",
        "quantize: validation quality fell by 0.5 points (94.5 to 94.0 %); the recipe allows 0.2",
        "tiny.int8.onnx: slower than fp32 in onnxruntime on this machine (0.5 against 0.2 ms)",
    ]


@pytest.mark.usefixtures("here")
def test_pruning_undone_and_layers_in_float_are_warned_of(make_result: Make) -> None:
    result = make_result()
    result.artifacts["prune"].metrics.update(undone=True, undone_because="it cost a lot")
    left = ["left in float in int8 files: stem"]
    result.artifacts["export"].metrics.update(warnings=left)
    assert list(build_report(result).warnings) == [
        "export: left in float in int8 files: stem",
        "prune: undone, as it cost a lot",
    ]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("cause", "word"), [("this machine's kernels", "kernels here"), ("rounding", "rounding")]
)
def test_what_is_no_fault_of_a_file_is_said_alike_everywhere(
    make_result: Make, cause: str, word: str
) -> None:
    result = make_result()
    told = f"it is {cause}: what was run and what came"

    def explain(found: Any) -> None:
        found["rows"][1].update(ok=True, cause=cause, verdict=told, missed=["too far"])

    change(result, "verify", "verify.json", explain)
    result.artifacts["verify"].metrics["warnings"] = [f"tiny.int8.onnx: misses; {told}"]
    report = build_report(result)
    assert report.ok
    line = next(line for line in report.contract if line.name == "parity")
    assert (line.status, line.note) == ("ok", f"tiny.int8.onnx: {cause}")
    text, html = summary(report, 200), page(report).replace("&#39;", "'")
    assert word in text and word in html
    assert told in text and told in html
    assert "missed" not in text.lower()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("target", ["android-arm64", "linux-x64"])
def test_kernels_that_stray_here_count_against_a_file_only_on_their_own_target(
    make_result: Make, target: str
) -> None:
    result = make_result(target)
    shipped = next(row.file for row in build_report(result).files if row.shipped)

    def stray(found: Any) -> None:
        row = next(row for row in found["rows"] if row["file"] == shipped)
        row.update(quality=60.0, cause="this machine's kernels")

    change(result, "verify", "verify.json", stray)
    report = build_report(result)
    there = target == "linux-x64"
    assert report.summary.quality == (60.0 if there else 94.1)
    told = f"its quality is given as the torch graph's, 94.10 %; the kernels of this machine, " \
        f"which is not {target}, reach 60.00 %"  # fmt: skip
    assert [told in text for text in report.warnings if text.startswith("verify: ")] == (
        [] if there else [True]
    )


@pytest.mark.usefixtures("here")
def test_warnings_come_last_by_what_they_are_about_and_with_what_to_do(make_result: Make) -> None:
    result = make_result()
    result.artifacts["prune"].metrics.update(undone=True, undone_because="it cost a lot")
    result.artifacts["export"].metrics.update(warnings=["left in float: stem", "transposes: 2"])
    report = build_report(result)
    text = summary(report, 200, bundle="out")
    after = text[text.index("Bundle: out") :].splitlines()
    assert after[2] == "Pruning"
    assert after[3] == "- prune: undone, as it cost a lot"
    assert after[4].startswith("  To do: prune less")
    assert after[6:9] == [
        "What the files hold", "- export: left in float: stem", "- export: transposes: 2"
    ]  # fmt: skip
    html = page(report)
    assert html.index("<h2>Contract") < html.index("<h2>Files") < html.index("<h2>Warnings")
    assert "To do: prune less" in html


@pytest.mark.usefixtures("here")
def test_the_verdict_says_what_was_not_measured(make_result: Make) -> None:
    report = build_report(make_result("android-arm64", contract={"max_latency_ms": 5}))
    wanted = "contract kept as far as measured; not measured: latency"
    assert report.ok
    assert wanted in summary(report, 200).splitlines()[0]
    assert wanted in page(report)
    assert "contract kept" in summary(build_report(make_result()), 200).splitlines()[0]


@pytest.mark.usefixtures("here")
def test_images_in_two_splits_are_warned_of_with_the_path_of_the_list(make_result: Make) -> None:
    result = make_result()
    data = result.artifacts["data"]
    pairs = {"train/validation": 0, "train/test": 2, "validation/test": 0}
    data.metrics["duplicates"] = {"exact": pairs, "near": {**pairs, "train/test": 1}}
    assert list(build_report(result).warnings) == [
        f"data: 3 samples of test are in train too; {data.path / 'data.json'} names some"
    ]


@pytest.mark.usefixtures("here")
def test_a_report_is_json_and_missing_figures_are_none(make_result: Make, tmp_path: Path) -> None:
    result = make_result()
    change(result, "verify", "verify.json", lambda found: (found["torch"].clear(),
                                                           found["rows"].clear()))  # fmt: skip
    report = build_report(result)
    report.write(tmp_path)
    assert read_record(ReportRecord, tmp_path / "report.json") == report
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["quality"] is None
    assert report.summary.quality is None
    assert {line.name: line.status for line in report.contract}["parity"] == "not measured"
    assert summary(report)
    assert page(report)


def test_a_report_of_the_first_format_is_read(make_result: Make, tmp_path: Path) -> None:
    report = build_report(make_result())
    older = {**as_json(report), "report_format": 1, "searched": None}
    (tmp_path / "report.json").write_text(json.dumps(older))
    assert read_record(ReportRecord, tmp_path / "report.json") == replace(report, report_format=1)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_summary_fits_the_terminal(make_result: Make, width: int) -> None:
    text = summary(build_report(make_result("android-arm64")), width)
    assert max(map(len, text.splitlines())) <= width
    assert "not measured" in text
    for word in ("teacher", "quantize", "onnxruntime", "int8 *", "94.25"):
        assert word in text


@pytest.mark.usefixtures("here")
def test_the_summary_tells_the_result_in_a_sentence(make_result: Make) -> None:
    text = summary(build_report(make_result()), 200)
    assert re.search(
        r"^int8 student in onnxruntime; accuracy 94\.00 % on the test set; "
        r"teacher 95\.50 % \(98\.4 % kept\); \d\.\d KB \(\d+\.\dx smaller\); "
        r"0\.1 ms here \(10\.0x faster than the teacher in onnxruntime\)\.$",
        text,
        re.MULTILINE,
    )


@pytest.mark.usefixtures("here")
def test_the_page_asks_nothing_of_the_network_and_escapes_names(make_result: Make) -> None:
    result = make_result()
    change(
        result,
        "benchmark",
        "measurements.json",
        lambda found: found["rows"][4]["operators"][0].update(name="<script>"),
    )
    text = page(build_report(result))
    assert not re.search(r"(src|href)=|url\(|@import|<script", text)
    assert "&lt;script&gt;" in text
    assert "94.00 %" in text


def test_operators_without_times_are_not_said_to_be_sorted_by_them(
    make_result: Callable[..., Any],
) -> None:
    report = build_report(make_result())
    assert "the longest first" in page(report) and "Where the time goes" in page(report)
    rows = [
        replace(row, operators=tuple(replace(each, microseconds=None) for each in row.operators))
        for row in report.measurements
    ]
    told = page(replace(report, measurements=tuple(rows)))
    assert "Where the time goes" not in told and "the longest first" not in told
    assert "What runs where" in told and "gives no times of single operators" in told


def test_what_rounding_a_layer_costs_is_shown_with_what_was_left_in_float(
    make_result: Make,
) -> None:
    report = build_report(make_result())
    assert report.quantized is not None
    assert report.quantized.sensitivity[0] == LayerSensitivity("stem", True, 1.25, 20.0)
    told = page(report)
    assert "<td>1.25</td>" in told
    assert "linear (left in float)" in told
    assert "stem (left in float)" not in told


def test_names_in_brackets_are_no_markup(make_result: Make) -> None:
    report = build_report(make_result())
    line = replace(report.contract[0], note="worst in `[/x]`, then `[other]`")
    changed = replace(report, contract=(line, *report.contract[1:]))
    assert "worst in `[/x]`, then `[other]`" in summary(changed, 200)


def test_what_is_handed_on_has_no_secrets(make_result: Make) -> None:
    teacher = {
        "family": "http", "url": "https://${ME}:${WORD}@host:8/SECRET/ask?version=SECRET",
        "headers": {"Authorization": "Bearer ${TOKEN}", "X-Tenant": "SECRET"},
    }  # fmt: skip
    report = build_report(make_result(teacher=teacher, stages={}))
    told = report.recipe["teacher"]
    assert told["url"] == "https://host:8/..."
    assert told["headers"] == {"Authorization": "Bearer ${TOKEN}", "X-Tenant": "***"}
    assert "SECRET" not in json.dumps(as_json(report))
