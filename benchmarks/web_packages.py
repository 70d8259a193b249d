"""Packages for the web in Chromium: `python -m benchmarks.web_packages PICTURES KEYWORDS`.

PICTURES, KEYWORDS: bundles, such as of digits and of words. Each is packaged, packed by npm,
installed into a fresh page that Vite builds, and asked there. On the page that the package of
PICTURES has itself a seven is drawn, and kept as `docs/web_demo.png`.
"""

from __future__ import annotations

import base64
import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import write
from benchmarks.web_page import PATIENCE, demo, opened, page
from edgedistill.devices.browser.chromium import Chromium
from edgedistill.package import package
from edgedistill.scratch import scratch_folder

PICTURE = Path(__file__).parents[1] / "docs" / "web_demo.png"
RUNS = 50
_WIDTH, _HEIGHT = 640, 660
_TIMED = f"""(async () => {{
  const model = await opened;
  const {{ kind, preprocessing: form, sound }} = model.app;
  const [height, width] = form?.image_size ?? [0, 0];
  const data = new Uint8Array(4 * height * width).fill(255);
  const given = kind === "picture" ? {{ width, height, data }} : new Float32Array(sound.samples);
  const times = [];
  for (let run = 0; run < {RUNS} + 10; run++) {{
    const begin = performance.now();
    await model.classify(given);
    times.push(performance.now() - begin);
  }}
  const counted = times.slice(10).sort((a, b) => a - b);
  return counted[{RUNS // 2}];
}})()"""
_DRAWN = """(async () => {
  const at = (id) => document.getElementById(id);
  const until = async (ready) => {
    while (!ready()) await new Promise((go) => setTimeout(go, 50));
  };
  await until(() => at("test").onclick);
  const board = at("board");
  const { left, top } = board.getBoundingClientRect();
  board.setPointerCapture = () => {};
  const points = [[85, 60], [195, 60], [165, 110], [140, 170], [120, 235]];
  const send = (kind, [x, y]) => board.dispatchEvent(
    new PointerEvent(kind, { pointerId: 1, clientX: left + x, clientY: top + y }));
  send("pointerdown", points[0]);
  for (const each of points.slice(1)) send("pointermove", each);
  send("pointerup", points.at(-1));
  await until(() => document.querySelector("#answers li"));
  at("test").click();
  await until(() => at("told").textContent);
})()"""


def main(pictures: str, keywords: str) -> None:
    """Write `results/web_packages.json` and the picture of the demo."""
    cases = [(pictures, "onnxruntime", "int8"), (pictures, "litert", "fp32"),
             (keywords, "onnxruntime", "int8")]  # fmt: skip
    rows = [row for case in cases for row in _measured(*case)]
    browser = {row.pop("browser") for row in rows}.pop()
    write("web_packages", rows, seeds=[], browser=browser, runs=RUNS,
          load=os.getloadavg()[0])  # fmt: skip
    with scratch_folder() as folder:
        made = package(pictures, "web", _place(folder), "onnxruntime", "int8").path
        with opened(demo(made)) as drawn_on:
            PICTURE.write_bytes(_picture(drawn_on))


def _measured(bundle: str, runtime: str, precision: str) -> Iterator[dict[str, Any]]:
    with scratch_folder() as folder:
        made = package(bundle, "web", _place(folder), runtime, precision)
        (folder / "page").mkdir()
        built = page(made.path, folder / "page")
        loaded = [path for path in built.rglob("*") if _is_loaded(path)]
        with opened(built) as browser:
            tested = browser.evaluate("opened.then((model) => model.selfTest())", PATIENCE)
            p50 = browser.evaluate(_TIMED, PATIENCE)
            version = browser.version()
        name = Path(bundle).name
        for program, found in tested.items():
            yield {
                "name": f"{name}, {program}",
                "runtime": runtime,
                "precision": precision,
                "values": found["values"],
                "wrong": found["wrong"],
                "worst": found["worst"],
                "tolerance": found["tolerance"],
                "p50_ms": p50 if program == "main" else None,
                "model_kb": made.sizes["model"] / 1000,  # type: ignore[operator]
                "code_kb": sum(path.stat().st_size for path in (made.path / "src").iterdir()) / 1e3,
                "runtime_mb": sum(path.stat().st_size for path in loaded) / 1e6,
                "runtime_gzip_mb": sum(len(gzip.compress(path.read_bytes())) for path in loaded)
                / 1e6,
                "browser": f"Chromium {version}",
            }


def _place(folder: Path) -> Path:
    """Of a package: its parent is locked while it is written, and a scratch folder already is."""
    (folder / "made").mkdir()
    return folder / "made" / "package"


def _is_loaded(path: Path) -> bool:
    """Whether a browser of today loads it of a page that runs in one thread."""
    other = "compat" in path.name or "threaded_internal" in path.name
    return path.suffix in (".js", ".mjs", ".wasm") and not other


def _picture(browser: Chromium) -> bytes:
    size = {"width": _WIDTH, "height": _HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    browser.ask("Emulation.setDeviceMetricsOverride", PATIENCE, **size)
    browser.evaluate(_DRAWN, PATIENCE)
    shot = browser.ask("Page.captureScreenshot", PATIENCE, format="png")
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    main(*sys.argv[1:])
