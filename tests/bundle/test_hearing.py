"""A bundle that listens."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tone_net
from tone_net import HOP, LENGTH, RATE, tone, write_wav

from edgedistill.artifact import write_json
from edgedistill.bundle import Bundle, Detection, write_bundle
from edgedistill.bundle.piped import raw
from edgedistill.command_line import run
from edgedistill.errors import UserError
from edgedistill.report import build_report
from edgedistill.report.page import page
from edgedistill.report.terminal import summary


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    contract = {"max_misses": 60, "max_false_accepts_per_hour": 5, "max_hop_ms": 0.1}
    return tone_net.compiled(tmp_path_factory.mktemp("compiled"), contract=contract)


@pytest.fixture(scope="module")
def bundle(result: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(result, tmp_path_factory.mktemp("bundle") / "tones")


def sound() -> np.ndarray:
    """A low tone from 1 s on, a high one from 3 s on, over a little noise."""
    samples = 0.001 * np.random.default_rng(0).normal(size=5 * RATE)
    for name, second in (("low", 1), ("high", 3)):
        found = tone(name)
        samples[second * RATE : second * RATE + len(found)] += found
    return samples.astype(np.float32)


def names(found: Iterator[Detection]) -> list[tuple[str, float]]:
    return [(each.keyword, each.seconds) for each in found]


def test_keywords_are_heard_in_their_time(bundle: Bundle) -> None:
    (low, high) = bundle.listen(sound())
    assert (low.keyword, high.keyword) == ("low", "high")
    assert 1.0 < low.seconds <= 1.3 and 3.0 < high.seconds <= 3.3
    listening = bundle.manifest["listening"]
    assert low.confidence > listening["thresholds"]["low"]
    assert low.file is None


@pytest.mark.parametrize("size", [1, 37, HOP, 1000, 10**6])
def test_a_stream_is_the_same_in_chunks_of_any_size(bundle: Bundle, size: int) -> None:
    samples = sound()[RATE : RATE + RATE // 2]
    chunks = (samples[at : at + size] for at in range(0, len(samples), size))
    wanted = list(bundle.listen(samples))
    assert [each.keyword for each in wanted] == ["low"]
    assert list(bundle.listen(chunks)) == wanted


def test_a_new_call_begins_anew(bundle: Bundle) -> None:
    first = names(bundle.listen(sound()))
    assert first and first == names(bundle.listen(sound()))
    both = bundle.listen(sound()), bundle.listen(sound())
    assert [names(iter(pair)) for pair in zip(*both, strict=True)] == [
        [each, each] for each in first
    ]


def test_detections_come_while_the_sound_does(bundle: Bundle) -> None:
    given = []

    def microphone() -> Iterator[np.ndarray]:
        for at in range(0, 5 * RATE, HOP):
            given.append(at)
            yield sound()[at : at + HOP]

    first = next(bundle.listen(microphone()))
    assert max(given) + HOP == round(first.seconds * RATE)


def test_integers_and_files_are_the_same_sound(bundle: Bundle, tmp_path: Path) -> None:
    samples = np.rint(32767 * sound()).astype(np.int16)
    wanted = names(bundle.listen(samples))
    path = write_wav(tmp_path / "a.wav", sound())
    assert names(bundle.listen(path)) == names(bundle.listen(str(path))) == wanted
    found = list(bundle.listen([path, path]))
    assert [(each.keyword, each.seconds) for each in found] == wanted + wanted
    assert {each.file for each in found} == {str(path)}


def test_another_rate_and_two_channels_are_heard_and_said(bundle: Bundle, tmp_path: Path) -> None:
    twice = np.repeat(np.repeat(sound(), 2), 2)  # each sample twice, for two channels
    told: list[str] = []
    path = write_wav(tmp_path / "b.wav", twice, 2 * RATE, channels=2)
    found = list(bundle.listen(path, say=told.append))
    assert [each.keyword for each in found] == ["low", "high"]
    assert told == [
        f"{path}: {2 * RATE} samples a second, resampled to {RATE}",
        f"{path}: 2 channels, mixed into one",
    ]


def test_nothing_is_heard_in_silence_or_in_nothing(bundle: Bundle) -> None:
    assert not list(bundle.listen(np.zeros(RATE, np.int16)))
    assert not list(bundle.listen(np.zeros(0, np.float32)))
    assert not list(bundle.listen(iter([])))


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        (np.zeros((4, 2)), "one channel"),
        (np.full(HOP, np.nan), "NaN or infinite"),
        (["nowhere.wav"], "nowhere.wav"),
        ([np.zeros(4, np.int64)], "sound as int64"),
    ],
)
def test_what_is_no_sound_is_told(bundle: Bundle, chunks: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        list(bundle.listen(chunks))


def test_a_text_is_no_sound(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("nothing")
    with pytest.raises(UserError, match=r"a\.wav: cannot be decoded"):
        list(bundle.listen(path))
    with pytest.raises(UserError, match=r"a\.wav: cannot be decoded"):
        bundle.predict(path)


def test_sound_is_predicted_in_a_window(bundle: Bundle, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "low.wav", tone("low"))
    (from_file,) = bundle.predict(path)
    assert from_file.label == "low"
    (short,) = bundle.predict(tone("high", 0.1))
    assert short.label == "high"
    several: list[Any] = [tone("low", 1.0), path, np.zeros(LENGTH, np.int16)]
    found = bundle.predict(several)
    assert [each.label for each in found] == ["low", "low", "unknown"]
    with pytest.raises(UserError, match="sound without a sample"):
        bundle.predict(np.zeros(0, np.float32))


def test_the_manifest_says_how_to_listen(bundle: Bundle) -> None:
    """As an app would read it, with the file's own numbers."""
    told = bundle.manifest["listening"]
    assert bundle.manifest["sound"] == {"rate": RATE, "samples": LENGTH, "cut": "spoken"}
    stream, labels = bundle.stream(told["program"]), bundle.labels
    for _ in range(told["lead_in"] // told["hop"]):
        stream(np.zeros((1, told["hop"]), np.float32))
    rings = {name: [0.0] * told["smoothing"] for name in told["thresholds"]}
    last = dict.fromkeys(rings, -(10**9))
    heard = []
    for step in range(len(sound()) // told["hop"]):
        hop = sound()[step * told["hop"] : (step + 1) * told["hop"]]
        powers = np.exp(stream(hop[None])["logits"][0] / bundle.manifest["temperature"])
        for name, ring in rings.items():
            ring.append(float(powers[labels.index(name)] / powers.sum()))
            mean = sum(ring[-told["smoothing"] :]) / told["smoothing"]
            if mean > told["thresholds"][name] and step - last[name] > told["refractory"]:
                last[name] = step
                heard.append((name, (step + 1) * told["hop"] / told["rate"]))
    assert heard == names(bundle.listen(sound()))
    assert "mixed into one channel" in bundle.manifest["notes"]["input"]
    assert f"First feed {LENGTH} samples of zero, {HOP} a step" in told["notes"]
    assert f"more than {told['refractory']} steps" in told["notes"]


def changed(bundle: Bundle, folder: Path, **listening: Any) -> Path:
    import shutil

    shutil.copytree(bundle.path, folder)
    manifest = json.loads((folder / "edgedistill.json").read_text())
    manifest["listening"] |= listening
    write_json(folder / "edgedistill.json", manifest)
    return folder


@pytest.mark.parametrize(
    ("listening", "told"),
    [
        ({"program": "hear"}, "listens with the program `hear`, which it does not list"),
        ({"hop": 81}, "takes something else than 81 samples"),
        ({"thresholds": {"loud": 0.5}}, "listens for `loud`, which is none of its labels"),
        ({"thresholds": {}}, "thresholds"),
        ({"smoothing": 0}, "smoothing"),
        ({"hop": 10**9}, "hop"),
        ({"lead_in": 10**8}, "lead_in`: more than 100,000 steps"),
    ],
)
def test_a_bundle_that_contradicts_itself_is_told(
    bundle: Bundle, tmp_path: Path, listening: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        list(Bundle.load(changed(bundle, tmp_path / "b", **listening)).listen(sound()))


def test_a_bundle_that_listens_to_nothing_is_told(bundle: Bundle) -> None:
    deaf = Bundle(bundle.path, {**bundle.manifest, "listening": None})
    with pytest.raises(UserError, match="nothing in it listens"):
        deaf.listen(sound())


def test_the_contract_and_the_report_tell_of_listening(result: Any, bundle: Bundle) -> None:
    report = build_report(result)
    lines = {line.name: line for line in report.contract}
    assert report.listened is not None
    heard = report.listened.test.all
    assert (lines["misses"].value, lines["misses"].status) == (heard.misses, "ok")
    assert lines["misses"].note.startswith(f"{heard.missed} of {heard.said}; 95 % interval")
    assert (lines["false accepts"].value, lines["false accepts"].status) == (0.0, "ok")
    shown = page(report, {"case0.wav": b"RIFF"})
    assert "Heard in long audio by tones.step.onnx" in shown
    assert shown.count('<audio controls preload="none" src="data:audio/wav;base64,UklGRg=="') == 1
    assert shown.count("<polyline") == 4 and "http://" not in shown
    text = summary(report)
    assert "Heard in long audio by tones.step.onnx" in text
    written = (bundle.path / "report.html").read_text()
    assert written.count("data:audio/wav;base64,") == len(report.listened.cases) > 0


def test_a_hop_is_held_against_its_time_on_the_target(
    result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for there, status in ((True, "missed"), (False, "not measured")):
        monkeypatch.setattr(f"{build_report.__module__}.is_machine", lambda *_, there=there: there)
        (line,) = (each for each in build_report(result).contract if each.name == "hop")
        assert (line.value, line.status) == (0.125 if there else None, status)


def test_the_command_prints_a_line_for_each_detection(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_wav(tmp_path / "a.wav", sound())
    wanted = list(bundle.listen(path))
    assert run(["listen", str(bundle.path), str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{path}  {each.seconds:.2f}  {each.keyword}  {each.confidence:.3f}"
                     for each in wanted]  # fmt: skip
    assert run(["listen", str(bundle.path), str(path), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Detection(**each) for each in found] == wanted


def test_the_command_listens_to_a_pipe(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = io.TextIOWrapper(io.BytesIO(np.rint(32767 * sound()).astype("<i2").tobytes()))
    monkeypatch.setattr(sys, "stdin", pipe)
    assert run(["listen", str(bundle.path), "-"]) == 0
    heard = capsys.readouterr().out.split()
    assert heard[::4] == ["-", "-"] and heard[2::4] == ["low", "high"]


def test_a_sample_may_come_in_two_pieces() -> None:
    class Pipe(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(3)

    samples = np.arange(-5, 6, dtype="<i2")
    said: list[str] = []
    found = list(raw(Pipe(samples.tobytes()), said.append))
    assert np.array_equal(np.concatenate(found), samples) and not said
    found = list(raw(Pipe(samples.tobytes()[:-1]), said.append))
    assert np.array_equal(np.concatenate(found), samples[:-1])
    assert said == ["standard input: ends with half a sample, left out; int16 samples are meant"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no samples"),
        (b"RIFF" + bytes(400), "holds a file, WAV; raw samples are meant: int16, one channel"),
        (bytes(2000) + (0.01 * sound()).astype("<f4").tobytes(),
         "holds 32-bit floats; int16 samples are meant"),
    ],
    ids=["nothing", "a file", "floats"],
)  # fmt: skip
def test_a_pipe_of_something_else_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(UserError) as told:
        list(raw(io.BytesIO(content), print))
    assert told.value.message == f"standard input: {message}"
    assert "s16le" in told.value.hint


@pytest.mark.parametrize("level", [1e-4, 0.1, 1.0, 20.0])
def test_sound_as_int16_is_not_taken_for_floats(level: float) -> None:
    noise = np.random.default_rng(0).normal(size=20_000)
    content = np.int16(32767 * np.clip(level * noise, -1, 1)).tobytes()
    assert sum(map(len, raw(io.BytesIO(content), print))) == 20_000
