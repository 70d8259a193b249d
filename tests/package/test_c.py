"""A package in C as it is written, built with a compiler alone, and run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tone_net
from c_recognizer import FLAGS, build_library
from PIL import Image
from recognizer_bundles import bundled, record, vocabulary
from tone_net import RATE, tone, write_wav
from whisper_models import folded, whisper, written

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.devices import native
from edgedistill.package import Contents, package
from edgedistill.package.app import AppTexts
from edgedistill.package.c import write
from edgedistill.package.c.constants import identifier
from edgedistill.package.contents import contents_of
from edgedistill.package.platforms import find
from edgedistill.records.recognizer import VOCABULARY
from edgedistill.tasks.calibration import softmax

with_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")


@pytest.fixture
def pictures(make_result: Callable[..., Any], tmp_path: Path) -> Bundle:
    return write_bundle(make_result(), tmp_path / "pictures")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("tones")
    return write_bundle(tone_net.compiled(folder / "compiled"), folder / "bundle")


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("speech")
    vocabulary().write(folder / VOCABULARY)
    told = record({"onnxruntime": written(folded(whisper()), "onnxruntime", folder)})
    return bundled(folder, told, folder / "bundle")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every package has, built once."""
    return build_library(tmp_path_factory.mktemp("library") / "libedgedistill.so")


