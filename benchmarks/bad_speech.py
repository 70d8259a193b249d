"""What a user gets to read for each kind of bad speech, Whisper or recognizer: a transcript, with
exit codes.

As `benchmarks.bad_input`, with a Whisper that has learned nothing. The commands' processes begin
with what this one has imported.

    python -m benchmarks.bad_speech [--only WORD]  (writes benchmarks/results/bad_speech.md)
"""

from __future__ import annotations

import argparse
import atexit
import functools
import importlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from benchmarks.bad_sound import beside as beside_sound
from benchmarks.bad_sound import jpeg
from benchmarks.broken_speech import (
    ODD,
    QUICK,
    SAID,
    TEXT,
    UNREADABLE,
    beyond,
    cut,
    cut_off,
    english,
    few,
    fewer_tokens,
    flip,
    folders,
    given,
    half_a_parquet,
    holding,
    indexed,
    lines,
    manifest,
    model_file,
    no_sound,
    nothing_readable,
    other_token,
    parquet,
    pickled,
    same_recordings,
    saved,
    shift,
    tokenizer,
    weights,
    with_recordings,
    without,
)
from benchmarks.small_speech import (
    HERE,
    RATE,
    chirp,
    encoded,
)
from benchmarks.transcript import Case, forked, transcribe

GOES_ON = (0, 1)
IMPORTED = (
    "edgedistill.command_line", "edgedistill.pipeline", "edgedistill.bundle",
    "edgedistill.stages.tune", "edgedistill.stages.recognize", "torch.export", "onnx",
    "onnxruntime", "soundfile", "transformers.models.whisper.english_normalizer",
)  # fmt: skip
CHECK = ("check", "recipe.yaml", "--target", "here.yaml")


DATA = [
    Case("Recordings that are odd, one of each kind", with_recordings(ODD), HERE, GOES_ON,
         says=("of 8000 Hz", "mixed into one", "are clipped", "are silent", "parted into")),
    Case("Recordings that cannot be read, one of each kind", with_recordings(UNREADABLE), HERE,
         GOES_ON, says=("recordings that cannot be read are left out",)),
    Case("Recordings none of which can be read", nothing_readable),
    Case("A recording that is longer than the window, with a transcript",
         with_recordings({f"{each}.wav": encoded(chirp(40_000, each, RATE), RATE)
                          for each in range(6)}, "the hat"),
         HERE, GOES_ON, says=("cannot be parted: left out",)),
    Case("The test set's recordings in the training set", same_recordings),
    Case("Training recordings that are not there", without("train.jsonl")),
    Case("A test set that is not there", without("test.jsonl")),
    Case("The same place to train on and as the test set", given(data__test="train.jsonl")),
    Case("Transcripts without recordings", without("train")),
    Case("Some transcripts without recordings", without("train/3.wav", "train/5.wav")),
    Case("Recordings without a transcript, those of the test set too", folders),
    Case("A test set without a transcript", lines(lambda line: line | {"text": None}, "test")),
    Case("A folder without sound", no_sound),
    Case("A manifest of no lines", holding("train.jsonl", "")),
    Case("A manifest that is no JSON", holding("train.jsonl", "train/0.wav the hat\n")),
    Case("A manifest whose lines are no objects", holding("train.jsonl", '["train/0.wav"]\n')),
    Case("A manifest with other keys", lines(lambda line: {"wav": line["path"], "words": "a"})),
    Case("A manifest without the key that is named",
         given(data__text="sentence")),
    Case("A transcript that is no text", lines(lambda line: line | {"text": 7})),
    Case("A transcript of thousands of digits",
         lines(lambda line: line | {"text": "7" * 5000}, "test"), HERE),
    Case("Parquet without recordings", parquet(audio=None)),
    Case("Parquet without the column that is named", parquet(data=[0] * 12)),
    Case("Parquet whose recordings are numbers", parquet(audio=list(range(12)))),
    Case("Parquet whose transcripts are numbers", parquet(text=list(range(12)))),
    Case("Parquet that is cut off", half_a_parquet),
    Case("One recording to train on", few(1)),
    Case("A language that is none", given(data__language="english")),
    Case("A window longer than any Whisper's", given(data__seconds=31)),
]  # fmt: skip
TEACHERS = [
    Case("A teacher that is not there", without("teacher")),
    Case("A teacher that is no Whisper", saved("config.json", model_type="wav2vec2")),
    Case("A teacher without `config.json`", without("teacher/config.json")),
    Case("A teacher whose `config.json` is cut off", cut_off("teacher/config.json")),
    Case("A teacher whose `config.json` lacks sizes",
         saved("config.json", d_model=None, num_mel_bins="80")),
    Case("A teacher without weights", without("teacher/model.safetensors")),
    Case("A teacher whose weights are cut off", cut_off("teacher/model.safetensors")),
    Case("A teacher whose weights are no safetensors", holding("teacher/model.safetensors", TEXT)),
    Case("A teacher whose weights have other sizes", saved("config.json", encoder_ffn_dim=32)),
    Case("A teacher that lacks a weight",
         weights(lambda held: {n: each for n, each in held.items() if "layers.1.fc1" not in n})),
    Case("A teacher whose weights are no numbers",
         weights(lambda held: {name: each * np.nan for name, each in held.items()})),
    Case("A teacher whose weights are a pickle", pickled),
    Case("A teacher whose index names a file that is not there",
         lambda folder: indexed(folder, "part.safetensors")),
    Case("A teacher whose index leads out of its folder",
         lambda folder: indexed(folder, "../other.safetensors")),
    Case("A teacher without a tokenizer", without("teacher/tokenizer.json")),
    Case("A tokenizer that is no table", holding("teacher/tokenizer.json", "[]")),
    Case("A tokenizer of more tokens than the teacher has", tokenizer(beyond)),
    Case("A tokenizer of another model", tokenizer(shift)),
    Case("A teacher without `generation_config.json`", without("teacher/generation_config.json")),
    Case("A teacher whose `generation_config.json` lacks the end",
         saved("generation_config.json", eos_token_id=None)),
    Case("A teacher whose `generation_config.json` names tokens that it has not",
         saved("generation_config.json", suppress_tokens=[99_999])),
    Case("A language that the teacher lacks", given(data__language="it")),
    Case("A teacher of English, and another language", english),
    Case("A window longer than the teacher's positions", given(data__seconds=2)),
    Case("More tokens than the teacher has positions for", given(student__tokens=200)),
    Case("transformers is not installed", given(), block="transformers"),
]  # fmt: skip
STUDENTS = [
    Case("More layers than there are", given(student__decoder_layers=3)),
    Case("A layer that does not exist", given(student__encoder_layers=[0, 5])),
    Case("A layer twice", given(student__decoder_layers=[0, 0])),
    Case("No layers", given(student__decoder_layers=[])),
    Case("Fewer tokens than a transcript begins with", given(student__tokens=3)),
    Case("Tokens for no whole transcript", given(student__tokens=8, **QUICK), HERE, GOES_ON,
         says=("are cut off, as they take more than",)),
    Case("Transcripts outside a trimmed vocabulary", given(student__vocabulary="ascii"), HERE,
         says=("tokens are not kept, most often",)),
    Case("A vocabulary of the data, and too little of it",
         few(2, student__vocabulary="data", stages__transcribe={}), HERE),
    Case("No transcript that is believed", given(stages__transcribe={})),
    Case("Two mistakes at once",
         given(student__decoder_layer=1, stages__distil={"epochs": 2})),
    Case("A promise that is none of a recognizer's", given(contract={"max_latency_ms": 5})),
    Case("A device to measure on", given(), (*HERE, "--device", "local")),
    Case("Check: letters beyond ASCII in a vocabulary of ASCII",
         given(data__language="de", student__vocabulary="ascii"), CHECK, (0,),
         says=("beyond ASCII",)),
    Case("Check: a teacher whose weights are cut off", cut_off("teacher/model.safetensors"), CHECK),
]  # fmt: skip


