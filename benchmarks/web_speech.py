"""A recognizer's package for the web in Chromium: whether it says what Python says, and how fast.

Packaged with each runtime and precision, packed by npm, installed into a fresh page that Vite
builds, and asked there for real utterances; Python transcribes the same with the same file.

    python -m benchmarks.web_speech BUNDLE DATA [--clips N]

BUNDLE is a folder that `edgedistill compile` wrote; DATA a parquet file with a column `audio` of
whole files, 16 kHz. Wants what `edgedistill device setup browser` fetches, and npm.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import write
from benchmarks.web_page import PATIENCE, opened, page
from edgedistill.bundle import Bundle
from edgedistill.package import package
from edgedistill.scratch import scratch_folder

RATE = 16_000
FILES = (("litert", "int8"), ("litert", "fp32"), ("onnxruntime", "int8"), ("onnxruntime", "fp32"))
_SAID = """(async () => {
  const model = await opened;
  const bytes = Uint8Array.from(atob("%s"), (each) => each.charCodeAt(0));
  const samples = Float32Array.from(new Int16Array(bytes.buffer), (each) => each / 32768);
  const begin = performance.now();
  const { text, segments } = await model.transcribe(samples);
  const tokens = segments.flatMap((each) => each.tokens);
  return { text, tokens, seconds: (performance.now() - begin) / 1000 };
})()"""
_TESTED = """opened.then((model) => model.selfTest()).then(
  ({ main }) => `${main.wrong} edits of ${main.values} tokens`, (error) => error.message)"""


def clips(data: Path, count: int) -> list[Any]:
    """The first utterances of a table, int16 each."""
    import pyarrow.parquet
    import soundfile

    found = []
    for each in pyarrow.parquet.read_table(data, columns=["audio"])["audio"][:count]:
        samples, rate = soundfile.read(io.BytesIO(each.as_py()), dtype="int16")
        assert rate == RATE, rate
        found.append(samples)
    return found


def row(bundle: Bundle, runtime: str, precision: str, sounds: list[Any]) -> dict[str, Any]:
    with scratch_folder() as folder:
        (folder / "made").mkdir()
        (folder / "page").mkdir()
        made = package(bundle, "web", folder / "made" / "package", runtime, precision)
        built = page(made.path, folder / "page")
        with opened(built) as browser:
            tested = browser.evaluate(_TESTED, PATIENCE)
            answers = [browser.evaluate(_SAID % _packed(each), PATIENCE) for each in sounds]
            version = browser.version()
    wanted = [bundle.transcribe(each, runtime, precision) for each in sounds]
    tokens = [[token for part in each.segments for token in part.tokens] for each in wanted]
    seconds = sum(len(each) for each in sounds) / RATE
    took = sum(each["seconds"] for each in answers)
    texts = [(python.text, web["text"]) for python, web in zip(wanted, answers, strict=True)]
    return {
        "name": f"{runtime} {precision}",
        "runtime": runtime,
        "precision": precision,
        "clips": len(sounds),
        "sound_s": seconds,
        "texts_equal": sum(one == other for one, other in texts),
        "tokens": sum(map(len, tokens)),
        "tokens_equal": sum(one == web["tokens"] for one, web in zip(tokens, answers, strict=True)),
        "differences": [
            {"clip": at, "python": one, "browser": other}
            for at, (one, other) in enumerate(texts)
            if one != other
        ],
        "self_test": tested,
        "model_mb": (made.sizes["model"] or 0) / 1e6,
        "browser_s": took,
        "of_real_time": took / seconds,
        "browser": f"Chromium {version}",
    }


def _packed(samples: Any) -> str:
    return base64.b64encode(samples.astype(np.dtype("<i2")).tobytes()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=8)
    asked = parser.parse_args()
    bundle, sounds = Bundle.load(asked.bundle), clips(asked.data, asked.clips)
    found = []
    for runtime, precision in FILES:
        found.append(row(bundle, runtime, precision, sounds))
        print(found[-1], flush=True)
    browser = {each.pop("browser") for each in found}.pop()
    write(
        "web_speech", found, seeds=[], browser=browser, bundle=bundle.digest,
        data=asked.data.name, clips=asked.clips, load=os.getloadavg()[0],
    )  # fmt: skip


if __name__ == "__main__":
    main()
