"""The code in a wheel answers as the bundle does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import whisper_models
from recognizer_bundles import bundled, record, vocabulary
from tone_net import RATE, compiled, tone, write_wav

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.data.sound.window import clip_window
from edgedistill.data.speech import parting as reference_parting
from edgedistill.package import package
from edgedistill.package.python import glue
from edgedistill.package.python.glue import __main__ as command
from edgedistill.package.python.glue import parting, sounds
from edgedistill.package.python.glue.speech import edits
from edgedistill.records.recognizer import VOCABULARY

Make = Callable[..., Any]


def opened(bundle: Bundle, folder: Path, **asked: Any) -> Any:
    made = package(bundle, "python", folder, **asked)
    (data,) = made.path.glob("*/data")
    return glue.open(data)


@pytest.fixture
def pictures(make_result: Make, tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "pictures")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("tones")
    return write_bundle(compiled(folder / "made"), folder / "bundle")


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("speech")
    programs = whisper_models.folded(whisper_models.whisper())
    told = record({"onnxruntime": whisper_models.written(programs, "onnxruntime", folder)})
    vocabulary().write(folder / VOCABULARY)
    return bundled(folder, told, folder / "bundle")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_picture(pictures: Bundle, tmp_path: Path, precision: str) -> None:
    model = opened(pictures, tmp_path / "out", precision=precision)
    for value in (0, 90, 255):
        picture = np.full((11, 9), value, np.uint8)
        found, (wanted,) = model.classify(picture), pictures.predict(picture, precision=precision)
        assert found.label == wanted.label
        assert found.probabilities == pytest.approx(wanted.scores)
        assert found.route == (found.confidence < pictures.manifest["routing"]["threshold"])
    counters = model.counters()
    assert (counters["samples"], sum(counters["confidences"])) == (3, 3)
    assert counters["bundle"] == pictures.digest
    model.clear_counters()
    assert model.counters()["samples"] == 0


def test_a_stream_and_a_recording(tones: Bundle, tmp_path: Path) -> None:
    model = opened(tones, tmp_path / "out")
    assert model.self_test().worst < 1e-4  # the golden ones were answered as a batch
    sound = np.concatenate([np.zeros(RATE // 2), tone("low"), np.zeros(RATE), tone("high")])
    sound = np.concatenate([sound, np.zeros(RATE)]).astype(np.float32)
    heard = list(tones.listen(sound))
    assert [each.keyword for each in heard] == ["low", "high"]
    for count in (1, 7):
        model.restart()
        found = [each for part in np.array_split(sound, count) for each in model.listen(part)]
        assert [vars(each) for each in found] == [
            {key: value for key, value in vars(each).items() if key != "file"} for each in heard
        ]
    path = write_wav(tmp_path / "low.wav", tone("low"))
    assert model.classify(path).label == tones.predict(path)[0].label == "low"


def test_speech(speech: Bundle, tmp_path: Path) -> None:
    model = opened(speech, tmp_path / "out")
    assert model.self_test().equal
    sound = np.concatenate([whisper_models.window(seed) for seed in range(3)])
    sound[20_000:26_000] *= 0.001
    found, wanted = model.transcribe(sound), speech.transcribe(sound)
    assert (found.text, found.seconds) == (wanted.text, wanted.seconds)
    for one, other in zip(found.segments, wanted.segments, strict=True):
        assert (one.start, one.end, one.tokens, one.ended) == (
            other.start, other.end, other.tokens, other.ended,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("share", "changed", "told"),
    [(0.25, 0, "0 edits of 20 tokens, 5 may be"), (0.25, 5, "5 edits of 20 tokens, 5 may be"),
     (0.25, 6, None), (0.0, 1, None)],
)  # fmt: skip
def test_speech_may_differ_by_a_share_of_edits(
    speech: Bundle, tmp_path: Path, capsys: Any, monkeypatch: Any, share: float, changed: int,
    told: str | None,
) -> None:  # fmt: skip
    made = package(speech, "python", tmp_path / "out")
    (data,) = made.path.glob("*/data")
    document = json.loads((data / "app.json").read_text())
    assert document["golden"]["edits"] == 0  # of floats
    document["golden"]["edits"] = share
    tokens = document["golden"]["utterances"][0]["tokens"]
    tokens[:changed] = [token + 1 for token in tokens[:changed]]
    (data / "app.json").write_text(json.dumps(document))
    model = glue.open(data)
    monkeypatch.setattr(command, "open", lambda: model)
    assert command.main(["selftest"]) == (1 if told is None else 0)
    said = capsys.readouterr()
    failed = f"self-test failed: {changed} edits of 20 tokens; a share of {share:g} may be\n"
    assert said.err == (failed if told is None else "")
    assert said.out == ("" if told is None else f"self-test passed: {told}\n")


def test_edits_are_put_in_left_out_or_changed() -> None:
    assert [edits([1, 2, 3], wanted) for wanted in ([1, 2, 3], [1, 3, 3, 4], [2, 3], [])] == [
        0, 2, 1, 3,
    ]  # fmt: skip


def test_recordings_are_parted_as_the_compiler_does() -> None:
    random = np.random.default_rng(3)
    for length in (1, 999, 1600, 1601, 2400, 9999):
        sound = (3000 * random.normal(size=length)).clip(-30_000, 30_000).astype(np.int16)
        found = list(parting.parted(sound, 1600, 1000))
        wanted = list(reference_parting.parted([sound], 1600, 1000))
        assert [len(each) for each in found] == [len(each) for each in wanted]


@pytest.mark.parametrize("cut", ["end", "middle", "spoken"])
def test_windows_lie_where_the_compiler_puts_them(cut: Any) -> None:
    random = np.random.default_rng(4)
    for length in (10, 800, 3000):
        sound = (3000 * random.normal(size=length)).astype(np.int16)
        sound[length // 3 :] //= 50
        (start,) = clip_window(sound, 800, cut, 1000)
        found = sounds.window(sound, {"samples": 800, "cut": cut, "rate": 1000})
        padded = np.pad(sound, (800, 800))
        assert np.array_equal(np.rint(found[0] * 32768), padded[start + 800 : start + 1600])


def test_a_model_that_answers_otherwise_fails_its_self_test(
    pictures: Bundle, tmp_path: Path
) -> None:
    made = package(pictures, "python", tmp_path / "out", precision="fp32")
    (data,) = made.path.glob("*/data")
    golden = data / "golden" / "output.bin"
    golden.write_bytes((np.frombuffer(golden.read_bytes(), "<f4") + 1).tobytes())
    with pytest.raises(glue.SelfTestFailed, match=r"100\.0% of the values are further off"):
        glue.open(data).self_test()
    told = json.loads((data / "app.json").read_text())
    (data / "app.json").write_text(json.dumps({**told, "format": 2}))
    with pytest.raises(ValueError, match=r"app\.json of format 2"):
        glue.open(data)


def test_a_wheel_is_imported_without_anything_of_the_compilers(
    pictures: Bundle, tmp_path: Path
) -> None:
    """From the wheel itself, as Python imports from archives, where POSIX has no modules."""
    made = package(pictures, "python", tmp_path / "out")
    asked = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "for name in ('fcntl', 'resource', 'torch', 'PIL', 'edgedistill'):\n"
        "    sys.modules[name] = None\n"
        "import tiny; print(tiny.open(sys.argv[2]).self_test().worst < 1e-5)\n"
        "import tiny.__main__; print(tiny.__main__.main(['selftest']))\n"
    )
    (wheel,) = (made.path / "dist").glob("*.whl")
    unpacked = tmp_path / "unpacked"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, unpacked], check=True)
    done = subprocess.run(
        [sys.executable, "-c", asked, unpacked, unpacked / "tiny" / "data"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    first, told, code = done.stdout.splitlines()
    assert (first, told.partition(":")[0], code) == ("True", "self-test passed", "0")