@cache
def bundle() -> Path:
    """Compiled once."""
    folder = Path(mkdtemp(prefix="bad-speech-"))
    atexit.register(shutil.rmtree, folder)
    code, text = forked(Case("", given(**QUICK), HERE), folder)
    assert code in GOES_ON, text
    return folder / "speech-here"


def beside(fill: Callable[[Path], object]) -> Callable[[Path], None]:
    """A folder with a bundle, and what `fill` puts there."""

    def prepare(folder: Path) -> None:
        shutil.copytree(bundle(), folder / "bundle")
        fill(folder)

    return prepare


def says(
    title: str, *files: tuple[str, bytes], fine: bool = False, told: str = "",
    options: tuple[str, ...] = (),
) -> Case:  # fmt: skip
    """The command on files."""

    def fill(folder: Path) -> None:
        for name, content in files:
            (folder / name).write_bytes(content)

    return Case(f"Transcribe: {title}", beside(fill),
                ("transcribe", "bundle", *(name for name, _ in files), *options),
                (0,) if fine else (2,), says=(told,))  # fmt: skip


WAV = ("a.wav", encoded(SAID, RATE))


def tampered(title: str, fill: Callable[[Path], object], *options: str) -> Case:
    """The command on a bundle that `fill` was at."""

    def prepare(folder: Path) -> None:
        (folder / WAV[0]).write_bytes(WAV[1])
        fill(folder / "bundle")

    return Case(f"Transcribe: {title}", beside(prepare), ("transcribe", "bundle", WAV[0], *options))


