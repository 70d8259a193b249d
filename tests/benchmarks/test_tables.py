"""Tables come from result files, and from nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.tables import PAGES, ROOT, refreshed, rewrite

RESULT = {
    "commit": "abc1234",
    "date": "2026-01-02",
    "machine": {"processor": "A processor", "cores": 2},
    "rows": [
        {"name": "ours", "accuracy_mean": 86.125, "accuracy_std": 0.3, "samples": [86.0, 86.25]},
        {"name": "theirs", "accuracy_mean": 84.0, "accuracy_std": 0.25, "size_kb": 96.5},
    ],
}
PAGE = "before\n<!-- results:begin demo -->\nold\n<!-- results:end -->\nafter\n"


def test_a_region_is_filled_from_its_result(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(json.dumps(RESULT))
    text = rewrite(PAGE, tmp_path)
    assert text.splitlines() == [
        "before",
        "<!-- results:begin demo -->",
        "|  | accuracy mean | KB |",
        "| --- | ---: | ---: |",
        "| ours | 86.12 ± 0.3 |  |",
        "| theirs | 84 ± 0.25 | 96.5 |",
        "",
        "measured on A processor, 2 cores, 2026-01-02, commit abc1234 "
        "([`demo.json`](benchmarks/results/demo.json)).",
        "<!-- results:end -->",
        "after",
    ]
    assert rewrite(text, tmp_path) == text


def test_one_sample_has_no_deviation(tmp_path: Path) -> None:
    row = {"name": "ours", "accuracy_mean": 86.0, "accuracy_std": 0.0, "samples": [86.0]}
    (tmp_path / "demo.json").write_text(json.dumps({**RESULT, "rows": [row]}))
    assert "| ours | 86 |" in rewrite(PAGE, tmp_path)


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(json.dumps(RESULT))
    text = rewrite(PAGE.replace("demo", "demo name,size_kb"), tmp_path)
    assert "|  | KB |" in text
    assert "86.12" not in text


def test_rows_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(json.dumps(RESULT))
    for columns in ("size_kb!,accuracy_mean", "accuracy_mean,name=theirs"):
        text = rewrite(PAGE.replace("demo", f"demo {columns}"), tmp_path)
        assert "84 ± 0.25" in text and "86.12" not in text


def test_a_missing_result_is_said(tmp_path: Path) -> None:
    assert "Not measured yet (`benchmarks/results/demo.json` is missing)." in rewrite(
        PAGE, tmp_path
    )


def test_the_pages_say_what_the_results_say() -> None:
    for name in PAGES:
        text = (ROOT / name).read_text()
        assert refreshed(name) == text, f"{name}: run `python -m benchmarks.tables`"
