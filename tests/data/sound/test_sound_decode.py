from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tones import RATE, encoded, word, write

from edgedistill.data.sound import decode as decoding
from edgedistill.data.sound import kinds
from edgedistill.data.sound.decode import BadSound, Heard, as_floats, decode, decoded_blocks


def refusal(payload: Any, rate: int = RATE) -> str:
    with pytest.raises(BadSound) as told:
        decode(payload, rate)
    return told.value.reason


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    length = min(len(one), len(other))
    return float(np.corrcoef(one[:length], other[:length])[0, 1])


@pytest.mark.parametrize(
    ("kind", "subtype", "least"),
    [
        ("WAV", "PCM_16", 1.0),
        ("WAV", "PCM_24", 1.0),
        ("WAV", "PCM_U8", 0.999),
        ("WAV", "FLOAT", 1.0),
        ("AIFF", "PCM_16", 1.0),
        ("FLAC", "PCM_16", 1.0),
        ("OGG", "VORBIS", 0.95),
        ("OGG", "OPUS", 0.9),
        ("MP3", "MPEG_LAYER_III", 0.9),
    ],
)
def test_formats(kind: str, subtype: str, least: float) -> None:
    samples = word(0, seconds=1.0)
    found, heard = decode(encoded(samples, kind=kind, subtype=subtype), RATE)
    assert found.dtype == np.int16
    assert heard.rate == RATE
    assert len(found) == len(samples)
    assert likeness(as_floats(found), samples) >= least - 1e-6


def test_sixteen_bits_stay_as_they_are() -> None:
    samples = np.array([0, 1, -1, 32767, -32768, 1234] * 50, np.int16)
    for kind in ("WAV", "FLAC"):
        found, _ = decode(encoded(samples, kind=kind), RATE)
        np.testing.assert_array_equal(found, samples)
    assert as_floats(samples).min() == -1.0


def test_a_file_and_its_bytes_give_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", word(0))
    np.testing.assert_array_equal(decode(path, RATE)[0], decode(path.read_bytes(), RATE)[0])
    np.testing.assert_array_equal(decode(str(path), RATE)[0], decode(path, RATE)[0])


def test_channels_are_mixed() -> None:
    left, right = word(0), word(1)
    found, heard = decode(encoded(np.stack([left, right], 1), subtype="FLOAT"), RATE)
    assert heard.channels == 2
    np.testing.assert_allclose(as_floats(found), (left + right) / 2, atol=2e-5)


@pytest.mark.parametrize("rate", [4000, 11025, 22050, 44100, 48000])
def test_odd_rates_are_resampled(rate: int) -> None:
    at = np.arange(rate) / rate
    found, heard = decode(encoded(0.5 * np.sin(2 * np.pi * 440 * at), rate), 16000)
    assert heard.rate == rate
    assert abs(len(found) - 16000) <= 1
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    inner = slice(400, 15600)
    np.testing.assert_allclose(as_floats(found)[inner], wanted[inner], atol=2e-3)


