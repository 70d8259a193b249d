from __future__ import annotations

from pathlib import Path

from benchmarks.house import places

SOURCE = """
from typing import Any


def first(artifact: Any, found: dict[str, Any]) -> list[dict[str, int]]:
    quality = artifact.metrics["quality"] + artifact.metrics.get("drop", 0)
    if artifact.json("data.json")["task"] == found or found.task in ("a", "b"):
        return quality


class Public:
    def method(self) -> int: ...

    @property
    def plain(self) -> int:
        return 1
"""


def test_each_kind_is_counted_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    found = places(tmp_path)
    assert found["untyped mappings"] == ["a.py:5 dict[str, Any]"]
    assert sorted(found["string-keyed reads of a stage's JSON"]) == [
        "a.py:6 artifact.metrics.get('drop', 0)",
        "a.py:6 artifact.metrics['quality']",
        "a.py:7 artifact.json('data.json')",
    ]
    assert found["comparisons on the task outside tasks/"] == ["a.py:7 found.task in ('a', 'b')"]
    assert found["public functions without a docstring"] == ["a.py:5 first", "a.py:12 method"]
    assert found["functions over 60 lines"] == found["files over 300 lines"] == []


def test_a_task_s_own_file_may_know_its_task(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "b.py").write_text("x = task == 'retrieval'\n")
    assert not any(places(tmp_path).values())
