"""Write the tables of README and docs from `results/*.json`, between markers:

<!-- results:begin NAME [column,column!,column=value,...] -->
<!-- results:end -->

With an exclamation mark: of rows alone that have it; with a value: of those that have that one.

python -m benchmarks.tables           rewrite them
python -m benchmarks.tables --check   exit code 1 where one is not what the results say
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGES = (
    "README.md", "docs/design.md", "docs/devices.md", "docs/distillation.md", "docs/sound.md",
    "docs/packages.md", "docs/packages_android.md", "docs/packages_formats.md",
    "docs/packages_web.md", "docs/speech.md",
)  # fmt: skip
REGION = re.compile(
    r"(?P<begin><!-- results:begin (?P<name>\w+)(?: (?P<columns>[-\w ,.!=:]+?))? -->\n)"
    r".*?(?P<end><!-- results:end -->)",
    re.DOTALL,
)
HEADINGS = {
    "name": "",
    "accuracy": "accuracy %",
    "size_kb": "KB",
    "macs": "M MACs",
    "params": "k parameters",
    "p50_ms": "p50 ms",
    "p90_ms": "p90 ms",
    "p99_ms": "p99 ms",
    "peak_memory_mb": "MB",
    "images_per_second": "images/s",
    "agreement": "top-1 agrees",
    "within_step": "within one step",
    "max_steps": "worst, steps",
    "oldest": "wants",
    "version": "tflite-runtime",
    "accuracy_old": "accuracy there, %",
    "accuracy_now": "in LiteRT, %",
    "equal_to_usual": "values as LiteRT's",
    "worst_to_usual": "worst",
    "equal_to_reference": "as its reference kernels'",
    "worst_to_reference": "worst of these",
    "times_slower": "latency, LiteRT 1",
    "of_litert": "latency, LiteRT 1",
    "of_litert_p10": "of the fastest tenth",
    "quality": "accuracy %",
    "seconds": "s",
    "fp32_ms": "float32 ms",
    "int8_ms": "int8 ms",
    "fp32_k_instructions": "float32, k instructions",
    "int8_k_instructions": "int8, k instructions",
    "int8_share": "int8 : float32",
    "fp32_apart": "float32 apart",
    "int8_apart": "int8 apart, steps",
    "from_outside_mb": "from outside, MB",
    "apart_percent": "apart %",
    "plain_mb": "plain program, MB",
    "second_mb": "a second one, MB",
    "padded_macs": "M padded MACs",
    "validation": "validation %",
    "range": "range of the answers",
    "own_apart": "float32 apart from its own window",
    "within_0": "the same",
    "within_1": "within one step",
    "within_2": "within two",
    "own_steps": "its own window, steps",
    "window_steps": "whole window, steps",
    "hop_ms": "hop, ms",
    "real_time_percent": "of the hop's time, %",
    "k_instructions": "k instructions",
    "ours_ahead": "edgedistill ahead, points",
    "ahead_low": "from",
    "ahead_high": "to, 95 %",
    "gained": "gained, points",
    "gained_low": "from",
    "gained_high": "to, 95 %",
    "our_latency": "edgedistill's latency, this 1",
    "whole_mb": "the tool, MB",
    "install_seconds": "its install, s",
    "ratio_to_the_runtimes_own": "latency",
    "predicted": "told",
    "error_rate.words": "WER %",
    "error_rate.characters": "CER %",
    "before.cross_entropy": "cross entropy before",
    "after.cross_entropy": "after",
    "after.accuracy": "tokens right %",
    "otherwise": "words otherwise %",
    "increase": "above its teacher, points",
    "median_of_utterances": "median of utterances",
    "words.silence": "silence",
    "words.white noise": "white noise",
    "words.tones": "tones",
    "words.ESC-10": "ESC-10",
}


def rewrite(text: str, results: Path = RESULTS, up: str = "") -> str:
    """A page with every region filled anew; `up` leads from the page's folder to the root."""
    return REGION.sub(
        lambda found: found["begin"] + _filled(found, results, up) + found["end"], text
    )


def refreshed(page: str) -> str:
    """What one of `PAGES` should say."""
    return rewrite((ROOT / page).read_text(), up="../" * page.count("/"))


def _filled(found: re.Match[str], results: Path, up: str) -> str:
    path = results / f"{found['name']}.json"
    if not path.exists():
        return f"Not measured yet (`benchmarks/results/{path.name}` is missing).\n"
    result = json.loads(path.read_text())
    asked = found["columns"].split(",") if found["columns"] else _columns(result["rows"])
    columns = [each.removesuffix("!") for each in asked if "=" not in each]
    needed = [each.removesuffix("!") for each in asked if each.endswith("!")]
    alike = [each.split("=") for each in asked if "=" in each]
    rows = [
        row for row in result["rows"]
        if all(_value(row, c) is not None for c in needed)
        and all(str(_value(row, c)) == value for c, value in alike)
    ]  # fmt: skip
    lines = ["| " + " | ".join(HEADINGS.get(c, c.replace("_", " ")) for c in columns) + " |"]
    lines.append("| --- |" + " ---: |" * (len(columns) - 1))
    lines += ["| " + " | ".join(_cell(row, c) for c in columns) + " |" for row in rows]
    printed = ["", "```", result["printed"].rstrip(), "```"] if "printed" in result else []
    return "\n".join([*lines, *printed, "", _source(result, path.name, up)]) + "\n"


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """Every figure that any row has, the name first; deviations stand beside their means."""
    found = dict.fromkeys(key for row in rows for key, value in row.items() if _is_figure(value))
    return sorted((key for key in found if not key.endswith("_std")), key=lambda key: key != "name")


def _is_figure(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _value(row: dict[str, Any], column: str) -> Any:
    """Of a column, whose name may lead into a row's own dictionaries: `words.silence`."""
    value: Any = row
    for key in column.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _cell(row: dict[str, Any], column: str) -> str:
    value = _value(row, column)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    deviation = row.get(column.removesuffix("_mean") + "_std") if "_mean" in column else None
    alone = len(row.get("samples", ())) == 1  # of which there is no deviation
    return f"{value:.4g}" + (f" ± {deviation:.2g}" if deviation is not None and not alone else "")


def _source(result: dict[str, Any], file: str, up: str) -> str:
    here = result["machine"]
    what = f"{result['data']}; " if "data" in result else ""
    return (
        f"{what}measured on {here['processor']}, {here['cores']} cores, {result['date']}, commit "
        f"{result['commit']} ([`{file}`]({up}benchmarks/results/{file}))."
    )


def main() -> int:
    stale = []
    for name in PAGES:
        page = ROOT / name
        fresh = refreshed(name)
        if fresh != page.read_text():
            stale.append(name)
            if "--check" not in sys.argv:
                page.write_text(fresh)
    for name in stale:
        print(f"{name}: {'is not what the results say' if '--check' in sys.argv else 'rewritten'}")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
