"""What a bundle with a recognizer of speech says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, model_validator

from edgedistill.bundle.fit import mistakes
from edgedistill.bundle.parts import ModelFile, Name, Origin, Part
from edgedistill.errors import UserError
from edgedistill.records.recognizer import VOCABULARY, Guards, Rules, Utterance
from edgedistill.signature import Signature
from edgedistill.target import Precision, RuntimeName

if TYPE_CHECKING:
    from edgedistill.transcribing.vocabulary import Vocabulary

TRANSCRIPTION: Final = "transcription"
_HINT = "compile the bundle again"


class RecognizerFile(ModelFile):
    """A program in a model file; a file that holds both is there twice."""

    program: Literal["encode", "decode_step"]
    signature: Signature
    """With the file's own shapes, layouts and scales. What `encode` gives goes into `decode_step`
    unchanged, under the same names; `state` says which output of a step is fed back to which
    input. These begin at zero: where there is a scale, at the zero point."""


class Shipped(Part):
    """Which files the contract is held against."""

    runtime: RuntimeName
    precision: Precision


class RecognizerManifest(Origin):
    """`edgedistill.json` of a recognizer of speech: everything an app needs to transcribe with its
    files, and what made them."""

    bundle_format: Literal[4]
    task: Literal["transcription"]
    shipped: Shipped
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")]
    """Whisper's code of what is spoken."""
    rate: int = Field(ge=1000, le=768_000)
    """Samples a second of the sound that `encode` takes: one channel, real values in -1..1."""
    window: int = Field(ge=2, le=100_000_000)
    """Its length in samples; a shorter sound has silence after it."""
    rules: Rules
    """Of greedy decoding."""
    guards: Guards
    """What ends a transcript that has gone wrong, if an app does as the contract was judged."""
    vocabulary: Name = VOCABULARY
    """JSON: `pieces`, the bytes of each token in base64, and `named`, those that are no text."""
    files: tuple[RecognizerFile, ...] = Field(min_length=1, max_length=1000)
    golden: tuple[Utterance, ...] = Field(default=(), max_length=100)
    """Recordings, and what each pair of files makes of them, for an app's self-test."""
    figures: dict[str, JsonValue]
    """What was judged and measured."""

    @model_validator(mode="after")
    def _fits(self) -> RecognizerManifest:
        # A bundle may come from anybody, and what it says is done.
        told = next(mistakes(self), None)
        if told is not None:
            raise ValueError(told)
        return self

    @property
    def width(self) -> int:
        """Tokens that a step chooses from."""
        step = next(each for each in self.files if each.program == "decode_step")
        return step.signature.outputs[step.signature.answer].shape[-1] or 0

    def as_json(self) -> dict[str, Any]:
        """As it is written."""
        return self.model_dump(mode="json")


def read_tokens(path: Path, told: RecognizerManifest) -> Vocabulary:
    """The tokens of the bundle at `path`. Raises UserError: they are not those of its files, or a
    file is not of the size that it says."""
    from edgedistill.runtimes import size_of
    from edgedistill.transcribing.vocabulary import Vocabulary

    for entry in told.files:
        held = size_of(path / entry.file)
        if held != entry.bytes:
            raise UserError(
                f"{path}: {entry.file} has {held} bytes, and the manifest says {entry.bytes}", _HINT
            )
    tokens = Vocabulary.read(path / told.vocabulary)
    beyond = [name for name, number in tokens.named.items() if number >= len(tokens.pieces)]
    if len(tokens.pieces) != told.width or beyond:
        raise UserError(
            f"{path}: {told.vocabulary} is of {len(tokens.pieces)} tokens"
            + (f", names one beyond them (`{beyond[0][:60]}`)" if beyond else "")
            + f", and its files choose from {told.width}",
            _HINT,
        )
    return tokens
