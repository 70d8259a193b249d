"""What a user gets to read for each kind of bad sound: a transcript, with exit codes.

As `benchmarks.bad_input`, on words of three tones that nobody says.

    python -m benchmarks.bad_sound        (writes benchmarks/results/bad_sound.md)
"""

from __future__ import annotations

import argparse
import atexit
import io
import shutil
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.small_sounds import (
    HERE,
    RATE,
    STREAMING,
    encoded,
    noises,
    with_sounds,
    word,
    words,
    write,
)
from benchmarks.transcript import Case, run, transcribe

Fill = Callable[[Path], dict[str, Any]]
"""A folder, and returns the recipe."""
GOES_ON = (0, 1)


def holding(content: bytes, name: str = "3.wav", **changes: Any) -> Fill:
    """`content` in the place of one of the clips."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_sounds(folder, **changes)
        (folder / "words" / "yes" / "3.wav").unlink()
        (folder / "words" / "yes" / name).write_bytes(content)
        return document

    return prepare


def without(name: str, **changes: Any) -> Fill:
    """Nothing where `name` was."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_sounds(folder, **changes)
        shutil.rmtree(folder / name)
        return document

    return prepare


def counting(**counts: int) -> Fill:
    """So many clips of each word."""

    def prepare(folder: Path) -> dict[str, Any]:
        document = with_sounds(folder)
        shutil.rmtree(folder / "words")
        words(folder / "words", **counts)
        return document

    return prepare


def neither(folder: Path) -> dict[str, Any]:
    document = with_sounds(folder)
    del document["data"]["sound"]["negatives"], document["data"]["sound"]["noise"]
    return document


def other_test(folder: Path) -> dict[str, Any]:
    words(folder / "test", no=3, yez=3)
    return with_sounds(folder, data__test="test")


def copied(folder: Path) -> dict[str, Any]:
    """A test set that holds some of the clips that are trained on, one of them louder."""
    document = with_sounds(folder, data__test="test")
    words(folder / "test", no=0, yes=0)
    for number in range(6):
        write(folder / "test" / "no" / f"{number}.wav", word(0, 20 + number))
        write(folder / "test" / "yes" / f"{number}.wav", word(1, 20 + number))
    shutil.copy(folder / "words" / "no" / "2.wav", folder / "test" / "no" / "copy.wav")
    write(folder / "test" / "yes" / "louder.wav", 1.2 * word(1, 2))
    return document


def no_sound(folder: Path) -> dict[str, Any]:
    document = with_sounds(folder)
    for name in ("no", "yes"):
        shutil.rmtree(folder / "words" / name)
        (folder / "words" / name).mkdir()
        (folder / "words" / name / "notes.txt").write_text("to be recorded")
    return document


def too_few_noises(folder: Path) -> dict[str, Any]:
    document = with_sounds(folder)
    shutil.rmtree(folder / "noise")
    noises(folder / "noise", 2)
    return document


def one_word(folder: Path) -> dict[str, Any]:
    document = neither(folder)
    shutil.rmtree(folder / "words" / "no")
    return document


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(stream, "JPEG")
    return stream.getvalue()


def broken(value: float) -> bytes:
    """A float WAV with a sample that is no number."""
    samples = word(1, 3)
    samples[1000] = value
    return encoded(samples, subtype="FLOAT")


def rate_of_zero() -> bytes:
    content = bytearray(encoded(word(1, 3)))
    content[24:28] = struct.pack("<I", 0)
    return bytes(content)


LONG = word(1, 3, seconds=3)
TEXT = b"Recorded on Monday, ask Ann.\n"
ODD = (
    "1 of 11025 Hz", "1 of 44100 Hz", "1 of 48000 Hz", "have several channels, mixed into one",
    "are clipped", "are silent", "what is spoken last is kept", "clips left out: 1 (class yes",
)  # fmt: skip


def odd_clips(folder: Path) -> dict[str, Any]:
    """Silent, too loud, stereo, of other rates, longer than the window; and a text."""
    document = with_sounds(folder, data__skip_unreadable=0.05)
    for rate in (11025, 44100, 48000):
        write(folder / "words" / "yes" / f"at_{rate}.wav", word(1, 50, rate=rate), rate)
    write(folder / "words" / "yes" / "silent.wav", np.zeros(4000, np.float32))
    write(folder / "words" / "yes" / "loud.wav", np.clip(5 * word(1, 51), -1, 1))
    write(folder / "words" / "yes" / "stereo.wav", np.stack([word(1, 52)] * 2, 1))
    write(folder / "words" / "yes" / "long.wav", LONG)
    (folder / "words" / "yes" / "text.wav").write_bytes(TEXT)
    return document


