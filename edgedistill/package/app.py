"""`app.json`: all that the code of a package has to know of its model, the same on every
platform."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from edgedistill.bundle.manifest import Resizing
from edgedistill.bundle.parts import BundledListening, BundledSound, Label, Name, Part
from edgedistill.bundle.recognizer import TRANSCRIPTION
from edgedistill.recipe.tasks import TaskName
from edgedistill.records import ContractLine
from edgedistill.records.recognizer import Guards, Rules
from edgedistill.signature import TensorSpec
from edgedistill.target import Precision, RuntimeName

FORMAT: Final = 1
APP = "app.json"
GOLDEN = "golden"
INT8_EDITS: Final = 0.25
"""Of a recognizer's golden tokens, the share that may be edits where a file is int8: another build
of a runtime rounds otherwise. Of floats none may."""

Kind = Literal["picture", "sound", "speech"]
"""What is fed: pictures, sound, or sound whose words are wanted."""
Activation = Literal["softmax", "sigmoid", "none"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class AppFile(Part):
    """A program, and the model file that holds it; two programs may share a file."""

    program: Annotated[str, Field(max_length=100)]
    """`main`; of what listens also that which `listening` names; of speech `encode` and
    `decode_step`."""
    file: Name
    """Of Core ML a folder."""
    bytes: int = Field(ge=0)
    sha256: Sha256
    """Of Core ML's folder that of the archive of it that the bundle has, as are `bytes`."""
    inputs: tuple[TensorSpec, ...]
    """With the file's own shapes, layouts and scales; null in a shape where any batch goes."""
    outputs: tuple[TensorSpec, ...]
    state: dict[str, str]
    """Name of an output to the name of the input that it is fed back to, unchanged. A state begins
    at zero: where there is a scale, at the zero point."""


class AppPictures(Part):
    """What is done to a picture before it is fed."""

    image_size: tuple[int, int]
    """(height, width)"""
    channels: Literal[1, 3]
    color: Literal["grey", "RGB"]
    range: tuple[float, float]
    """Of the real values that are fed: a byte / 255."""
    resize: Resizing
    antialias: bool


class AppTexts(Part):
    """What an embedding is compared with: divided by its length, its products with these times
    `scale` are the logits."""

    file: Name
    """float32, little-endian, rows of length 1."""
    shape: tuple[int, int]
    """(labels, values)"""
    scale: float


class AppRouting(Part):
    """When the teacher should be asked."""

    threshold: float
    """Of the confidence, below which it should."""


class AppCounting(Part):
    """What `counters` count, beside the classes."""

    edges: tuple[float, ...]
    """Where one bin of the confidence ends and the next, which includes it, begins."""
    temperature: float
    """By which logits are divided for the confidence that is counted: not that of the answers."""


class AppSpeech(Part):
    """How sound becomes text."""

    language: str
    rate: int
    """Samples a second."""
    window: int
    """Samples that `encode` takes."""
    spaced: bool
    """Whether the texts of pieces are joined with a space between."""
    rules: Rules
    guards: Guards
    vocabulary: Name
    """JSON: `pieces`, the bytes of each token in base64, and `named`, those that are no text."""


class AppArray(Part):
    """A raw array, little-endian, in the file's own layout and numbers."""

    name: str
    file: Name
    dtype: str
    shape: tuple[int, ...]
    """Samples, or steps, first."""


class AppRun(Part):
    """Inputs and what a program gives for them."""

    samples: int
    inputs: tuple[AppArray, ...]
    outputs: tuple[AppArray, ...]
    tolerance: float
    """How far a value may lie from its own, in the file's own numbers."""
    share: float
    """Of all values, that must lie so near."""


class AppGolden(AppRun):
    """Of `main`; each sample is fed by itself."""

    steps: AppRun | None = None
    """Of the program that listens: one step after the other, its state kept from the first."""


class AppUtterance(Part):
    """A window of sound, and the tokens that the files make of it in Python."""

    file: Name
    """WAV, one channel, int16."""
    tokens: tuple[int, ...]
    text: str


class AppSpoken(Part):
    """Golden data of a recognizer."""

    utterances: tuple[AppUtterance, ...] = Field(min_length=1)
    made_up: bool
    """Whether they are no speech, as the bundle carries none: tones and noise."""
    edits: float = Field(ge=0, le=1)
    """Of the tokens of all utterances, the share that may be put in, left out or changed."""


class AppOrigin(Part):
    """Where it comes from."""

    edgedistill: str
    """Version that compiled the bundle."""
    created: str
    """The bundle: ISO 8601, UTC."""
    bundle: Sha256
    """Its digest."""
    target: str
    licence: str
    """Of the code beside the model."""
    contract: tuple[ContractLine, ...]


class App(Part):
    """`app.json`."""

    format: Literal[1]
    name: str
    kind: Kind
    task: TaskName | Literal["transcription"]
    runtime: RuntimeName
    precision: Precision
    files: tuple[AppFile, ...] = Field(min_length=1)
    labels: tuple[Label, ...] = ()
    """In the outputs' order; none of speech."""
    activation: Activation
    """From the real outputs, divided by `temperature`, to the answer."""
    temperature: float
    preprocessing: AppPictures | None = None
    texts: AppTexts | None = None
    sound: BundledSound | None = None
    listening: BundledListening | None = None
    routing: AppRouting | None = None
    counting: AppCounting | None = None
    transcription: AppSpeech | None = None
    golden: AppGolden | AppSpoken
    origin: AppOrigin

    def as_json(self) -> dict[str, Any]:
        """As it is written."""
        return self.model_dump(mode="json")

    @property
    def listens(self) -> AppFile | None:
        """The program that takes a stream."""
        named = None if self.listening is None else self.listening.program
        return next((each for each in self.files if each.program == named), None)


__all__ = [
    "APP", "FORMAT", "GOLDEN", "INT8_EDITS", "TRANSCRIPTION", "Activation", "App", "AppArray",
    "AppCounting", "AppFile", "AppGolden", "AppOrigin", "AppPictures", "AppRouting", "AppRun",
    "AppSpeech", "AppSpoken", "AppTexts", "AppUtterance", "Kind",
]  # fmt: skip
