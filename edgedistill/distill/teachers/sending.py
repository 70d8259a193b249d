"""What an endpoint is sent: one picture as a PNG, or one window of sound as a WAV."""

from __future__ import annotations

import base64
import io
import json
import wave

from PIL import Image

from edgedistill.distill.teachers import Images, TeacherContext, Waves
from edgedistill.errors import UserError
from edgedistill.recipe import HttpTeacher


def check_sendable(config: HttpTeacher, context: TeacherContext) -> None:
    """Raises UserError: what is to be sent is no form of what the teacher is asked about."""
    heard, wanted = context.sound is not None, config.send
    if wanted != "json" and heard != (wanted == "wav"):
        what, other = ("sound", "wav") if heard else ("pictures", "png")
        raise UserError(
            f"teacher: `send: {wanted}`, but the data's samples are {what}",
            f"set `send: {other}`, or `json`",
        )


def body(sample: Images | Waves, send: str, rate: int | None) -> bytes:
    """The body of a request about one sample: a picture (height, width, channels), or where
    there is a `rate` in Hz a window of sound (length,)."""
    name, content = ("image", _png(sample)) if rate is None else ("audio", _wav(sample, rate))
    if send != "json":
        return content
    return json.dumps({name: base64.b64encode(content).decode()}).encode()


def media_type(send: str) -> str:
    """Of the body."""
    return {"png": "image/png", "wav": "audio/wav"}.get(send, "application/json")


def _png(image: Images | Waves) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()


def _wav(samples: Images | Waves, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()
