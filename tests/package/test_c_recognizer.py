"""The C decoder says what Python says, and complains of what it cannot use."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from c_recognizer import FLAGS, SOURCES, Failed, Heard, InC, build_library, build_program
from recognizer_bundles import COMPILED, record, vocabulary
from sound_models import chirp
from whisper_models import RULES, SHAPE, folded, whisper, written

from edgedistill.bundle import Bundle, write_recognizer
from edgedistill.bundle.plain_rules import PLAIN
from edgedistill.data.speech.parting import parted
from edgedistill.devices import native, private
from edgedistill.devices.emulator import open_device
from edgedistill.devices.emulator.cpus import CPUS
from edgedistill.devices.emulator.setup import ROOTS
from edgedistill.devices.machine import machine
from edgedistill.errors import UserError
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.records.recognizer import VOCABULARY, Guards, RecognizerRecord
from edgedistill.transcribing.decoding import Floats
from edgedistill.transcribing.long import Transcript, silent

pytestmark = [
    pytest.mark.skipif(machine()["isa"] != "x86_64", reason="the packages here are not x86_64's"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here"),
]
FILE, DAMAGED, NO_MODEL, RUNTIME, ARGUMENT, NO_NUMBER, STOPPED = 1, 2, 3, 4, 6, 7, 8
RUNTIMES = ["onnxruntime", pytest.param("litert", marks=pytest.mark.slow)]


def sound(length: int, seed: int, quiet: tuple[int, int] = (0, 0)) -> Floats:
    """Chirps of half a second each, with nothing in a part of them."""
    part = RATE // 2
    chirps = [chirp(part, 1000 * seed + each, RATE) for each in range(-(-length // part))]
    found: Floats = np.concatenate(chirps)[:length]
    found[slice(*quiet)] = 0
    return found


SOUNDS = {
    "a window": sound(16_000, 1),
    "a little more": sound(16_001, 2),
    "less": sound(5_000, 3),
    "a sample": sound(1, 4),
    "two pieces": sound(24_000, 5),
    "long": sound(163_211, 6),
    "long, with silence": sound(120_000, 7, (20_000, 90_000)),
    "silence": np.zeros(40_000, np.float32),
    "too loud": 3 * sound(30_000, 8),
}
"""By what is odd about them."""


class Made:
    """Bundles of one runtime, each made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, tuple[RecognizerRecord, Bundle]] = {}

    def record(self, runtime: str) -> RecognizerRecord:
        return self._of(runtime)[0]

    def bundle(self, runtime: str) -> Bundle:
        return self._of(runtime)[1]

    def files(self, runtime: str) -> Path:
        return self._folder / f"{runtime}-files"

    def _of(self, runtime: str) -> tuple[RecognizerRecord, Bundle]:
        if runtime not in self._made:
            files = self.files(runtime)
            files.mkdir()
            vocabulary().write(files / VOCABULARY)
            told = record({runtime: written(folded(whisper()), runtime, files)})
            self._made[runtime] = told, handed_over(told, files, self._folder / runtime)
        return self._made[runtime]


def handed_over(told: RecognizerRecord, files: Path, out: Path) -> Bundle:
    compiled = replace(COMPILED, shipped=(told.files[0].runtime, "fp32"))
    return write_recognizer(files, files / VOCABULARY, told, compiled, out)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(tmp_path_factory.mktemp("program") / "transcribe")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ctypes.CDLL(str(build_library(tmp_path_factory.mktemp("library") / "recognizer.so")))


@pytest.fixture(params=RUNTIMES)
def both(request: pytest.FixtureRequest, made: Made, library: Any) -> Iterator[tuple[InC, Bundle]]:
    """A bundle opened by C, and by Python."""
    bundle = made.bundle(request.param)
    in_c = opened(library, bundle, request.param)
    yield in_c, bundle
    in_c.close()


def opened(library: Any, bundle: Bundle, runtime: str) -> InC:
    return InC(library, bundle.path, runtime, native.libraries(runtime, "x86_64")[0])