COMPILES = [
    Case("Recordings that are odd, one of each kind, and one that is no sound", odd_clips, HERE,
         GOES_ON, says=ODD),
    Case("Neither negatives nor noise", neither, HERE, GOES_ON,
         says=("`sound.negatives` are not given", "`sound.noise` is not given")),
    Case("Clips of the training set in the test set", copied, HERE, GOES_ON,
         says=("test clips are in",)),
    Case("NaN in a WAV of floats", holding(broken(np.nan))),
    Case("Infinity in a WAV of floats", holding(broken(np.inf))),
    Case("A file of no bytes", holding(b"")),
    Case("A WAV without samples", holding(encoded(np.zeros(0, np.float32)))),
    Case("A rate of 0 Hz in the header", holding(rate_of_zero())),
    Case("A WAV that is cut off", holding(encoded(word(1, 3))[:2000])),
    Case("A FLAC that is cut off", holding(encoded(LONG, kind="FLAC")[:9000], "3.flac")),
    Case("An MP3 that is cut off", holding(encoded(LONG, kind="MP3")[:3000], "3.mp3")),
    Case("An Ogg Vorbis that is cut off", holding(encoded(LONG, kind="OGG")[:9000], "3.ogg")),
    Case("An Opus that is cut off",
         holding(encoded(LONG, kind="OGG", subtype="OPUS")[:5000], "3.opus")),
    Case("A picture with a recording's name", holding(jpeg())),
    Case("A text with a recording's name", holding(TEXT)),
    Case("A folder without sound", no_sound),
    Case("A label of the test set that training has not", other_test),
    Case("Negatives that are not there", without("other")),
    Case("Noise that is not there", without("noise")),
    Case("Noise of fewer recordings than there are splits", too_few_noises),
    Case("Fewer clips of a word than there are splits", counting(no=12, yes=2)),
    Case("One word, and no negatives", one_word),
]  # fmt: skip


@cache
def bundle(task: str) -> Path:
    """Compiled once: `keywords` listens, `classification` does not."""
    folder = Path(mkdtemp(prefix="bad-sound-"))
    atexit.register(shutil.rmtree, folder)
    more = {"stages__listen": {"false_accepts_per_hour": 1000.0}, "student": STREAMING,
            "task": task} if task == "keywords" else {}  # fmt: skip
    code, text = run(Case("", lambda f: with_sounds(f, **more), HERE), folder)
    assert code in GOES_ON, text
    return folder / "sounds-here"


def beside(bundled: str, fill: Callable[[Path], object]) -> Callable[[Path], None]:
    """A folder with a bundle, and what `fill` puts there."""

    def prepare(folder: Path) -> None:
        shutil.copytree(bundle(bundled), folder / "bundle")
        fill(folder)

    return prepare


def listens(title: str, name: str, content: bytes, *, fine: bool = False, says: str = "") -> Case:
    """The command on a file, or from standard input on raw samples."""
    raw = name.endswith(".raw")
    return Case(
        title, beside("keywords", lambda folder: (folder / name).write_bytes(content)),
        ("listen", "bundle", "-" if raw else name), GOES_ON if fine else (2,),
        piped=name if raw else "", says=(says,),
    )  # fmt: skip


def evaluates(
    title: str, fill: Callable[[Path], object], *, fine: bool = False, says: str = ""
) -> Case:
    """The command on a folder `field`."""
    return Case(
        title, beside("keywords", lambda folder: fill(folder / "field")),
        ("evaluate", "bundle", "--data", "field"), GOES_ON if fine else (2,), says=(says,),
    )  # fmt: skip


def odd(folder: Path) -> None:
    words(folder, no=2, yes=2)
    write(folder / "no" / "a.wav", np.stack([word(0, 91, rate=44100)] * 2, 1), 44100)
    write(folder / "yes" / "b.wav", np.zeros(4000, np.float32))
    (folder / "yes" / "c.wav").write_bytes(TEXT)


def nothing_readable(folder: Path) -> None:
    words(folder, no=1)
    (folder / "no" / "0.wav").write_bytes(broken(np.nan))


SPOKEN = np.concatenate([word(0, 30), np.zeros(RATE, np.float32), word(1, 30)])
AS_FLOATS = SPOKEN.astype("<f4").tobytes()
USES = [
    evaluates("Evaluate: a label that the bundle does not have",
              lambda folder: words(folder, no=2, yez=2)),
    evaluates("Evaluate: stereo of another rate, silence, and what is no sound", odd, fine=True,
              says="1 of 7 recordings cannot be read"),
    evaluates("Evaluate: nothing that can be decoded", nothing_readable),
    evaluates("Evaluate: a folder without sound", lambda folder: folder.mkdir()),
    Case("Listen: a bundle that does not listen",
         beside("classification", lambda folder: write(folder / "a.wav", SPOKEN)),
         ("listen", "bundle", "a.wav")),
    Case("Listen: a file that is not there", beside("keywords", lambda folder: None),
         ("listen", "bundle", "a.wav")),
    listens("Listen: stereo of another rate", "a.wav",
            encoded(np.stack([word(0, 3, 2.0, 44100)] * 2, 1), 44100), fine=True,
            says="resampled to 8000"),
    listens("Listen: recorded too loud", "a.wav", encoded(np.clip(9 * SPOKEN, -1, 1)), fine=True,
            says="recorded too loud"),
    listens("Listen: silence", "a.wav", encoded(np.zeros(RATE, np.float32)), fine=True,
            says="silent"),
    listens("Listen: NaN in a WAV of floats", "a.wav", broken(np.nan)),
    listens("Listen: a file that is cut off", "a.wav", encoded(SPOKEN)[:9000]),
    listens("Listen: what is no sound", "a.wav", jpeg()),
    listens("Listen: a file of no bytes", "a.wav", b""),
    listens("Listen: nothing from standard input", "a.raw", b""),
    listens("Listen: raw samples that are floats", "a.raw", AS_FLOATS),
    listens("Listen: raw samples that are a WAV file", "a.raw", encoded(SPOKEN)),
    listens("Listen: raw samples that end within one", "a.raw",
            np.int16(SPOKEN * 32767).tobytes()[:-1], fine=True, says="half a sample"),
]  # fmt: skip


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    works = [each.work for each in (*COMPILES, *USES)]
    transcribe("bad_sound", "What bad sound gets to read", works)


if __name__ == "__main__":
    main()
