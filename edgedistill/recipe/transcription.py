"""What the user wants of a recognizer: speech, a Whisper as teacher, a smaller one as student."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from edgedistill.fields import Epochs, Name, Share, Temperature, Weight
from edgedistill.recipe.speech import Speech
from edgedistill.recipe.stages import Training
from edgedistill.target import FileName, Frozen, Precision, each_once
from edgedistill.transcripts.filter import FilterConfig


class WhisperTeacher(Frozen):
    """A Whisper, of any size, English or multilingual: a hub name, or a local folder in the same
    format (`WhisperForConditionalGeneration.save_pretrained`)."""

    family: Literal["whisper"]
    name: Name
    """On the hub, or a folder."""


_Number = Annotated[int, Field(ge=0, le=255)]


def _number_or_list(given: Any) -> str:
    # In brackets, as pydantic writes a union's kinds: messages leave such a level out.
    return "[list]" if isinstance(given, list | tuple) else "[number]"


if TYPE_CHECKING:
    Layers = int | tuple[int, ...]
else:
    Layers = Annotated[
        Union[
            Annotated[int, Field(ge=1, le=256), Tag("[number]")],
            Annotated[
                tuple[_Number, ...], Field(min_length=1, max_length=256),
                AfterValidator(each_once), Tag("[list]"),
            ],
        ],
        Discriminator(_number_or_list),
    ]  # fmt: skip
"""So many, which are searched for; or these, by their numbers from 0."""


class WhisperStudent(Frozen):
    """The teacher, cut down. Its window is the data's (`data.seconds`)."""

    encoder_layers: Layers | None = None
    """Of the encoder that stay: a number of them, and which is found by leaving each out in turn;
    or a list. By default all."""
    decoder_layers: Layers | None = None
    """The same of the decoder."""
    encoder_heads: Annotated[int, Field(ge=1, le=256)] | None = None
    """Heads of each of the encoder's attentions that stay: those that the others can make up for
    worst. By default all."""
    decoder_heads: Annotated[int, Field(ge=1, le=256)] | None = None
    """The same of the decoder, of both its attentions."""
    encoder_ffn: Share = 1.0
    """Of the channels of each of the encoder's feed-forward layers how many stay, above 0, chosen
    in the same way."""
    decoder_ffn: Share = 1.0
    """The same of the decoder."""
    vocabulary: Literal["whole", "ascii", "data"] = "whole"
    """Tokens that stay: all; those of ASCII alone; or those that the teacher says of the training
    and validation data. What is not kept can never be said."""
    tokens: int = Field(default=192, ge=8, le=4096)
    """Of a window's transcript, at most, with what begins it."""

    @model_validator(mode="after")
    def _something_stays(self) -> WhisperStudent:
        for name in ("encoder_ffn", "decoder_ffn"):
            if not getattr(self, name):
                raise ValueError(f"`{name}`: a share above 0 is needed")
        return self


class FilterSettings(Frozen):
    """Up to where a teacher's transcript is believed. See `transcripts.filter.FilterConfig`."""

    word_error_rate: float = Field(default=10.0, ge=0.0, le=1e4)
    """Against the transcript, where there is one, in percent, at most."""
    compression_ratio: float = Field(default=2.4, ge=1.0, le=1e3)
    """Bytes of the text for each of its compressed bytes, at most."""
    log_probability: float = Field(default=-1.0, ge=-100.0, le=0.0)
    """The mean of the tokens', natural, at least, where there is no transcript."""
    no_speech: Share = 0.6
    """Its probability, at most, where there is no transcript."""
    repeats: int = Field(default=3, ge=0, le=10_000)
    """Times that a phrase follows itself, at most."""
    words_per_second: float = Field(default=6.0, gt=0.0, le=1e3)
    """At most."""

    @property
    def config(self) -> FilterConfig:
        """As the filter takes it."""
        return FilterConfig(**self.model_dump())


class TranscribeConfig(Frozen):
    """What the teacher is asked, and which of its transcripts are believed."""

    top_k: int = Field(default=16, ge=1, le=1024)
    """Likeliest tokens that are kept of each place, with their probabilities."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Windows at once."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the teacher's encoder; `auto` takes bf16 where this processor multiplies it natively."""
    filter: FilterSettings = FilterSettings()
    """What is dropped."""


