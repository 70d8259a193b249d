"""A package's Kotlin does what Python does: golden data, pictures, sound, keywords and speech on a
JVM, with ONNX Runtime's own Java classes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recognizer_bundles
import tone_net
from android_jvm import HERE, PROJECT, Jvm, argb, compiled, needs_tools
from whisper_models import folded, whisper, written

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.data.image.decode import Form, decode
from edgedistill.data.sound.reading import cut
from edgedistill.data.sound.window import clip_window
from edgedistill.data.speech.parting import parted
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.package import package
from edgedistill.package.android import ASSETS, aar
from edgedistill.records.recognizer import VOCABULARY

pytestmark = [pytest.mark.slow, needs_tools]


@pytest.fixture(scope="module")
def tools() -> aar.Tools:
    found = aar.tools("onnxruntime")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def jvm(tools: aar.Tools, tmp_path_factory: pytest.TempPathFactory) -> Jvm:
    return Jvm(tools, tmp_path_factory.mktemp("jvm"))


def assets(bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(aar.TOOLS)
    package(bundle, "android", folder, "onnxruntime")
    (found,) = (folder / ASSETS).iterdir()
    return found


def right(test: dict[str, Any]) -> None:
    """A self-test, by another version of the runtime than Python's."""
    assert test["within"] == test["values"] > 0 and test["worst"] < 1e-4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", ["crop", "fit", "stretch"])
def test_pictures_are_resized_as_in_python(jvm: Jvm, how: Any, channels: int) -> None:
    random = np.random.default_rng(0)
    sizes = [(16, 16), (1, 1), (3, 50), (97, 61), (300, 41), (16, 33), (33, 16), (240, 320)]
    pictures = [random.integers(0, 256, (*size, 4), dtype=np.uint8) for size in sizes]
    for each in pictures[::2]:
        each[..., 3] = 255
    form = Form((16, 20), channels, how)
    wanted = {"image_size": [16, 20], "channels": channels, "resize": {"how": how}}
    found = jvm.run({"pictures": [{**argb(each), "preprocessing": wanted} for each in pictures]})
    for each, given in zip(pictures, found["pictures"], strict=True):
        assert np.array_equal(np.reshape(given, form.shape), decode(each, form)), each.shape


