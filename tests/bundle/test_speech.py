"""A bundle that transcribes, in Python and on the command line."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray
from recognizer_bundles import GUARDS, bundled, made_up, record, vocabulary
from whisper_models import RULES, SHAPE, folded, whisper, window, written

from edgedistill.artifact import write_json
from edgedistill.bundle import Bundle, Guards
from edgedistill.command_line import run
from edgedistill.errors import UserError
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.records.recognizer import VOCABULARY
from edgedistill.transcribing.decoding import greedy
from edgedistill.transcribing.long import Transcript
from edgedistill.transcribing.recognizers import InTorch

Capture = pytest.CaptureFixture[str]


def make(folder: Path, *runtimes: str) -> Bundle:
    folder.mkdir()
    programs = folded(whisper())
    told = record({name: written(programs, name, folder) for name in runtimes})
    vocabulary().write(folder / VOCABULARY)
    return bundled(folder, told, folder / "bundle")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Of ONNX files, which the processes that share these tests make once."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (root / "recognizer.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (root / "recognizer" / "bundle").exists():
            return make(root / "recognizer", "onnxruntime")
    return Bundle.load(root / "recognizer" / "bundle")


def sound(*seeds: int) -> NDArray[np.int16]:
    """A second of each, with a quiet tenth of a second after it."""
    parts = [np.concatenate([window(each)[: RATE * 9 // 10], np.zeros(RATE // 10)])
             for each in seeds]  # fmt: skip
    return np.rint(32767 * np.concatenate(parts)).astype(np.int16)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(0, 1, 2), RATE)
    return path


def test_a_window_is_what_the_reference_decoder_says_of_it(bundle: Bundle) -> None:
    for seed in range(4):
        samples = np.rint(32768 * window(seed)).clip(-32768, 32767).astype(np.int16)
        wanted = greedy(InTorch(whisper()), (samples / 32768).astype(np.float32), RULES, GUARDS)
        found = bundle.transcribe(samples)
        (segment,) = found.segments
        assert segment.tokens == wanted.tokens
        assert (segment.ended, segment.looped) == (wanted.ended, wanted.looped)
        assert segment.log_probability == pytest.approx(wanted.log_probability, abs=1e-3)
        assert found.text == segment.text == vocabulary().text(wanted.tokens)
        assert (found.seconds, found.language) == (1.0, "en")


def test_long_sound_is_its_segments_one_after_the_other(bundle: Bundle) -> None:
    samples = sound(0, 1, 2, 3)
    found = bundle.transcribe(samples)
    assert found.segments == tuple(bundle.segments(samples)) and len(found.segments) >= 4
    assert found.text == " ".join(each.text for each in found.segments if each.text)
    assert (found.segments[0].start, found.segments[-1].end, found.seconds) == (0.0, 4.0, 4.0)
    for one, other in zip(found.segments, found.segments[1:], strict=False):
        assert one.end == other.start
    again = bundle.transcribe(samples[round(RATE * found.segments[0].end) :])
    assert [each.tokens for each in again.segments] == [
        each.tokens for each in found.segments[1:]
    ], "a piece knows nothing of those before it"


def test_silence_is_passed_over_and_said(bundle: Bundle) -> None:
    quiet = np.zeros(3 * RATE, np.int16)
    told: list[str] = []
    found = bundle.transcribe(quiet, say=told.append)
    assert found == Transcript(text="", segments=(), seconds=3.0, language="en")
    assert told == ["the sound: nothing is said in it"]
    found = bundle.transcribe(np.concatenate([quiet, sound(0), quiet]))
    assert found.seconds == 7.0 and found.segments
    assert found.segments[0].start > 2.0 and found.segments[-1].end < 5.0


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=some.integers(0, 100), length=some.integers(1, 40_000),
    kind=some.sampled_from(["int16", "float32", "float64"]),
    format=some.sampled_from(["WAV", "FLAC"]),
)  # fmt: skip
def test_an_array_is_heard_as_its_file_is(
    bundle: Bundle, tmp_path: Path, seed: int, length: int, kind: str, format: str
) -> None:
    samples: Any = sound(seed, seed + 1, seed + 2)[:length]
    path = tmp_path / f"a.{format.lower()}"
    soundfile.write(path, samples, RATE, "PCM_16", format=format)
    given = samples if kind == "int16" else (samples / 32768).astype(kind)
    found = bundle.transcribe(given)
    assert found == bundle.transcribe(path) == bundle.transcribe(str(path))
    assert found.seconds == length / RATE


def test_floats_that_are_no_integers_are_heard_as_their_file_is(
    bundle: Bundle, tmp_path: Path
) -> None:
    samples = 1.5 * window(5)
    soundfile.write(tmp_path / "a.wav", samples, RATE, "FLOAT")
    assert bundle.transcribe(samples) == bundle.transcribe(tmp_path / "a.wav")


def test_another_rate_several_channels_and_clipping_are_heard_and_said(
    bundle: Bundle, tmp_path: Path
) -> None:
    loud = np.clip(3 * np.sin(2 * np.pi * 200 * np.arange(2 * RATE) / (2 * RATE)), -1, 1)
    path = tmp_path / "b.wav"
    soundfile.write(path, np.stack([loud, loud], 1), 2 * RATE)
    told: list[str] = []
    assert bundle.transcribe(path, say=told.append).seconds == 1.0
    assert told[:2] == [
        f"{path}: {2 * RATE} samples a second, resampled to {RATE}",
        f"{path}: 2 channels, mixed into one",
    ]
    assert any("samples at full scale: recorded too loud" in line for line in told)


def test_guards_are_the_bundles_unless_others_are_given(bundle: Bundle) -> None:
    samples = sound(*range(6))
    told: list[str] = []
    free = bundle.transcribe(samples, guards=Guards(), say=told.append)
    cut = [each for each in free.segments if not each.ended]
    assert cut and not any(each.looped for each in free.segments)
    assert told == [
        f"the sound: {each.start:.2f} to {each.end:.2f} s: cut off, as a transcript takes no more "
        "tokens"
        for each in cut
    ]
    told.clear()
    strict = bundle.transcribe(samples, guards=Guards(repeats=0), say=told.append)
    looped = [each for each in strict.segments if each.looped]
    assert looped and all(not each.ended for each in looped)
    assert sum("said the same again and again; ended there" in line for line in told) == len(looped)
    none = bundle.transcribe(samples, guards=Guards(no_speech=0.0))
    assert none.text == "" and all(each.no_speech > 0 for each in none.segments)


def test_a_file_is_chosen_by_runtime_and_precision(bundle: Bundle) -> None:
    samples = sound(0)
    wanted = bundle.transcribe(samples)
    assert bundle.transcribe(samples, "onnxruntime", "fp32") == wanted
    assert bundle.transcribe(samples, threads=2).text == wanted.text
    with pytest.raises(UserError, match="no file with runtime `litert`"):
        bundle.transcribe(samples, "litert")
    with pytest.raises(UserError, match="no file with precision `int8`"):
        bundle.segments(samples, precision="int8")


def test_two_may_be_heard_by_turns(bundle: Bundle) -> None:
    one, other = sound(0, 1, 2), sound(3, 4, 5)
    by_turns = zip(bundle.segments(one), bundle.segments(other), strict=False)
    for first, second in by_turns:
        assert first in bundle.transcribe(one).segments
        assert second in bundle.transcribe(other).segments


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 2)), "one channel"),
        (np.zeros((0, 2)), "one channel"),
        (np.full(9, np.nan), "NaN or infinite"),
        (np.append(np.zeros(200_000), np.inf), "NaN or infinite"),
        (np.zeros(0, np.int16), "sound without a sample"),
        (np.zeros(4, np.int64), "sound as int64"),
        ("nowhere.wav", "sound file not found: nowhere.wav"),
    ],
)
def test_what_is_no_sound_is_told_at_once(bundle: Bundle, given: Any, message: str) -> None:
    for ask in (bundle.transcribe, bundle.segments):
        with pytest.raises(UserError, match=message):
            ask(given)


def test_a_bundle_of_another_task_transcribes_nothing(
    make_result: Callable[..., Any], tmp_path: Path
) -> None:
    from edgedistill.bundle import write_bundle

    other = write_bundle(make_result(), tmp_path / "bundle")
    for ask in (other.transcribe, other.segments):
        with pytest.raises(UserError, match="no recognizer of speech") as told:
            ask(np.zeros(9, np.int16))
        assert "`bundle.predict`" in told.value.hint


def test_files_that_are_not_what_the_manifest_says_are_told(bundle: Bundle, tmp_path: Path) -> None:
    hollow = bundled(tmp_path / "files", made_up(tmp_path / "files", "onnxruntime"), tmp_path / "a")
    with pytest.raises(UserError, match="onnxruntime cannot load it"):
        hollow.transcribe(sound(0))
    other = replace(SHAPE, decoder_heads=2)
    told = record({"onnxruntime": {e["program"]: bundle.path / e["file"] for e in bundle.files}})
    signatures = {name: each for name, (_, each) in whisper(other).programs().items()}
    entries = tuple(replace(each, signature=signatures[each.program]) for each in told.files)
    lying = bundled(bundle.path, replace(told, files=entries), tmp_path / "b")
    with pytest.raises(UserError, match=r"`encode` in tiny\.encode\.onnx takes or gives something"):
        lying.transcribe(sound(0))


def test_transcribing_takes_no_torch(bundle: Bundle, recording: Path) -> None:
    import subprocess

    code = (
        "import sys; from edgedistill.bundle import Bundle; "
        f"Bundle.load({str(bundle.path)!r}).transcribe({str(recording)!r}); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_prints_a_line_for_each_file(
    bundle: Bundle, recording: Path, tmp_path: Path, capsys: Capture
) -> None:
    wanted = bundle.transcribe(recording)
    text = " ".join(wanted.text.split())
    assert run(["transcribe", str(bundle.path), str(recording)]) == 0
    shown = printed(text)
    assert capsys.readouterr().out == f"{shown}\n"
    other = tmp_path / "b.flac"
    soundfile.write(other, np.zeros(RATE, np.int16), RATE)
    assert run(["transcribe", str(bundle.path), str(recording), str(other)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{recording}  {shown}\n{other}\n"
    assert f"{other}: nothing is said in it" in err


def printed(text: str) -> str:
    from edgedistill.errors import printable

    return printable(text)


def test_the_command_prints_segments_and_json(
    bundle: Bundle, recording: Path, capsys: Capture
) -> None:
    wanted = bundle.transcribe(recording)
    words = ["transcribe", str(bundle.path), str(recording), "--runtime", "onnxruntime"]
    assert run([*words, "--segments"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        printed(f"{each.start:.2f}  {each.end:.2f}  {' '.join(each.text.split())}".rstrip())
        for each in wanted.segments
    ]
    assert run([*words, "--json", "--precision", "fp32", "--threads", "1"]) == 0
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert found == json.loads(json.dumps({"file": str(recording), **asdict(wanted)}))
    assert run([*words, "--json", "--segments"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["text"] for each in lines] == [each.text for each in wanted.segments]


def test_the_command_tells_of_what_it_cannot_take(
    bundle: Bundle, recording: Path, tmp_path: Path, capsys: Capture
) -> None:
    def made(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    whole = recording.read_bytes()
    for path, message in (
        (str(tmp_path / "none.wav"), "sound file not found: "),
        (str(tmp_path), "is a folder; sound file is meant"),
        (made("zero.wav", b""), "zero.wav: is empty"),
        (str(tmp_path / "empty.wav"), "empty.wav: holds no samples"),
        (made("text.wav", b"nothing"), "text.wav: cannot be decoded"),
        (str(tmp_path / "nan.wav"), "nan.wav: holds what is no number at 0.00 s"),
        (made("short.wav", whole[: len(whole) // 2]), "short.wav: is cut off: "),
    ):
        for more in ([], ["--segments"], ["--json"]):
            assert run(["transcribe", str(bundle.path), path, *more]) == 2
            out, err = capsys.readouterr()
            assert not out and f"error: {tmp_path}" in err.replace("sound file not found: ", "")
            assert message in err and "hint: " in err and "Traceback" not in err


def test_the_command_tells_of_bundles_that_do_not_transcribe(
    make_result: Callable[..., Any], recording: Path, tmp_path: Path, capsys: Capture
) -> None:
    from edgedistill.bundle import write_bundle

    write_bundle(make_result(), tmp_path / "bundle")
    write_json(tmp_path / "edgedistill.json", {"bundle_format": 4, "task": "transcription"})
    for place, message in (
        (tmp_path / "bundle", "holds no recognizer of speech"),
        (tmp_path / "none", "not a bundle"),
        (tmp_path, "the key `rules` is missing"),
        (recording, "not a bundle"),
    ):
        assert run(["transcribe", str(place), str(recording)]) == 2
        err = capsys.readouterr().err
        assert message in err and "Traceback" not in err


def test_other_commands_tell_what_a_recognizer_is_for(
    bundle: Bundle, recording: Path, capsys: Capture
) -> None:
    for words in (
        ["listen", str(bundle.path), str(recording)],
        ["drift", str(bundle.path), "--data", str(recording.parent)],
    ):
        assert run(words) == 2
        assert "`edgedistill transcribe BUNDLE AUDIO`" in capsys.readouterr().err


@pytest.mark.slow
def test_every_runtime_says_the_same(bundle: Bundle, tmp_path: Path) -> None:
    """Nearly: where two tokens are as likely, rounding decides."""
    several = make(tmp_path / "all", "litert", "openvino", "onnxruntime")
    samples = sound(*range(6))
    wanted = [each.tokens for each in bundle.transcribe(samples).segments]
    for runtime in ("litert", "openvino", "onnxruntime"):
        found = [each.tokens for each in several.transcribe(samples, runtime).segments]
        same = sum(one == other for one, other in zip(found, wanted, strict=True))
        assert same >= 0.8 * len(wanted), runtime