def test_blocks_are_the_whole_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(word(0, seconds=3.0), 22050)
    whole, _ = decode(content, RATE)
    monkeypatch.setattr(decoding, "BLOCK", 1000)
    blocks = list(decoded_blocks(content, RATE, Heard()))
    assert len(blocks) > 20
    assert max(map(len, blocks)) < len(whole) // 10
    assert np.abs(np.concatenate(blocks).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("block", [1 << 16, 100, 7])
def test_clipping_is_counted(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(decoding, "BLOCK", block)
    samples = np.zeros(1000, np.float32)
    samples[95:105] = 1.0  # ten in a row, across blocks
    samples[500:503] = -1.0  # three are no run
    samples[700:704] = [1, -1, 1, -1]
    assert decode(encoded(samples), RATE)[1].clipped == 14


def test_loud_speech_is_not_clipped() -> None:
    loud = word(0)
    assert decode(encoded(loud / np.abs(loud).max()), RATE)[1].clipped == 0


def test_a_float_above_one_is_clipped_and_said() -> None:
    found, heard = decode(encoded(4 * word(0), subtype="FLOAT"), RATE)
    assert heard.clipped > 100
    assert heard.peak > 1
    assert found.max() == 32767
    assert found.min() == -32768


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number(bad: float) -> None:
    samples = word(0)
    samples[800] = bad
    assert refusal(encoded(samples, subtype="FLOAT")) == "holds what is no number at 0.10 s"


def test_silence_is_heard_as_such() -> None:
    _, heard = decode(encoded(np.zeros(800, np.float32)), RATE)
    assert heard.peak < decoding.SILENT


def test_nothing_there(tmp_path: Path) -> None:
    assert refusal(None) == "there are no bytes"
    assert refusal(b"") == "is empty"
    assert refusal(encoded(np.zeros(0, np.float32))) == "holds no samples"
    assert (
        refusal(tmp_path / "a.wav") == f"cannot be decoded: sound file not found: {tmp_path}/a.wav"
    )
    assert "is a folder; sound file is meant" in refusal(tmp_path)


def test_what_is_no_sound() -> None:
    told = "cannot be decoded: not sound in a format that edgedistill reads"
    assert refusal(b"GIF89a" + bytes(100)) == told
    assert refusal(b"just words, nothing to hear") == told


def test_formats_that_are_not_asked_for() -> None:
    assert "is not read" in refusal(encoded(word(0), kind="MAT5"))


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("AIFF", "PCM_16")]
)
def test_files_cut_off_say_what_is_missing(kind: str, subtype: str) -> None:
    whole = encoded(word(0, seconds=1.0), kind=kind, subtype=subtype)
    told = refusal(whole[: len(whole) // 2])
    assert told.startswith("is cut off: ")
    assert told.endswith(" bytes of sound are missing")


@pytest.mark.parametrize(
    ("kind", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)]
)
def test_compressed_files_cut_off_are_refused(kind: str, subtype: str | None) -> None:
    whole = encoded(word(0, seconds=2.0), kind=kind, subtype=subtype)
    assert len(decode(whole, RATE)[0]) > 1.9 * RATE
    for share in (0.3, 0.45, 0.5, 0.6, 0.75, 0.9):
        assert refusal(whole[: round(len(whole) * share)])


def test_a_wav_that_was_written_to_a_pipe_is_read() -> None:
    content = bytearray(encoded(word(0)))
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    assert len(decode(bytes(content), RATE)[0]) == len(word(0))


def m4a(samples: np.ndarray, rate: int, form: str = "mp4") -> bytes:
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format=form) as container:
        track = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in (*track.encode(frame), *track.encode(None)):
            container.mux(packet)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["mp4", "adts", "matroska"])
def test_what_pyav_reads(form: str) -> None:
    pytest.importorskip("av")
    samples = word(0, seconds=1.0, rate=16000)
    found, heard = decode(m4a(samples, 16000, form), 16000)
    assert heard.rate == 16000
    assert abs(len(found) - len(samples)) < 3000  # the encoder's own padding
    shifts = [likeness(as_floats(found)[shift:], samples) for shift in (0, 1024, 2048)]
    assert max(shifts) > 0.95


def test_what_pyav_reads_is_resampled() -> None:
    pytest.importorskip("av")
    found, _ = decode(m4a(word(0, seconds=1.0, rate=16000), 16000), RATE)
    assert abs(len(found) - RATE) < 1500


def test_a_damaged_m4a() -> None:
    pytest.importorskip("av")
    assert refusal(m4a(word(0, rate=16000), 16000)[:300]).startswith("cannot be decoded: ")


def test_without_pyav(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kinds, "has_pyav", lambda: False)
    head = b"\0\0\0\x1cftypM4A " + bytes(100)
    assert refusal(head) == "is MPEG-4 audio; PyAV reads it: pip install 'edgedistill[m4a]'"
    assert not kinds.is_read(tmp_path / "a.m4a")
    assert kinds.is_read(tmp_path / "a.WAV")
    assert kinds.why_not(".m4a") == "MPEG-4 audio; PyAV reads it: pip install 'edgedistill[m4a]'"


WHOLE = [
    encoded(word(0), kind=kind, subtype=subtype)
    for kind, subtype in (
        ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS")
    )
]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, len(WHOLE) - 1), st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=8)))
)
def test_files_with_other_bytes_are_read_or_refused(
    which: int, changes: list[tuple[int, bytes]]
) -> None:
    content = bytearray(WHOLE[which])
    for at, other in changes:
        content[at % len(content) : at % len(content) + len(other)] = other
    try:
        found, _ = decode(bytes(content), RATE)
    except BadSound:
        return
    assert found.dtype == np.int16
    assert len(found)
