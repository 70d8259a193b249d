"""Packages for the web, installed from their archives into a page that is run in Chromium."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tone_net
from exported import LABELS, SIZE, Exported
from recognizer_bundles import bundled, record, vocabulary
from tone_net import tone
from whisper_models import folded, whisper, window, written

import edgedistill.package.web as web
from benchmarks.web_page import opened, page
from edgedistill.bundle import write_bundle
from edgedistill.bundle.describe import resizing
from edgedistill.devices.browser import chromium
from edgedistill.errors import UserError
from edgedistill.package import package
from edgedistill.package.app import (
    App,
    AppArray,
    AppCounting,
    AppFile,
    AppGolden,
    AppOrigin,
    AppPictures,
)
from edgedistill.package.contents import Contents
from edgedistill.records.recognizer import VOCABULARY
from edgedistill.runtimes import RUNTIMES
from edgedistill.tasks.calibration import softmax

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def ready() -> None:
    try:
        chromium.find()
    except UserError as error:
        pytest.skip(str(error))
    if shutil.which("npm") is None:
        pytest.skip("apt-get install npm")


def in_base64(values: np.ndarray[Any, Any]) -> str:
    return f"Uint8Array.from(atob('{base64.b64encode(values.tobytes()).decode()}'), " + (
        "(each) => each.charCodeAt(0))"
    )


def of_file(exported: Exported, runtime: str, precision: str) -> tuple[Contents, Any, Any]:
    """A package's contents of a file, pictures (8, height, width, channels), and the logits that
    Python has of them."""
    entry = exported.file_entry(runtime, precision)
    loaded = RUNTIMES[entry.runtime].load(exported.file(runtime, precision))
    pixels = exported.pixels(8)
    fed = loaded.encode({"pixels": pixels})["pixels"]
    given = [loaded.run({"pixels": each[None]})["logits"].copy() for each in fed]
    answers = np.concatenate(given)
    arrays = {"pixels": fed, "logits": answers}
    told = {
        name: AppArray(name=name, file=f"golden/{name}.bin", dtype=each.dtype.name,
                       shape=each.shape)
        for name, each in arrays.items()
    }  # fmt: skip
    channels = pixels.shape[1]
    app = App(
        format=1, name="tiny", kind="picture", task="classification", runtime=entry.runtime,
        precision=entry.precision, labels=tuple(LABELS), activation="softmax", temperature=1.5,
        files=(AppFile(program="main", file=entry.file, bytes=entry.bytes, sha256="0" * 64,
                       inputs=entry.signature.inputs, outputs=entry.signature.outputs, state={}),),
        preprocessing=AppPictures(
            image_size=(SIZE, SIZE), channels=1 if channels == 1 else 3,
            color="grey" if channels == 1 else "RGB", range=(0.0, 1.0), resize=resizing("crop"),
            antialias=True,
        ),
        counting=AppCounting(edges=(0.5, 0.9), temperature=1.0),
        golden=AppGolden(samples=8, inputs=(told["pixels"],), outputs=(told["logits"],),
                         tolerance=1e-3 if precision == "fp32" else 1.0, share=0.9),
        origin=AppOrigin(edgedistill="0", created="2026-01-02T03:04:05+00:00", bundle="0" * 64,
                         target="web-wasm", licence="Apache-2.0", contract=()),
    )  # fmt: skip
    files = {each.file: arrays[name].tobytes() for name, each in told.items()}
    sources = {entry.file: exported.file(runtime, precision), "LICENSE": b"", **files}
    bytes_of = np.rint(255 * pixels).astype(np.uint8).transpose(0, 2, 3, 1)
    real = loaded.decode({"logits": answers})["logits"]
    return Contents(app, sources), bytes_of, real


@pytest.mark.parametrize(
    ("runtime", "precision", "threads"),
    [("onnxruntime", "int8", 1), ("onnxruntime", "fp32", 2), ("litert", "fp32", 1)],
)
def test_pictures_are_classified_as_in_python(
    exported: Exported, tmp_path: Path, runtime: str, precision: str, threads: int
) -> None:
    contents, pictures, logits = of_file(exported, runtime, precision)
    (tmp_path / "package").mkdir()
    web.write(contents, tmp_path / "package")
    (tmp_path / "page").mkdir()
    built = page(tmp_path / "package", tmp_path / "page", f"{{ threads: {threads} }}")
    whole = np.concatenate(
        [np.broadcast_to(pictures, (*pictures.shape[:3], 3)),
         np.full((*pictures.shape[:3], 1), 255, np.uint8)], axis=3,
    )  # fmt: skip
    with opened(built) as browser:
        assert browser.evaluate("failed", 120) is None
        tested = browser.evaluate("opened.then((model) => model.selfTest())", 120)
        found = browser.evaluate(
            f"""(async () => {{
              const [model, whole] = [await opened, {in_base64(whole)}];
              const answers = [];
              for (let at = 0; at < {len(whole)}; at++) {{
                const data = whole.slice(at * {whole[0].size}, (at + 1) * {whole[0].size});
                answers.push(await model.classify({{ width: {SIZE}, height: {SIZE}, data }}));
              }}
              return {{ answers, counters: model.counters() }};
            }})()""",
            120,
        )
    assert tested["main"]["values"] == logits.size
    wanted = softmax(logits, 1.5)
    within = 1e-4 if precision == "fp32" else 0.1
    for answer, row in zip(found["answers"], wanted, strict=True):
        assert np.abs(np.array(answer["probabilities"]) - row).max() < within
        assert answer["label"] in LABELS
    counts = found["counters"]
    assert (counts["samples"], sum(counts["classes"]), sum(counts["confidences"])) == (8, 8, 8)


def test_keywords_are_heard_where_python_hears_them(tmp_path: Path, quickly: None) -> None:
    contract = {"max_misses": 60, "max_false_accepts_per_hour": 5, "max_hop_ms": 0.1}
    bundle = write_bundle(tone_net.compiled(tmp_path / "made", contract=contract), tmp_path / "b")
    made = package(bundle, "web", tmp_path / "package", "onnxruntime", "fp32").path
    samples = 0.001 * np.random.default_rng(0).normal(size=5 * tone_net.RATE)
    for name, second in (("low", 1), ("high", 3)):
        heard = tone(name)
        samples[second * tone_net.RATE :][: len(heard)] += heard
    sound = samples.astype(np.float32)
    (tmp_path / "page").mkdir()
    with opened(page(made, tmp_path / "page")) as browser:
        tested = browser.evaluate("opened.then((model) => model.selfTest())", 120)
        found = browser.evaluate(
            f"""(async () => {{
              const [model, sound] = [await opened, new Float32Array({in_base64(sound)}.buffer)];
              const heard = [];
              for (let at = 0; at < sound.length; at += 1000) {{
                heard.push(...(await model.listen(sound.slice(at, at + 1000))));
              }}
              return heard;
            }})()""",
            120,
        )
    assert tested["steps"]["values"] > 0
    wanted = list(bundle.listen(sound, runtime="onnxruntime", precision="fp32"))
    assert [(each["keyword"], each["seconds"]) for each in found] == [
        (each.keyword, pytest.approx(each.seconds)) for each in wanted
    ]
    assert {each["keyword"] for each in found} == {"low", "high"}


def test_speech_is_transcribed_as_in_python(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    told = record({"onnxruntime": written(folded(whisper()), "onnxruntime", folder)})
    vocabulary().write(folder / VOCABULARY)
    bundle = bundled(folder, told, tmp_path / "bundle")
    made = package(bundle, "web", tmp_path / "package").path
    sound = np.concatenate([np.rint(32767 * window(seed)).astype(np.int16) for seed in range(3)])
    (tmp_path / "page").mkdir()
    with opened(page(made, tmp_path / "page", "{ threads: 1 }")) as browser:
        tested = browser.evaluate("opened.then((model) => model.selfTest())", 120)
        found = browser.evaluate(
            f"""opened.then((model) =>
              model.transcribe(new Int16Array({in_base64(sound)}.buffer)))""",
            120,
        )
    assert tested["main"]["wrong"] == 0
    wanted = bundle.transcribe(sound)
    assert [(each["start"], each["end"], each["tokens"]) for each in found["segments"]] == [
        (each.start, each.end, list(each.tokens)) for each in wanted.segments
    ]
    assert found["text"] == wanted.text
    assert found["seconds"] == wanted.seconds
