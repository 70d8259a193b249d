"""The web package's own JavaScript, in Node.js, against what it does in Python."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

import edgedistill.package.web
from edgedistill.data.image.decode import Form, decode
from edgedistill.data.sound.window import clip_window
from edgedistill.data.speech.parting import parted
from edgedistill.listening.decision import Decider
from edgedistill.listening.ear import Ear, Hops
from edgedistill.records.listening import Rule
from edgedistill.records.recognizer import Guards, Rules
from edgedistill.runtimes.native import to_native, to_real
from edgedistill.signature import TensorSpec
from edgedistill.tasks.calibration import softmax
from edgedistill.transcribing.decoding import greedy
from edgedistill.transcribing.golden import write_wav
from edgedistill.transcribing.long import silent
from edgedistill.transcribing.vocabulary import Vocabulary

NODE = shutil.which("node")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(NODE is None, reason="apt-get install nodejs"),
]
SOURCES = Path(edgedistill.package.web.__file__).parent / "src"
READ = """
import { readFileSync } from "node:fs";
const given = JSON.parse(readFileSync(0, "utf-8"));
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
const packed = (array) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
"""


def in_node(modules: str, code: str, given: Any) -> Any:
    """What the expression `code` is, of `given`; modules: those of the package that it imports."""
    imports = "\n".join(
        f"import * as {name} from {json.dumps((SOURCES / f'{name}.js').as_uri())};"
        for name in modules.split()
    )
    program = f"{imports}\n{READ}\nconsole.log(JSON.stringify({code}));"
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", program],
        input=json.dumps(given), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packed(values: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def noisy(width: int, height: int, seed: int) -> np.ndarray[Any, Any]:
    """(height, width, 3), uint8: edges and noise, which show each weight."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (height // 3 + 1, width // 3 + 1, 3))
    whole = np.kron(blocks, np.ones((3, 3, 1)))[:height, :width]
    return np.clip(whole + random.normal(0, 20, whole.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("how", ["crop", "fit", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_resized_to_the_byte_as_pillow_does(how: Any, channels: int) -> None:
    cases = []
    sizes = [((640, 480), (96, 96)), ((33, 57), (32, 32)), ((7, 5), (16, 24)), ((1, 1), (8, 8)),
             ((401, 3), (20, 60)), ((224, 224), (224, 224)), ((1000, 777), (31, 64))]  # fmt: skip
    for seed, ((width, height), size) in enumerate(sizes):
        pixels = noisy(width, height, seed)
        opaque = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
        form = {"image_size": size, "channels": channels, "resize": {"how": how, "padding": 0}}
        wanted = decode(pixels, Form(size, channels, how))
        cases.append(({"width": width, "height": height, "data": packed(opaque), "form": form},
                      wanted))  # fmt: skip
    found = in_node(
        "picture",
        "given.map(({ width, height, data, form }) => "
        "packed(picture.prepared({ width, height, data: bytes(data) }, form).data))",
        [case for case, _ in cases],
    )
    for text, (_, wanted) in zip(found, cases, strict=True):
        pixels = np.frombuffer(base64.b64decode(text), np.uint8)
        apart = np.abs(pixels.reshape(wanted.shape).astype(int) - wanted)
        # Before 13, Pillow went across first, always.
        assert apart.max() <= (0 if int(PIL.__version__.split(".")[0]) >= 13 else 1)


def test_transparency_is_laid_over_white_as_pillow_does() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    pixels[:8, :, 3], pixels[8:16, :, 3] = 0, 255
    wanted = decode(Image.fromarray(pixels), Form((64, 64), 3))
    found = in_node(
        "picture",
        "packed(picture.withChannels({ width: 64, height: 64, data: bytes(given) }, 3).data)",
        packed(pixels),
    )
    assert np.array_equal(
        np.frombuffer(base64.b64decode(found), np.uint8).reshape(wanted.shape), wanted
    )


@pytest.mark.parametrize("scale", [1 / 255, 0.0078, None])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_bytes_are_fed_as_the_file_stores_them(layout: Any, scale: float | None) -> None:
    pixels = noisy(6, 5, 0)
    shape = (1, 5, 6, 3) if layout == "NHWC" else (None, 3, 5, 6)
    dtype, zero = ("float32", None) if scale is None else ("int8", -128)
    spec = TensorSpec("pixels", shape, layout, dtype, scale, zero)
    real = np.divide(pixels, np.float32(255)).transpose(2, 0, 1)[None]
    wanted = to_native(real, spec)
    found = in_node(
        "picture",
        "packed(picture.fed({ width: 6, height: 5, channels: 3, data: bytes(given.data) },"
        " given.spec))",
        {"data": packed(pixels), "spec": vars(spec)},
    )
    assert np.array_equal(np.frombuffer(base64.b64decode(found), dtype), wanted.ravel())


def test_integers_and_reals_go_both_ways_as_in_python() -> None:
    spec = TensorSpec("logits", (1, 400), "NC", "int8", 0.139420569, -21)
    real = np.linspace(-30, 30, 400, dtype=np.float32)[None]
    stored, back = in_node(
        "numbers",
        "(() => { const values = numbers.stored(given.real, given.spec);"
        " return [[...values], [...numbers.real(values, given.spec)]]; })()",
        {"real": real[0].tolist(), "spec": vars(spec)},
    )
    wanted = to_native(real, spec)
    assert stored == wanted[0].tolist()
    assert back == to_real(wanted, spec)[0].tolist()


def test_probabilities_are_those_of_python() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (1, 10)).astype(np.float32)
    found = in_node("numbers", "numbers.softmax(given, 1.7)", logits[0].tolist())
    assert np.abs(np.array(found) - softmax(logits, 1.7)[0]).max() < 1e-12


def test_counters_count_as_drift_reads_them() -> None:
    edges, confidences = [0.5, 0.75, 0.9], [0.2, 0.5, 0.6, 0.75, 0.95, 0.9]
    app = {"origin": {"bundle": "0" * 64}, "counting": {"edges": edges}, "labels": ["a", "b"]}
    found = in_node(
        "counters",
        "(() => { const all = new counters.Counters(given.app);"
        " given.confidences.forEach((each, at) => all.count(at % 2, each, each < 0.55));"
        " return all.document(); })()",
        {"app": app, "confidences": confidences},
    )
    places = np.searchsorted(edges, confidences, side="right")
    assert found["confidences"] == np.bincount(places, minlength=4).tolist()
    assert (found["classes"], found["samples"], found["routed"]) == ([3, 3], 6, 2)


def words(seconds: float, seed: int, rate: int = 8000) -> np.ndarray[Any, Any]:
    """(samples,) int16: bursts and pauses of any loudness."""
    random = np.random.default_rng(seed)
    parts: list[np.ndarray[Any, Any]] = []
    while sum(map(len, parts)) < seconds * rate:
        loud = 10 ** random.uniform(0, 4)
        parts.append(loud * random.normal(size=int(random.integers(200, 4000))))
        parts.append(random.normal(size=int(random.integers(0, 1500))))
    whole = np.concatenate(parts)[: int(seconds * rate)]
    return np.clip(np.rint(whole), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("cut", ["end", "middle", "spoken"])
def test_a_window_of_a_recording_lies_where_it_does_in_python(cut: Any) -> None:
    sounds = [words(seconds, seed) for seed, seconds in enumerate([0.3, 1.0, 1.7, 3.1, 4.0])]
    form = {"rate": 8000, "samples": 8000, "cut": cut}
    found = in_node(
        "sound",
        "given.sounds.map((each) => "
        "packed(sound.clipWindow(new Int16Array(bytes(each).buffer), given.form)))",
        {"sounds": list(map(packed, sounds)), "form": form},
    )
    for text, samples in zip(found, sounds, strict=True):
        (start,) = clip_window(samples, 8000, cut, 8000)
        wanted = np.zeros(8000, np.float32)
        piece = samples[max(0, start) : max(0, start + 8000)]
        wanted[max(0, -start) : max(0, -start) + len(piece)] = piece / 32768
        assert np.array_equal(np.frombuffer(base64.b64decode(text), np.float32), wanted)


def test_long_recordings_are_cut_where_python_cuts_them() -> None:
    sounds = [words(seconds, seed) for seed, seconds in enumerate([0.5, 2.0, 2.4, 11.0, 17.3])]
    sounds.append(np.zeros(40_000, np.int16))
    found = in_node(
        "parting",
        "given.map((each) => [...parting.parted(new Int16Array(bytes(each).buffer), 16000, 8000)]"
        ".map((piece) => [piece.length, parting.silent(piece, 8000)]))",
        list(map(packed, sounds)),
    )
    wanted = [[[len(piece), silent(piece, 8000)] for piece in parted([sound], 16000, 8000)]
              for sound in sounds]  # fmt: skip
    assert found == wanted


def test_what_is_heard_in_a_stream_is_heard_when_python_hears_it() -> None:
    random = np.random.default_rng(0)
    rule = Rule(keywords=("up", "down"), thresholds=(0.6, 0.55), smoothing=3, refractory=5)
    stream = random.uniform(0, 1, (400, 2)) ** 0.5
    found = in_node(
        "listening",
        "(() => { const rule = new listening.Decider(given.rule);"
        " return given.stream.flatMap((each) => rule.feed(each)); })()",
        {"rule": {"smoothing": 3, "refractory": 5, "thresholds": {"up": 0.6, "down": 0.55}},
         "stream": stream.tolist()},
    )  # fmt: skip
    wanted = [
        {"keyword": rule.keywords[each.keyword], "step": each.step, "confidence": each.confidence}
        for each in Decider(rule).feed(stream)
    ]
    assert found == wanted
    assert len(found) > 10


def test_chunks_of_any_length_make_the_hops_that_python_makes() -> None:
    hops: list[list[float]] = []

    def step(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        hops.append(samples[0].tolist())
        return np.zeros((1, 1))

    ear = Ear(step, Hops(hop=160, lead_in=0, temperature=1.0, keywords=(0,)))
    whole = words(0.5, 0)
    chunks = np.split(whole, [1, 159, 160, 161, 900, 2000, 3999])
    for chunk in chunks:
        ear.feed(chunk)
    found = in_node(
        "listening",
        "(() => { const hops = new listening.Hops(160); return given.flatMap((each) =>"
        " hops.cut(new Int16Array(bytes(each).buffer)).map((hop) => [...hop])); })()",
        list(map(packed, chunks)),
    )
    assert found == hops


class Scripted:
    """A recognizer of made-up logits, which depend on the token and the position alone."""

    def __init__(self, seed: int, favoured: int) -> None:
        self.table = np.random.default_rng(seed).normal(0, 3, (12, 40, 12)).astype(np.float32)
        self.table[:, :, favoured] += 4.0

    def hear(self, samples: Any) -> None:
        pass

    def step(self, token: int, position: int) -> Any:
        return self.table[token, position].copy()


@pytest.mark.parametrize("seed", range(4))
def test_decoding_says_what_python_says(seed: int) -> None:
    rules = Rules(prompt=(9, 10), end=11, suppressed=(9, 10), suppressed_first=(11, 3), limit=40,
                  no_speech=0)  # fmt: skip
    guards = Guards(repeats=2, longest=4, no_speech=0.9)
    scripted = Scripted(seed, favoured=4 if seed % 2 else 11)
    wanted = greedy(scripted, np.zeros(1, np.float32), rules, guards)
    found = in_node(
        "decoding",
        "await decoding.greedy(async (token, position) =>"
        " Float32Array.from(given.table[token][position]), given.rules, given.guards)",
        {"table": scripted.table.tolist(), "rules": vars(rules), "guards": vars(guards)},
    )
    assert found["tokens"] == list(wanted.tokens)
    assert found["logProbability"] == pytest.approx(wanted.log_probability, abs=1e-9)
    assert found["noSpeech"] == pytest.approx(wanted.no_speech, abs=1e-12)
    assert (found["ended"], found["looped"]) == (wanted.ended, wanted.looped)


def test_tokens_are_the_text_that_they_are_in_python() -> None:
    pieces = (b" h", "é".encode()[:1], "é".encode()[1:], b"llo", b"", "日本".encode(), b"\xff")
    tokens = [0, 1, 2, 3, 4, 5, 6, 1]
    found = in_node(
        "vocabulary",
        "vocabulary.textOf(given.tokens, given.pieces)",
        {"tokens": tokens, "pieces": [base64.b64encode(each).decode() for each in pieces]},
    )
    assert found == Vocabulary(pieces, {}).text(tokens)


def test_a_self_test_counts_what_is_too_far_off() -> None:
    found = in_node(
        "golden",
        "[new golden.Tally(1, 0.5).add([0, 2, 9], [0, 1, 2]).checked(),"
        " (() => { try { new golden.Tally(1, 0.9).add([0, NaN], [0, 1]).checked(); }"
        " catch (error) { return error.message; } })(),"
        " ...[[1, 2, 3], [1, 3, 3, 4], [2, 3], []].map((each) => golden.edits([1, 2, 3], each))]",
        None,
    )
    assert found[0] == {"values": 3, "wrong": 1, "worst": 7, "tolerance": 1, "share": 0.5}
    assert found[1].startswith("golden data: 1 of 2 values are further off than 1")
    assert found[2:] == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("share", "changed", "passes"),
    [(0.25, 0, True), (0.25, 2, True), (0.25, 3, False), (0, 0, True), (0, 1, False)],
)
def test_a_self_test_lets_a_share_of_edits_pass(
    tmp_path: Path, share: float, changed: int, passes: bool
) -> None:
    path = tmp_path / "0.wav"
    write_wav(path, np.zeros(100, np.int16), 16_000)
    found = in_node(
        "golden",
        "await golden.transcripts(given.golden, async () => given.found,"
        " () => bytes(given.wav).buffer).catch((error) => error.message)",
        {
            "golden": {"edits": share, "utterances": [{"file": "0.wav", "tokens": [*range(8)]}]},
            "found": {"segments": [{"tokens": [9] * changed}, {"tokens": [*range(changed, 8)]}]},
            "wav": base64.b64encode(path.read_bytes()).decode(),
        },
    )
    if passes:
        assert found == {
            "values": 8, "wrong": changed, "worst": changed, "tolerance": 0, "share": 1 - share,
        }  # fmt: skip
    else:
        assert found == f"golden data: {changed} edits of 8 tokens; a share of {share:g} may be"