def same(found: Heard, wanted: Transcript) -> None:
    assert (found.text, found.seconds) == (wanted.text, wanted.seconds)
    assert len(found.segments) == len(wanted.segments)
    for one, other in zip(found.segments, wanted.segments, strict=True):
        for name in ("start", "end", "text", "tokens", "ended", "looped"):
            assert getattr(one, name) == getattr(other, name)
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-9)
        assert one.no_speech == pytest.approx(other.no_speech, abs=1e-9)


def test_c_says_what_python_says(both: tuple[InC, Bundle]) -> None:
    in_c, bundle = both
    texts = set()
    for samples in SOUNDS.values():
        wanted = bundle.transcribe(samples)
        same(in_c.transcribe(samples), wanted)
        texts.add(wanted.text)
    assert len(texts) == len(SOUNDS) - 1  # a sample says nothing, as silence does


@pytest.mark.parametrize(
    "guards",
    [
        Guards(repeats=0, longest=1),
        Guards(repeats=0, longest=16),
        Guards(repeats=1, longest=3),
        Guards(no_speech=0.0),
    ],
)
def test_guards_end_the_same_transcripts(both: tuple[InC, Bundle], guards: Guards) -> None:
    in_c, bundle = both
    wanted = bundle.transcribe(SOUNDS["long"], guards=guards)
    same(in_c.transcribe(SOUNDS["long"], guards), wanted)
    plain = bundle.transcribe(SOUNDS["long"])
    assert [each.tokens for each in wanted.segments] != [each.tokens for each in plain.segments]


def test_the_guard_of_no_speech_passes_over_the_same_pieces(both: tuple[InC, Bundle]) -> None:
    in_c, bundle = both
    shares = sorted(each.no_speech for each in bundle.transcribe(SOUNDS["long"]).segments)
    middle = len(shares) // 2
    guards = Guards(no_speech=(shares[middle - 1] + shares[middle]) / 2)
    wanted = bundle.transcribe(SOUNDS["long"], guards=guards)
    same(in_c.transcribe(SOUNDS["long"], guards), wanted)
    assert sum(not each.tokens for each in wanted.segments) == len(shares) - middle


def test_rules_and_guards_are_the_bundles(made: Made, library: Any, tmp_path: Path) -> None:
    told = replace(
        made.record("onnxruntime"),
        rules=replace(RULES, suppressed=(123,), suppressed_first=(), limit=17, no_speech=None),
        guards=Guards(repeats=0, longest=2, no_speech=0.3),
        language="ja",
    )
    bundle = handed_over(told, made.files("onnxruntime"), tmp_path / "other")
    in_c = opened(library, bundle, "onnxruntime")
    wanted = bundle.transcribe(SOUNDS["long"])
    same(in_c.transcribe(SOUNDS["long"]), wanted)
    assert any(each.looped for each in wanted.segments)
    in_c.close()


def test_segments_are_told_as_they_come(both: tuple[InC, Bundle]) -> None:
    in_c, _ = both
    told: list[Any] = []
    found = in_c.transcribe(SOUNDS["long"], on_segment=told.append)
    assert tuple(told) == found.segments