USES = [
    says("stereo of another rate", ("a.wav", ODD["b.wav"]), fine=True, told="resampled to 16000"),
    says("8000 samples a second, as a telephone's", ("a.wav", ODD["a.wav"]), fine=True,
         told="resampled to 16000"),
    says("192000 samples a second", ("a.wav", ODD["g.wav"]), fine=True, told="resampled to 16000"),
    says("recorded too loud", ("a.wav", ODD["d.wav"]), fine=True, told="recorded too loud"),
    says("silence", ("a.wav", ODD["c.wav"]), fine=True, told="nothing is said"),
    says("a single sample", ("a.wav", ODD["f.wav"]), fine=True),
    says("longer than the window", ("a.wav", ODD["e.wav"]), fine=True, options=("--segments",)),
    says("NaN in a WAV of floats", ("a.wav", UNREADABLE["a.wav"])),
    says("a rate of 0 Hz in the header", ("a.wav", UNREADABLE["d.wav"])),
    says("a rate of 2 GHz in the header", ("a.wav", UNREADABLE["m.wav"])),
    says("a WAV without samples", ("a.wav", UNREADABLE["e.wav"])),
    says("a file of no bytes", ("a.wav", b"")),
    says("a WAV that is cut off", ("a.wav", UNREADABLE["f.wav"])),
    says("an MP3 that is cut off", ("a.mp3", UNREADABLE["j.mp3"])),
    says("a FLAC that is cut off", ("a.flac", UNREADABLE["i.flac"])),
    says("an Opus that is cut off", ("a.opus", UNREADABLE["l.opus"])),
    says("a picture", ("a.wav", jpeg())),
    says("a text", ("a.wav", TEXT)),
    says("raw samples", ("a.raw", np.int16(SAID * 32767).tobytes())),
    says("a recording, and one that is none", WAV, ("b.wav", TEXT)),
    Case("Transcribe: a file that is not there", beside(lambda folder: None),
         ("transcribe", "bundle", "a.wav")),
    Case("Transcribe: a folder", beside(lambda folder: (folder / "a").mkdir()),
         ("transcribe", "bundle", "a")),
    Case("Transcribe: from standard input",
         beside(lambda folder: (folder / "a.wav").write_bytes(WAV[1])),
         ("transcribe", "bundle", "-"), piped="a.wav"),
    Case("Transcribe: through a pipe with a name",
         beside(lambda folder: (folder / "a.wav").write_bytes(WAV[1])),
         ("transcribe", "bundle", "/dev/stdin"), piped="a.wav"),
    says("a runtime that is none", WAV, options=("--runtime", "tensorflow")),
    says("a runtime that the bundle has no files of", WAV, options=("--runtime", "litert")),
    says("a precision that is none", WAV, options=("--precision", "int4")),
    says("a precision that the bundle has no files of", WAV, options=("--precision", "int8")),
    says("no threads", WAV, options=("--threads", "0")),
    Case("Transcribe: no bundle", lambda folder: (folder / "a.wav").write_bytes(WAV[1]) and None,
         ("transcribe", "bundle", "a.wav")),
    Case("Transcribe: a bundle that does not transcribe",
         beside_sound("classification", lambda folder: (folder / "a.wav").write_bytes(WAV[1])),
         ("transcribe", "bundle", "a.wav")),
    tampered("a bundle without its vocabulary", lambda held: (held / "vocabulary.json").unlink()),
    tampered("a bundle whose vocabulary has fewer tokens", fewer_tokens),
    tampered("a bundle whose vocabulary has a token that is no base64", other_token),
    tampered("a bundle without a model file", lambda held: model_file(held).unlink()),
    tampered("a bundle whose model file is cut off", lambda held: cut(model_file(held))),
    tampered("a bundle whose model file has other bytes", lambda held: flip(model_file(held))),
    tampered("a bundle without its manifest", lambda held: (held / "edgedistill.json").unlink()),
    tampered("a bundle whose manifest is cut off", lambda held: cut(held / "edgedistill.json")),
    tampered("a bundle of a later format",
             manifest(lambda told: told.update(bundle_format=99))),
    tampered("a bundle whose rules name a token that it has not",
             manifest(lambda told: told["rules"].update(end=99_999))),
    tampered("a bundle whose rules lack the beginning",
             manifest(lambda told: told["rules"].update(prompt=[]))),
    tampered("a bundle whose rules allow for more tokens than the files",
             manifest(lambda told: told["rules"].update(limit=5000))),
    tampered("a bundle whose window is not its files'",
             manifest(lambda told: told.update(window=32_000))),
    tampered("a bundle whose files lead out of it",
             manifest(lambda told: told.update(vocabulary="../vocabulary.json"))),
    Case("Listen: a bundle that transcribes",
         beside(lambda folder: (folder / "a.wav").write_bytes(WAV[1])),
         ("listen", "bundle", "a.wav")),
    Case("Drift: a bundle that transcribes",
         beside(lambda folder: (folder / "field").mkdir()), ("drift", "bundle", "--data", "field")),
    Case("Evaluate: a folder without speech",
         beside(lambda folder: (folder / "field").mkdir()),
         ("evaluate", "bundle", "--data", "field")),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases with this in their title; for a look")
    asked = parser.parse_args()
    for each in IMPORTED:
        importlib.import_module(each)
    cases = [each for each in (*DATA, *TEACHERS, *STUDENTS, *USES) if asked.only in each.title]
    name = "bad_speech" if not asked.only else "bad_speech_some"
    works = [replace(each.work, run=functools.partial(forked, each)) for each in cases]
    transcribe(name, "What bad speech gets to read", works)


if __name__ == "__main__":
    main()