def built(folder: Path, program: str, library: Path) -> Path:
    """A program of a package, without CMake."""
    (app,) = folder.glob("*_app.c")
    name = app.stem
    out = folder / program
    programs = [folder / "programs" / each for each in (f"{program}.c", "arguments.c")]
    runtime = native.libraries("onnxruntime", "x86_64")[0]
    command = [
        "cc", *FLAGS, f"-I{folder / 'source'}", f"-I{folder}", f"-DEDR_APP={name}",
        f'-DEDR_APP_HEADER="{name}.h"', f'-DEDR_FOLDER="{folder / "data"}"',
        f'-DEDR_LIBRARY="{runtime}"', "-o", out, *programs, app, library,
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return out


def said(program: Path, *words: Any) -> tuple[int, str]:
    """(exit code, what it says), of a failure what it complains of."""
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout or done.stderr


def test_the_project_has_all_that_it_takes(pictures: Bundle, tmp_path: Path) -> None:
    folder = package(pictures, "c", tmp_path / "out").path
    files = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    assert {
        "CMakeLists.txt", "README.md", "app.cmake", "tiny_app.c", "tiny_app.h", "data/app.json",
        "data/tiny.int8.onnx", "data/golden/input.bin", "source/edgedistill.h",
        "programs/selftest.c",
    } <= files  # fmt: skip
    assert "{{" not in (folder / "README.md").read_text()
    told = (folder / "app.cmake").read_text()
    assert "set(APP_RUNTIME onnxruntime)" in told and "set(APP_EMBED ON)" in told


@pytest.mark.parametrize(
    ("name", "wanted"), [("digits", "digits"), ("8-bit net", "_8_bit_net"), ("für", "f_r")]
)
def test_a_name_is_one_in_c(name: str, wanted: str) -> None:
    assert identifier(name) == wanted


@with_compiler
@pytest.mark.parametrize(
    ("share", "changed", "passes"),
    [(0.0, 0, True), (0.25, 5, True), (0.25, 6, False), (0.0, 1, False)],
)
def test_speech_may_differ_by_a_share_of_edits(
    speech: Bundle, library: Path, tmp_path: Path, share: float, changed: int, passes: bool
) -> None:
    folder = package(speech, "c", tmp_path / "out").path
    (app,) = folder.glob("*_app.c")
    before, begin, rest = app.read_text().partition("tokens_0[] = {")
    tokens, end, after = rest.partition("}")
    others = ", ".join(["-1"] * changed + tokens.split(", ")[changed:])
    assert ".edits = 0.0" in after  # of floats
    app.write_text(before + begin + others + end + after.replace("edits = 0.0", f"edits = {share}"))
    verdict = "ok" if passes else "FAILED"
    assert said(built(folder, "selftest", library)) == (
        0 if passes else 1,
        f"tiny, onnxruntime, fp32: {changed} edits of 20 tokens, a share of {share:g} may be: "
        f"{verdict}\n",
    )


@with_compiler
def test_golden_data_are_equal(pictures: Bundle, library: Path, tmp_path: Path) -> None:
    folder = package(pictures, "c", tmp_path / "out").path
    program = built(folder, "selftest", library)
    code, told = said(program)
    assert code == 0, told
    assert "of 12 numbers equal" in told and told.endswith(", 1 within tolerance: ok\n")
    golden = folder / "data" / "golden" / "output.bin"
    held = golden.read_bytes()
    golden.write_bytes(bytes(len(held)))
    code, told = said(program)
    assert (code, told.split()[-1]) == (1, "FAILED")
    golden.write_bytes(held[:-4])
    code, told = said(program)
    assert (code, told) == (
        1, f"selftest: {golden}: has {len(held) - 4} bytes, and the package says {len(held)}\n",
    )  # fmt: skip


@with_compiler
def test_a_picture_is_classified_as_in_python(
    pictures: Bundle, library: Path, tmp_path: Path
) -> None:
    program = built(package(pictures, "c", tmp_path / "out").path, "classify", library)
    pixels = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    path = tmp_path / "photo.ppm"
    Image.fromarray(pixels).save(path)
    (wanted,) = pictures.predict([pixels])
    code, told = said(program, path)
    assert code == 0, told
    first, *rows = told.splitlines()
    assert first.split()[0] == wanted.label
    found = {row.split()[0]: float(row.split()[1]) for row in rows}
    assert found == pytest.approx(wanted.scores, rel=1e-6)
    path.write_bytes(b"P6 nothing")
    assert said(program, path) == (1, f"classify: {path}: is no PPM or PGM of 8 bits\n")


@with_compiler
def test_what_a_picture_shows_is_found_among_texts(
    pictures: Bundle, library: Path, tmp_path: Path
) -> None:
    texts = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    told = contents_of(pictures, find("c"), None, None)
    app = told.app.model_copy(
        update={
            "labels": ("a", "b", "c", "d"), "counting": None,
            "texts": AppTexts(file="texts.bin", shape=(4, 3), scale=20.0),
        }
    )  # fmt: skip
    write(Contents(app, {**told.sources, "texts.bin": texts.tobytes()}), tmp_path / "out")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    path = tmp_path / "photo.pgm"
    Image.fromarray(pixels).save(path)
    code, found = said(built(tmp_path / "out", "classify", library), path)
    assert code == 0, found
    (given,) = pictures.model()(pixels[None, None].astype(np.float32) / np.float32(255))
    logits = 20 * (given / np.linalg.norm(given)) @ texts.T
    wanted = softmax(logits[None], app.temperature)[0]
    shown = [float(row.split()[1]) for row in found.splitlines()[1:]]
    assert shown == pytest.approx(list(wanted), rel=1e-4)


@with_compiler
def test_keywords_are_heard_as_in_python(tones: Bundle, library: Path, tmp_path: Path) -> None:
    folder = package(tones, "c", tmp_path / "out").path
    samples = 0.001 * np.random.default_rng(0).normal(size=5 * RATE)
    for name, second in (("low", 1), ("high", 3)):
        samples[second * RATE : second * RATE + len(tone(name))] += tone(name)
    path = write_wav(tmp_path / "sound.wav", samples.astype(np.float32))
    code, told = said(built(folder, "listen", library), path)
    assert code == 0, told
    wanted = [
        f"{each.seconds:.3f} {each.keyword} {each.confidence:.6f}" for each in tones.listen(path)
    ]
    assert len(wanted) == 2 and told.splitlines() == wanted
    code, told = said(built(folder, "selftest", library))
    assert code == 0, told


@with_compiler
def test_counters_are_json_of_a_known_form(pictures: Bundle, library: Path, tmp_path: Path) -> None:
    folder = package(pictures, "c", tmp_path / "out").path
    (folder / "programs" / "count.c").write_text(
        """#include "arguments.h"
#include EDR_APP_HEADER
#include <stdio.h>

int main(int count, char** words) {
  static const uint8_t grey[64] = {0};
  const edr_picture picture = {grey, 8, 8, 1, 0};
  edr_classifier* it;
  edr_answer answer;
  edr_message why;
  Arguments asked;
  char text[4096], little[20];
  if (!read_arguments(count, words, &asked)) return 2;
  if (edr_open_classifier(&EDR_APP, asked.folder, &asked.options, &it, &why))
    return complain("count", &why);
  for (int at = 0; at < 3; at++)
    if (edr_classify_picture(it, &picture, &answer, &why)) return complain("count", &why);
  size_t bytes = edr_counters(it, text, sizeof text);
  if (bytes != edr_counters(it, little, sizeof little) || little[19]) return 3;
  fputs(text, stdout);
  edr_close_classifier(it);
  return 0;
}
"""
    )
    code, told = said(built(folder, "count", library))
    assert code == 0, told
    found = json.loads(told)
    reference = pictures.manifest["reference"]
    assert {key: found[key] for key in ("format", "bundle", "samples")} == {
        "format": 1, "bundle": pictures.digest, "samples": 3,
    }  # fmt: skip
    assert sum(found["classes"]) == 3 and len(found["classes"]) == len(pictures.labels)
    assert found["edges"] == (reference["edges"] if reference else [])
    assert sum(found["confidences"]) == (3 if reference else 0)