@pytest.mark.parametrize("which", ["end", "middle", "spoken"])
def test_windows_of_sound_are_cut_as_in_python(jvm: Jvm, which: Any) -> None:
    random = np.random.default_rng(0)
    sounds = []
    for length in (1, 799, 800, 801, 5000, 9000):
        loud = np.zeros(length)
        loud[length // 3 : length // 2] = 8000
        sounds.append((random.normal(size=length) * (20 + loud)).clip(-32768, 32767).astype("<i2"))
    told = {"rate": 1000, "samples": 800, "cut": which}
    found = jvm.run({"windows": [{"file": each, "sound": told} for each in sounds]})
    for each, given in zip(sounds, found["windows"], strict=True):
        (start,) = clip_window(each, 800, which, 1000)
        assert np.array_equal(np.float32(given), cut(each, int(start), 800)), len(each)


def test_long_sound_is_parted_as_in_python(jvm: Jvm) -> None:
    random = np.random.default_rng(0)
    orders = []
    for length, window, rate in ((100, 400, 100), (401, 400, 100), (5000, 400, 100), (900, 7, 10)):
        loud = 3000 * np.sin(np.arange(length) / 50) ** 2
        sound = (loud * random.normal(size=length)).astype("<i2")
        orders.append({"file": sound, "window": window, "rate": rate})
    found = jvm.run({"partings": orders})
    for each, given in zip(orders, found["partings"], strict=True):
        pieces = parted([each["file"]], each["window"], each["rate"])
        assert given == [len(piece) for piece in pieces]


def test_a_classifier_answers_as_in_python(
    jvm: Jvm, make_result: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = write_bundle(make_result(), tmp_path / "bundle")
    pictures = list(np.random.default_rng(0).integers(0, 256, (6, 20, 30), dtype=np.uint8))
    folder = assets(bundle, tmp_path / "package", monkeypatch)
    order = {"folder": folder, "samples": [*map(argb, pictures)]}
    (found,) = jvm.run({"models": [order]})["models"]
    right(found["main"])
    wanted = bundle.predict(pictures, "onnxruntime")
    limit = bundle.manifest["routing"].get("threshold") or 0
    for each, given in zip(wanted, found["answers"], strict=True):
        assert given["label"] == each.label
        assert given["confidence"] == pytest.approx(each.confidence, abs=1e-5)
        assert given["route"] == (each.confidence < limit)
    assert found["counters"]["samples"] == sum(found["counters"]["classes"]) == 6
    assert sum(found["counters"]["confidences"]) == 6
    for name in ("GPU", "NPU"):
        assert (found[name]["asked"], found[name]["used"]) == (name, "CPU")
        assert found[name]["refusal"]
        right(found[name]["test"])
    record = found["record"]
    assert len(record["samples_ms"]) >= 10 and record["cold_load_ms"] > 0
    assert record["isa"] == "x86_64" and record["runtime"] == "onnxruntime"


def test_keywords_are_heard_as_in_python(
    jvm: Jvm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = {"max_misses": 60, "max_false_accepts_per_hour": 5, "max_hop_ms": 0.1}
    result = tone_net.compiled(tmp_path / "compiled", contract=contract)
    bundle = write_bundle(result, tmp_path / "bundle")
    rate = tone_net.RATE
    sound = 0.001 * np.random.default_rng(0).normal(size=5 * rate)
    for name, second in (("low", 1), ("high", 3)):
        tone = tone_net.tone(name)
        sound[second * rate : second * rate + len(tone)] += tone
    samples = np.rint(32767 * sound.clip(-1, 1)).astype("<i2")
    folder = assets(bundle, tmp_path / "package", monkeypatch)
    order = {"folder": folder, "samples": [{"file": samples}], "streams": [{"file": samples}] * 2}
    (found,) = jvm.run({"models": [order]})["models"]
    right(found["main"])
    right(found["step"])
    wanted = list(bundle.listen(samples, "onnxruntime"))
    assert [each.keyword for each in wanted] == ["low", "high"]
    for heard in found["heard"]:
        assert [(each["keyword"], each["seconds"]) for each in heard] == [
            (each.keyword, each.seconds) for each in wanted
        ]


def test_speech_is_decoded_as_in_python(
    jvm: Jvm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = spoken(tmp_path)
    random = np.random.default_rng(1)
    sounds = [
        (amplitude * random.normal(size=int(seconds * RATE))).astype("<i2")
        for amplitude, seconds in ((3000, 0.7), (800, 2.5), (0, 1.5), (5000, 7))
    ]
    folder = assets(bundle, tmp_path / "package", monkeypatch)
    order = {"folder": folder, "sounds": [{"file": each} for each in sounds]}
    (found,) = jvm.run({"models": [order]})["models"]
    right(found["speech"])
    for each, given in zip(sounds, found["texts"], strict=True):
        wanted = bundle.transcribe(each, "onnxruntime")
        assert given["tokens"] == [list(segment.tokens) for segment in wanted.segments]
        assert given["text"] == wanted.text


def test_speech_may_differ_by_a_share_of_edits(
    jvm: Jvm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = assets(spoken(tmp_path), tmp_path / "package", monkeypatch)
    document = json.loads((made / "app.json").read_text())
    tokens = document["golden"]["utterances"][0]["tokens"]
    assert len(tokens) == 20 and document["golden"]["edits"] == 0  # of floats
    orders = []
    for share, changed in ((0.25, 5), (0.25, 6), (0.0, 1)):
        folder = tmp_path / f"{share} {changed}"
        shutil.copytree(made, folder)
        document["golden"]["edits"] = share
        document["golden"]["utterances"][0]["tokens"] = [-1] * changed + tokens[changed:]
        (folder / "app.json").write_text(json.dumps(document))
        orders.append({"folder": folder, "sounds": []})
    within, above, of_floats = (each["speech"] for each in jvm.run({"models": orders})["models"])
    assert within == {"values": 20, "within": 15, "worst": 5}
    assert above["failed"] == "golden data: 6 edits of 20 tokens; a share of 0.25 may be"
    assert of_floats["failed"] == "golden data: 1 edits of 20 tokens; a share of 0.0 may be"


def spoken(folder: Path) -> Bundle:
    files = folder / "files"
    files.mkdir()
    paths = written(folded(whisper()), "onnxruntime", files)
    recognizer_bundles.vocabulary().write(files / VOCABULARY)
    told = recognizer_bundles.record({"onnxruntime": paths})
    return recognizer_bundles.bundled(files, told, folder / "bundle")


def test_litert_and_the_sample_compile_against_the_signatures_they_call(
    tools: aar.Tools, tmp_path: Path
) -> None:
    library = PROJECT / "library/src"
    stubs = compiled(tools, tmp_path, "stubs", HERE / "stubs", uses=[])
    litert = compiled(
        tools, tmp_path, "litert", library / "main/kotlin", library / "litert/kotlin", uses=[stubs]
    )
    sources = PROJECT / "sample/src/main/kotlin", library / "androidTest/kotlin"
    assert compiled(tools, tmp_path, "sample", *sources, uses=[stubs, litert]).is_file()


def test_an_aar_is_built_and_a_client_compiles_against_it(
    tools: aar.Tools, make_result: Callable[..., Any], tmp_path: Path
) -> None:
    assert os.environ[aar.TOOLS]
    bundle = write_bundle(make_result(), tmp_path / "bundle")
    made = package(bundle, "android", tmp_path / "package", "onnxruntime")
    archive = made.path / "tiny.aar"
    assert made.sizes["runtime"] and made.sizes["runtime"] > 1e6
    classes = aar.classes_of(archive, tmp_path)
    client = tmp_path / "client"
    client.mkdir()
    (client / "Client.kt").write_text((HERE / "Client.kt.txt").read_text())
    assert compiled(tools, tmp_path, "client", client, uses=[classes]).is_file()