def test_it_stops_when_it_is_told(both: tuple[InC, Bundle]) -> None:
    in_c, bundle = both
    left = iter([True] * 30)
    with pytest.raises(Failed) as caught:
        in_c.transcribe(SOUNDS["long"], go_on=lambda: next(left, False))
    assert (caught.value.code, caught.value.why) == (STOPPED, "was told to stop")
    same(in_c.transcribe(SOUNDS["less"]), bundle.transcribe(SOUNDS["less"]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_sound_is_told(both: tuple[InC, Bundle], value: float) -> None:
    samples = sound(8000, 1)
    samples[17] = value
    with pytest.raises(Failed) as caught:
        both[0].transcribe(samples)
    assert (caught.value.code, caught.value.why) == (
        ARGUMENT, "sample 17 of the sound is no number",
    )  # fmt: skip
    with pytest.raises(Failed, match="sound without a sample"):
        both[0].transcribe(samples[:0])


def test_bytes_are_text_as_in_python(library: Any) -> None:
    random = np.random.default_rng(0)
    pieces = [bytes([each]) for each in range(256)]
    pieces += [each.encode() for each in " \t\x1f\x85\xa0\u2003\u3000\u200bé€\U0001f600\uffff"]
    text, count = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
    for _ in range(3000):
        chosen = b"".join(
            pieces[at] for at in random.integers(len(pieces), size=random.integers(9))
        )
        code = library.edr_decode_utf8(
            chosen, ctypes.c_size_t(len(chosen)), ctypes.byref(text), ctypes.byref(count), None
        )
        found = ctypes.string_at(text, count.value).decode()
        assert (code, found) == (0, chosen.decode(errors="replace").strip())


@pytest.mark.parametrize(("window", "rate"), [(16_000, 16_000), (161, 1_000), (50_001, 16_000)])
def test_sound_is_parted_as_in_python(library: Any, window: int, rate: int) -> None:
    random = np.random.default_rng(window)
    library.edr_next_piece.restype = ctypes.c_size_t
    library.edr_silent.restype = ctypes.c_bool
    for _ in range(20):
        loud = np.repeat(random.integers(0, 60, 300), window // 40)
        samples = (loud * random.normal(size=len(loud))).astype(np.int16)
        samples = samples[: random.integers(len(samples))]
        at = 0
        for piece in parted([samples], window, rate):
            here = samples[at:].ctypes.data_as(ctypes.c_void_p)
            left, wide = ctypes.c_size_t(len(samples) - at), ctypes.c_size_t(window)
            assert library.edr_next_piece(here, left, wide, rate) == len(piece)
            assert library.edr_silent(here, ctypes.c_size_t(len(piece)), rate) == silent(
                piece, rate
            )
            at += len(piece)
        assert at == len(samples)


def run(program: Path, bundle: Path, path: Path, *more: Any) -> tuple[int, bytes, str]:
    """Exit code, output, and the last complaint."""
    words = [program, "--library", native.libraries("onnxruntime", "x86_64")[0], *more]
    done = subprocess.run([*words, "--folder", bundle, path], capture_output=True, timeout=120)
    return done.returncode, done.stdout, (done.stderr.decode().splitlines() or [""])[-1]


def printed(found: Transcript) -> str:
    """With `--tokens`."""
    lines = [
        f"{each.start:.6f} {each.end:.6f} {' '.join(map(str, each.tokens))}"
        for each in found.segments
    ]
    return "".join(f"{line}\n" for line in (found.text, *lines))


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_file_is_transcribed(made: Made, program: Path, tmp_path: Path, subtype: str) -> None:
    path, bundle = tmp_path / "sound.wav", made.bundle("onnxruntime")
    soundfile.write(path, SOUNDS["two pieces"], RATE, subtype=subtype)
    wanted = bundle.transcribe(path)
    code, said, told = run(program, bundle.path, path, "--tokens")
    assert (code, said.decode()) == (0, printed(wanted))
    assert told.startswith("onnxruntime, fp32: opened in ")


def write_stereo(path: Path) -> None:
    soundfile.write(path, np.zeros((100, 2)), RATE)


def write_cut(path: Path) -> None:
    soundfile.write(path, sound(8000, 1), RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-100])


BAD_SOUNDS = {
    "No such file or directory": lambda path: None,
    "is no file": lambda path: path.mkdir(),
    "is no WAV file": lambda path: path.write_bytes(b"no sound at all"),
    "is cut off": write_cut,
    "has 8000 samples a second, and the bundle takes 16000; resample it": lambda path: (
        soundfile.write(path, np.zeros(100), 8000)
    ),
    "has more than one channel; mix them down": write_stereo,
    "holds other samples than 16-bit or float32; convert it": lambda path: soundfile.write(
        path, np.zeros(100), RATE, subtype="PCM_24"
    ),
    "holds no samples": lambda path: soundfile.write(path, np.zeros(0), RATE),
}


@pytest.mark.parametrize("told", BAD_SOUNDS)
def test_bad_files_of_sound_are_told(made: Made, program: Path, tmp_path: Path, told: str) -> None:
    path = tmp_path / "sound.wav"
    BAD_SOUNDS[told](path)
    code, said, complaint = run(program, made.bundle("onnxruntime").path, path)
    assert (code, said, complaint) == (1, b"", f"transcribe: {path}: {told}")


def test_no_beginning_of_a_file_of_sound_is_taken(
    made: Made, program: Path, tmp_path: Path
) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound(50, 1), RATE, subtype="FLOAT")
    whole = path.read_bytes()
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        code, _, complaint = run(program, made.bundle("onnxruntime").path, path)
        assert code == 1
        assert complaint.removeprefix(f"transcribe: {path}: ") in ("is no WAV file", "is cut off")
    path.write_bytes(whole[:40] + struct.pack("<I", 0xFFFFFFFF) + whole[44:])
    assert run(program, made.bundle("onnxruntime").path, path)[0] == 1


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    """A bundle to damage."""
    return Path(shutil.copytree(made.bundle("onnxruntime").path, tmp_path / "copied"))


def complaint_of(library: Any, bundle: Path, runtime: str = "onnxruntime") -> tuple[int, str]:
    with pytest.raises(Failed) as caught:
        InC(library, bundle, runtime, native.libraries("onnxruntime", "x86_64")[0])
    return caught.value.code, caught.value.why


def code_of(library: Any, bundle: Path) -> int:
    try:
        InC(library, bundle, "onnxruntime", native.libraries("onnxruntime", "x86_64")[0]).close()
    except Failed as failed:
        return failed.code
    return 0


def test_what_is_no_bundle_is_told(library: Any, copied: Path) -> None:
    nowhere = copied / "nowhere"
    assert complaint_of(library, nowhere) == (
        FILE, f"{nowhere}/{PLAIN}: No such file or directory",
    )  # fmt: skip
    assert complaint_of(library, copied, "litert") == (
        NO_MODEL, f"{copied}/{PLAIN}: has no files of runtime litert and precision (any)",
    )  # fmt: skip


def test_a_runtime_that_is_not_there_is_told(library: Any, copied: Path) -> None:
    with pytest.raises(Failed, match="the runtime's library cannot be loaded") as caught:
        InC(library, copied, "onnxruntime", copied / "none.so")
    assert caught.value.code == RUNTIME


def test_a_damaged_model_is_told(library: Any, copied: Path) -> None:
    model = next(copied.glob("*.encode.*"))
    held = model.read_bytes()
    model.write_bytes(held[:-1])
    said = f"has {len(held) - 1} bytes, and the bundle says {len(held)}"
    assert complaint_of(library, copied) == (DAMAGED, f"{model}: {said}")
    model.write_bytes(bytes(len(held)))
    code, why = complaint_of(library, copied)
    assert code == DAMAGED
    assert why.startswith("ONNX Runtime cannot load a file: ")
    model.unlink()
    assert complaint_of(library, copied) == (FILE, f"{model}: No such file or directory")


def test_models_in_each_others_place_are_told(library: Any, copied: Path) -> None:
    lines = (copied / PLAIN).read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("encode\t"))
    encode, step = (line.partition("\t")[2] for line in lines[at : at + 2])
    lines[at : at + 2] = f"encode\t{step}", f"decode_step\t{encode}"
    (copied / PLAIN).write_text("".join(f"{line}\n" for line in lines))
    assert complaint_of(library, copied) == (DAMAGED, "the file has no `samples`")


