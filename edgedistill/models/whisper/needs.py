"""How much memory it takes to compile a Whisper: reckoned from its sizes, before any of it is
read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgedistill.models.whisper.network import DECODE_STEP, ENCODE, Shape

_FLOAT = 4
"""Bytes."""
_MASTERS = 3
"""Of each weight that learns: its gradient, and AdamW's two means."""
_IN_A_STEP = 2
"""What AdamW makes of each as it takes a step."""
_LIBRARIES = 700_000_000
"""Bytes of Python, torch and the runtimes."""
_COPIES = 8
"""Of a program's weights, while an ONNX file of it is written, which takes most."""
FILE_LIMIT = (1 << 31) - 1
"""Bytes of a LiteRT or an ONNX file, at most."""


@dataclass(frozen=True)
class Batch:
    """What is computed at once."""

    size: int
    """Utterances."""
    tokens: int
    """Of the longest, at most."""


def parameters(shape: Shape) -> dict[str, int]:
    """Numbers of weights: of `encode` with the decoder's keys and values of the sound, which it
    computes, and of `decode_step`."""
    width = shape.width
    norm = 2 * width
    heard = shape.encoder_heads * (shape.encoder_head or width // shape.encoder_heads)
    said = _inner(shape)
    cross = 2 * width * said + said
    encoder_layer = _attention(width, heard) + 2 * norm + _fed(width, shape.encoder_inner)
    decoder_layer = (
        2 * _attention(width, said) - cross + 3 * norm + _fed(width, shape.decoder_inner)
    )
    ends = 3 * (shape.bands * width + width * width) + 2 * width
    return {
        ENCODE: ends + shape.positions * width + shape.encoder_layers * encoder_layer + norm
        + shape.decoder_layers * cross,
        DECODE_STEP: (shape.vocabulary + shape.tokens) * width
        + shape.decoder_layers * decoder_layer + norm,
    }  # fmt: skip


def _inner(shape: Shape) -> int:
    """Channels of the decoder's heads together."""
    return shape.decoder_heads * (shape.decoder_head or shape.width // shape.decoder_heads)


def _attention(width: int, inner: int) -> int:
    return 4 * width * inner + 2 * inner + width


def _fed(width: int, inner: int) -> int:
    return 2 * width * inner + width + inner


def labelling(teacher: Shape, batch: Batch) -> int:
    """Bytes: loading holds the weights twice; then each batch has the encoder's inner channels, and
    what each layer of the decoder asks of the sound."""
    weights = _FLOAT * sum(parameters(teacher).values())
    return _LIBRARIES + max(
        2 * weights, weights + _heard(teacher, batch) + _logits(teacher, 3, batch.size)
    )


def choosing(teacher: Shape, batch: Batch, utterances: int) -> int:
    """Bytes of looking for layers; utterances: whose states are held."""
    weights = _FLOAT * sum(parameters(teacher).values())
    held = 2 * utterances * teacher.positions * teacher.width
    answers = _logits(teacher, 4, batch.size * batch.tokens)
    return _LIBRARIES + max(2 * weights, weights + held + _heard(teacher, batch) + answers)


def training(teacher: Shape, student: Shape, batch: Batch, encoder: bool) -> int:
    """Bytes; encoder: whether it learns too. Else its states are read from disk where its layers
    are the teacher's, or computed without being kept. What is computed is gone when AdamW takes a
    step."""
    weights = sum(parameters(student).values())
    ends = replace(student, decoder_layers=0, vocabulary=0, tokens=0)
    learns = weights if encoder else weights - sum(parameters(ends).values())
    places = batch.size * batch.tokens
    inside = student.decoder_layers * places * (14 * student.width + 2 * student.decoder_inner)
    if encoder:
        inside += (
            student.encoder_layers * batch.size * student.positions
            * (12 * student.width + 2 * student.encoder_inner)
        )  # fmt: skip
    kept = not encoder and student.encoder_layers == teacher.encoder_layers
    heard = _asked(student, batch) if kept else _heard(student, batch)
    computed = _FLOAT * inside + heard + _logits(student, 6, places)
    held = _FLOAT * (weights + _MASTERS * learns)
    loading = 2 * _FLOAT * sum(parameters(teacher).values())
    return _LIBRARIES + max(loading, held + max(computed, _FLOAT * _IN_A_STEP * learns))


def exporting(student: Shape) -> int:
    """Bytes: the model, and copies of the larger program as it is written."""
    found = parameters(student)
    return _LIBRARIES + _FLOAT * (sum(found.values()) + _COPIES * max(found.values()))


def _heard(shape: Shape, batch: Batch) -> int:
    """Of the encoder's inner channels in one layer, and of what is asked of the sound."""
    each = 2 * shape.encoder_inner + 3 * shape.width
    return _FLOAT * batch.size * shape.positions * each + _asked(shape, batch)


def _asked(shape: Shape, batch: Batch) -> int:
    """Of the encoder's states, and keys and values for all of the decoder."""
    each = shape.width + 2 * shape.decoder_layers * _inner(shape)
    return _FLOAT * batch.size * shape.positions * each


def _logits(shape: Shape, copies: int, places: int) -> int:
    return _FLOAT * copies * places * shape.vocabulary
