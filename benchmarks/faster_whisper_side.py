"""faster-whisper's side of `whisper.py`, in an environment of its own with `faster-whisper`,
`transformers` and `torch`: converts a Whisper's folder to int8, transcribes, and prints what it
took as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def main(teacher: str, sounds: str, out: str) -> None:
    from ctranslate2.converters import TransformersConverter
    from faster_whisper import WhisperModel

    if not Path(out).exists():
        TransformersConverter(teacher, copy_files=["tokenizer.json"]).convert(
            out, quantization="int8"
        )
    model = WhisperModel(out, device="cpu", compute_type="int8", cpu_threads=1)
    held = np.load(sounds)
    texts, taken = [], []
    for name in sorted(held.files):
        begin = time.perf_counter()
        segments, _ = model.transcribe(
            held[name], language="en", beam_size=1, without_timestamps=True, temperature=0.0,
            condition_on_previous_text=False,
        )  # fmt: skip
        texts.append(" ".join(each.text.strip() for each in segments))
        taken.append(time.perf_counter() - begin)
    sound = sum(len(held[name]) for name in held.files) / 16_000
    size = sum(each.stat().st_size for each in Path(out).iterdir())
    print(json.dumps({
        "texts": texts, "samples": taken, "seconds": sum(taken), "sound_seconds": sound,
        "bytes": size, "runtime": "faster-whisper",
    }))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