def test_a_line_that_lacks_or_is_changed_is_told(library: Any, copied: Path) -> None:
    path = copied / PLAIN
    lines = path.read_text().splitlines(keepends=True)
    for at in [*range(22), 60, len(lines) - 1]:
        path.write_text("".join(lines[:at] + lines[at + 1 :]))
        code, why = complaint_of(library, copied)
        assert code == DAMAGED
        assert why.startswith(f"{path}: line ")
    for line in lines[:22]:
        key, _, values = line.partition("\t")
        for bad in ("", "\t-2", "\t99999999999999999999", "\tx", "\t", f"\t{values.strip()}\t-5"):
            path.write_text("".join(lines).replace(line, f"{key}{bad}\n", 1))
            assert code_of(library, copied) in (0, FILE, DAMAGED, NO_MODEL, RUNTIME)


def test_the_beginning_of_a_file_of_rules_is_told(library: Any, copied: Path) -> None:
    path = copied / PLAIN
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        assert complaint_of(library, copied)[0] == DAMAGED
    path.write_bytes(whole.replace(b"rate", b"r\0te"))
    assert complaint_of(library, copied)[1].endswith("is no text; compile the bundle again")
    path.write_bytes(whole + b"more")
    assert complaint_of(library, copied)[1].endswith("more follows; compile the bundle again")


