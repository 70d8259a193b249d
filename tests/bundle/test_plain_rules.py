"""What a recognizer's bundle has for decoders without Python and JSON."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from recognizer_bundles import bundled, made_up, vocabulary
from whisper_models import PROMPT

from edgedistill.bundle.plain_rules import PLAIN
from edgedistill.records.recognizer import Guards, RecognizerRecord


def lines(told: RecognizerRecord, folder: Path) -> list[list[str]]:
    text = (bundled(folder / "files", told, folder / "bundle").path / PLAIN).read_text()
    assert text.endswith("\n")
    return [line.split("\t") for line in text.splitlines()]


def test_rules_files_and_tokens_are_told(tmp_path: Path) -> None:
    found = lines(made_up(tmp_path / "files", "onnxruntime", "litert"), tmp_path)
    assert found[0] == ["edgedistill recognizer", "1"]
    assert found[6] == ["prompt", *map(str, PROMPT)]
    assert found[14:19] == [
        ["shipped", "onnxruntime", "fp32"], ["pairs", "2"], ["pair", "onnxruntime", "fp32"],
        ["encode", "16", "tiny.encode.onnx"], ["decode_step", "21", "tiny.decode_step.onnx"],
    ]  # fmt: skip
    takes, gives, sources = (line[1:] for line in found[20:23])
    for name, source in zip(takes, sources, strict=True):
        kind, _, place = source.partition(" ")
        wanted = {"state": f"next_{name}", "heard": name}.get(kind, name)
        assert wanted == {"state": gives, "heard": found[19][1:]}.get(kind, [name])[int(place or 0)]
    pieces = vocabulary().pieces
    assert found[-len(pieces) - 1] == ["tokens", str(len(pieces))]
    assert tuple(bytes.fromhex(line[0]) for line in found[-len(pieces) :]) == pieces


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1 / 3, 1.0, 5e-324])
def test_a_probability_is_exact(tmp_path: Path, share: float) -> None:
    told = made_up(tmp_path / "files", "onnxruntime")
    found = lines(replace(told, guards=Guards(no_speech=share)), tmp_path)
    key, mantissa, exponent = found[13]
    assert (key, math.ldexp(int(mantissa), int(exponent))) == ("most_no_speech", share)
    assert found[11:13] == [["repeats", "-1"], ["longest", "16"]]


def test_files_that_cannot_be_opened_so_are_left_out(tmp_path: Path) -> None:
    told = made_up(tmp_path / "files", "onnxruntime", "litert", "openvino")
    rounded = [
        replace(
            each,
            signature=replace(
                each.signature,
                outputs=tuple(
                    replace(spec, dtype="int8", scale=0.1, zero_point=0) if spec.name == "logits"
                    else spec
                    for spec in each.signature.outputs
                ),
            ),
        )
        if each.runtime == "litert" else each
        for each in told.files
    ]  # fmt: skip
    found = lines(replace(told, files=tuple(rounded)), tmp_path)
    assert [line[1:] for line in found if line[0] == "pair"] == [["onnxruntime", "fp32"]]