class AblateConfig(Frozen):
    """How layers are chosen."""

    utterances: int = Field(default=64, ge=1, le=100_000)
    """Of validation, at most, on which the cross entropy is measured."""


class SpeechTraining(Training):
    """Training the student on what the teacher said."""

    epochs: Epochs = 3
    """Passes over the training utterances. What is best on validation is kept, be it what there was
    before training."""
    batch_size: int = Field(default=8, ge=1, le=65536)
    """Utterances in a step."""
    learning_rate: float = Field(default=1e-5, gt=0.0, le=1e3)
    """The highest, at the end of the warm-up."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """Nesterov momentum, or AdamW."""
    weight_decay: float = Field(default=0.01, ge=0.0, le=1e3)
    """Of weights of layers; biases and norms go without."""
    clip: float | None = Field(default=1.0, gt=0.0, le=1e9)
    """Largest norm of the gradient."""
    soft: Weight = 0.8
    """Weight of the teacher's likeliest tokens at each place (Kullback-Leibler divergence)."""
    hard: Weight = 1.0
    """Weight of what it said (cross entropy)."""
    temperature: Temperature = 1.0
    """Of both, for `soft`."""
    encoder: bool = False
    """Train the encoder too: by default it stays the teacher's, and is computed once."""

    @model_validator(mode="after")
    def _something_counts(self) -> SpeechTraining:
        if not self.soft and not self.hard:
            raise ValueError("`soft` and `hard`: at least one above 0 is needed")
        return self


class SpeechExport(Frozen):
    """Which files are written."""

    precisions: Annotated[tuple[Precision, ...], Field(min_length=1, max_length=3)] | None = None
    """By default the target's."""
    activations: Literal["auto", "float", "dynamic"] = "auto"
    """Of int8 files: `float`, where only weights are integers; `dynamic`, where each runtime rounds
    activations as it runs; `auto`: for each program and runtime what transcribes validation
    utterances faster, as long as it says what the float files say."""
    utterances: int = Field(default=16, ge=1, le=10_000)
    """Of validation, at most, that `auto` is chosen by."""


class RecognizeConfig(Frozen):
    """How the files are judged."""

    utterances: int = Field(default=10_000, ge=1, le=1_000_000)
    """Of the test set, at most."""


class SpeechStages(Frozen):
    """Settings of each stage; each may be left out."""

    transcribe: TranscribeConfig = TranscribeConfig()
    ablate: AblateConfig = AblateConfig()
    distill: SpeechTraining | None = SpeechTraining()
    """`null`: the student is the teacher's layers as they are."""
    export: SpeechExport = SpeechExport()
    recognize: RecognizeConfig = RecognizeConfig()


class SpeechContract(Frozen):
    """What the result must keep. Unmet: exit code 1. Figures are of the file that ships."""

    max_wer: float | None = Field(default=None, ge=0.0, le=1e4)
    """Word error rate on the test set, in percent."""
    max_wer_increase: float | None = Field(default=None, ge=0.0, le=1e4)
    """Points above the teacher's."""
    max_size_mb: float | None = Field(default=None, gt=0.0, le=1e6)
    """Of the files of both programs, in 10^6 bytes."""
    max_hallucinated_words: int | None = Field(default=None, ge=0, le=1_000_000)
    """Said in two minutes of silence and two of white noise, together, with the guards."""
    min_speedup: float | None = Field(default=None, gt=0.0, le=1e4)
    """Times as fast as the teacher whole, with its own window, in float in the same runtime, on
    validation utterances taken in turn on this machine. Measured only where it is asked for."""


class TranscriptionRecipe(Frozen):
    """All that compiling a recognizer depends on, but for the target."""

    name: FileName
    """Of the files and the bundle."""
    task: Literal["transcription"]
    """What is said, as text."""
    data: Speech
    """Recordings, and what is known to be said in them."""
    teacher: WhisperTeacher
    """Whoever transcribes."""
    student: WhisperStudent = WhisperStudent()
    """What stays of it."""
    stages: SpeechStages = SpeechStages()
    """Settings of each stage; each may be left out."""
    contract: SpeechContract = SpeechContract()
    """What the result is promised to be."""
    seed: int = Field(default=0, ge=0, le=4_000_000_000)
    """Of everything that is drawn at random."""
    deterministic: bool = False
    """Same bytes on every run of this machine, at some cost in speed."""