def test_what_the_page_shows_builds(tmp_path: Path) -> None:
    page = (SOURCES.parents[3] / "docs" / "speech.md").read_text()
    (tmp_path / "shown.c").write_text(page.split("```c\n", 1)[1].split("```", 1)[0])
    command = ["cc", *FLAGS, f"-I{SOURCES}", "-c", "-o", tmp_path / "shown.o", "shown.c"]
    subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.slow
def test_memory_is_clean(made: Made, tmp_path: Path) -> None:
    try:
        checked = build_program(tmp_path / "checked", "cc", "-g", "-fsanitize=address,undefined")
        subprocess.run([checked], capture_output=True, check=False)
    except subprocess.CalledProcessError:
        pytest.skip("this compiler has no sanitizers")
    bundle, path = made.bundle("onnxruntime"), tmp_path / "sound.wav"
    soundfile.write(path, SOUNDS["long"], RATE)
    code, said, told = run(checked, bundle.path, path)
    if "LeakSanitizer has encountered" in told:
        pytest.skip("leaks cannot be looked for here")
    assert code == 0, told
    assert said.decode() == bundle.transcribe(path).text + "\n"
    copied = Path(shutil.copytree(bundle.path, tmp_path / "copied"))
    for place, text in ((PLAIN, "no rules"), ("tiny.encode.onnx", "no model")):
        (copied / place).write_text(text.ljust((copied / place).stat().st_size))
        code, _, told = run(checked, copied, path)
        assert (code, told[:12]) == (1, "transcribe: "), told
        shutil.copyfile(bundle.path / place, copied / place)


@pytest.mark.emulator
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_an_arm64_processor_says_the_same(made: Made, tmp_path: Path, runtime: str) -> None:
    try:
        open_device("cortex-a76")
    except UserError as error:
        pytest.skip(str(error))
    program, path = tmp_path / "transcribe", tmp_path / "sound.wav"
    build_program(program, "aarch64-linux-gnu-gcc")
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for each in native.libraries(runtime, "aarch64"):
        (libraries / each.name).symlink_to(each.absolute())
    own = libraries / native.libraries(runtime, "aarch64")[0].name
    bundle = made.bundle(runtime)
    soundfile.write(path, sound(3 * SHAPE.samples, 1), RATE)
    root = private.folder().absolute() / ROOTS / "cortex-a76"
    loader = [*native.launch("aarch64", str(libraries))[:-1]]
    command = [
        "qemu-aarch64", "-cpu", CPUS["cortex-a76"].qemu, "-L", root, *loader, program,
        "--tokens", "--runtime", runtime, "--library", own, "--folder", bundle.path, path,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, env={"PATH": "/usr/bin:/bin"}, timeout=900)
    assert done.stdout.decode() == printed(bundle.transcribe(path)), done.stderr
