"""Teachers that are no torch model of ours, but answer: what a recipe says of each, and one
table."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from edgedistill.families.common import TeacherCommon
from edgedistill.families.endpoint import (
    WHOLE,
    check_headers,
    check_url,
    shown_headers,
    shown_url,
)
from edgedistill.fields import Deviations, FilePath, Function, Means, Name


class Normalization(TeacherCommon):
    """How a teacher wants its pixels, which otherwise are 0..1."""

    mean: Means | None = None
    """Per channel, taken off the pixels."""
    std: Deviations | None = None
    """Per channel, by which the pixels are divided afterwards."""
    outputs: Literal["logits", "probabilities", "embedding"] = "logits"
    """What comes out of it. `embedding`: numbers that tell of a sample, whatever classes it was
    trained on; a linear layer from them to the data's classes is fitted to the training labels."""

    @model_validator(mode="after")
    def _is_whole(self) -> Normalization:
        if (self.mean is None) != (self.std is None):
            raise ValueError("`mean` and `std` come together")
        return self


class OnnxTeacher(Normalization):
    """An ONNX file with one float input (batch, channels, height, width) or, where its shape says
    so, (batch, height, width, channels); of sound, (batch, length) or (length)."""

    family: Literal["onnx"]
    opened_by = "edgedistill.distill.teachers.onnx"
    takes_sound = True
    path: FilePath
    """The file."""

    free_outputs = True
    made_with = ("onnxruntime",)


class TfliteTeacher(Normalization):
    """A TFLite file with one float or integer input: pictures, or (batch, length) of sound."""

    family: Literal["tflite"]
    opened_by = "edgedistill.distill.teachers.tflite"
    takes_sound = True
    path: FilePath
    """The file."""

    free_outputs = True
    made_with = ("ai-edge-litert",)


class KerasTeacher(Normalization):
    """A Keras model: a `.keras` file, an `.h5` file, or a SavedModel folder. Needs
    `pip install 'edgedistill[tensorflow]'`."""

    family: Literal["keras"]
    opened_by = "edgedistill.distill.teachers.keras"
    takes_sound = True
    path: FilePath
    """File or folder."""

    free_outputs = True
    made_with = ("keras", "tensorflow")


class HuggingFaceTeacher(TeacherCommon):
    """A classifier of images or of sound from Hugging Face: a hub name, or a local folder in the
    same format. Its own image processor resizes and normalizes the data's images; its own feature
    extractor hears the raw samples, resampled to its rate."""

    family: Literal["huggingface"]
    opened_by = "edgedistill.distill.teachers.huggingface"
    takes_sound = True
    name: Name
    """On the hub, or a folder."""
    backend: Literal["auto", "torch", "openvino"] = "auto"
    """`openvino` goes through Optimum (`pip install optimum-intel`); `auto` takes what answers
    faster on this machine, of those that are installed. Sound is for torch alone."""

    made_with = ("transformers",)


class ClipTeacher(TeacherCommon):
    """An image-text encoder from Hugging Face, such as CLIP (Radford et al. 2021) or SigLIP: a hub
    name, or a local folder in the same format. The teacher of a retrieval."""

    family: Literal["clip"]
    opened_by = "edgedistill.distill.teachers.clip"
    name: Name
    """On the hub, or a folder."""
    embedding: int = Field(ge=2, le=65536)
    """Dimensions of its space."""

    free_outputs = True
    places_texts = True
    in_ensemble = False
    made_with = ("transformers",)


class PythonTeacher(TeacherCommon):
    """A user's own `module:function`: images uint8 (batch, height, width, channels), or sound
    float32 (batch, length) in -1..1, to an array (batch, classes), or of embeddings (batch,
    dimensions)."""

    family: Literal["python"]
    opened_by = "edgedistill.distill.teachers.python"
    takes_sound = True
    function: Function
    """The module lies beside the recipe, or is installed."""
    outputs: Literal["logits", "probabilities", "embedding"] = "logits"
    """What it gives. `embedding`: as of a file."""

    free_outputs = True


class HttpTeacher(TeacherCommon):
    """An endpoint that is sent one image, or one window of sound, a request. Answers are kept: none
    is paid for twice.

    A secret is named and not written out: `${NAME}`, in the address or in a header, is read from
    the environment when the endpoint is asked, and kept and shown nowhere. Proxies are taken from
    the environment too (`HTTPS_PROXY` and the like); `~/.netrc` is not read.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    family: Literal["http"]
    opened_by = "edgedistill.distill.teachers.http"
    takes_sound = True
    url: str = Field(repr=False)
    """Each sample is sent there by POST. `${NAME}` may stand for a user, a password, a part of the
    path or a value of the query; it is percent-encoded there."""
    send: Literal["json", "png", "wav"] = "json"
    """`json`: {"image": base64 of a PNG}, or {"audio": base64 of a WAV} where samples are sound;
    `png`, `wav`: the file itself as the body."""
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """Those that say who asks need `${NAME}`, such as `Authorization: "Bearer ${TOKEN}"`."""
    answer: Literal["logits", "probabilities", "log_probabilities", "label"] = "probabilities"
    """What comes back: a list in class order, or a mapping from class name to number, which may
    name the top few only; or one class's name or number."""
    at: str = Field(default="", max_length=1000)
    """JSON pointer (RFC 6901) to it in the response, such as `/predictions/0`."""
    concurrency: int = Field(default=4, ge=1, le=256)
    """Requests under way at once."""
    per_second: float | None = Field(default=None, ge=1e-5, le=1e6)
    """At most this many requests begin in a second."""
    max_requests: int | None = Field(default=None, ge=1, le=10**12)
    """Stop, with all answers kept, after this many requests in one run, retries included."""
    timeout: float = Field(default=30.0, gt=0, le=86_400)
    """Seconds for one request, from its beginning to its answer's last byte."""
    retries: int = Field(default=5, ge=0, le=1000)
    """After a timeout, a broken connection, 429 or 5xx; waits double, or follow Retry-After."""

    _url_is_fit = field_validator("url", mode="before")(check_url)
    _headers_are_fit = field_validator("headers", mode="before")(check_headers)

    @field_serializer("url")
    def _shown_url(self, url: str, info: SerializationInfo) -> str:
        return url if info.context == WHOLE else shown_url(url)

    @field_serializer("headers")
    def _shown_headers(self, headers: dict[str, str], info: SerializationInfo) -> dict[str, str]:
        return headers if info.context == WHOLE else shown_headers(headers)


class StoredTeacher(TeacherCommon):
    """Answers that exist already: parquet with a column `sample` (the sample's number in the
    training data, from 0), maybe `view`, and one of `logits`, `probabilities`, `label`, or
    `classes` with `log_probabilities` (the top few)."""

    family: Literal["stored"]
    opened_by = "edgedistill.distill.teachers.stored"
    takes_arrays = True
    takes_sound = True
    path: FilePath
    """Of the training and validation samples."""
    test: FilePath | None = None
    """The same for the test data, to know how good the teacher is."""

    free_outputs = True
    in_ensemble = False


TEACHERS: list[type[TeacherCommon]] = [
    OnnxTeacher, TfliteTeacher, KerasTeacher, HuggingFaceTeacher, ClipTeacher,
    PythonTeacher, HttpTeacher, StoredTeacher,
]  # fmt: skip
"""In the order in which the schema lists them."""
