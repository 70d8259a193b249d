"""What the stages that make a recognizer leave for each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgedistill.records.codec import Record
from edgedistill.records.listening import Interval
from edgedistill.records.recognizer import Rules
from edgedistill.records.report import ContractLine
from edgedistill.records.speech import SpeechRecord
from edgedistill.records.speech_audit import SpeechAuditRecord
from edgedistill.records.speech_times import SpeechTimesRecord
from edgedistill.records.whole import WholeRecord


@dataclass(frozen=True, kw_only=True)
class ErrorRate:
    """Of transcripts against references, in percent."""

    words: float
    words_interval: Interval
    characters: float
    utterances: int
    reference_words: int


@dataclass(frozen=True, kw_only=True)
class TranscribeRecord(Record):
    """What became of a teacher's transcripts."""

    FILE: ClassVar[str] = "transcribed.json"

    utterances: dict[str, int]
    """Of each split."""
    dropped: dict[str, dict[str, int]]
    """Of each split how many, by why."""
    kept: dict[str, tuple[int, ...]]
    """Of each split the numbers of those to learn from, or to choose by."""
    error_rate: dict[str, ErrorRate | None]
    """The teacher's where there is a transcript, before anything is dropped; None without any."""
    precision: str
    seconds: float
    sound_seconds: float


@dataclass(frozen=True, kw_only=True)
class LayerTrial:
    """A model of some of the layers, forced over the teacher's transcripts."""

    part: str
    layers: tuple[int, ...]
    cross_entropy: float
    """Of a token, natural."""
    accuracy: float
    """Of the likeliest token, in percent."""


@dataclass(frozen=True, kw_only=True)
class AblateRecord(Record):
    """Which layers stay, and all that was tried."""

    FILE: ClassVar[str] = "ablated.json"

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    trials: tuple[LayerTrial, ...]
    utterances: int


@dataclass(frozen=True, kw_only=True)
class StudentRecord(Record):
    """A student as it was trained, its weights and `vocabulary.json` beside it."""

    FILE: ClassVar[str] = "student.json"

    sizes: dict[str, int]
    """Of `models.whisper.network.Shape`."""
    encoder: tuple[int, ...]
    """Layers of the teacher that it began with."""
    decoder: tuple[int, ...]
    kept_tokens: tuple[int, ...] | None
    """Of the teacher's vocabulary; None for all."""
    coverage: float
    """Share of the teacher's transcripts that can be said whole, in percent."""
    narrowed: dict[str, tuple[float, ...]]
    """Of each part whose layers were narrowed, the share of the variance that was lost of each
    attention's and feed-forward layer's outputs, before training."""
    before: LayerTrial
    after: LayerTrial
    """On validation, of the cut before training and after."""
    rules: Rules
    """Of decoding, in its own tokens."""


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """A way to round one runtime's int8 files, tried on validation utterances."""

    runtime: str
    encode: str
    """What becomes of activations in `encode`: `float` or `dynamic`."""
    decode_step: str
    word_error_rate: float
    """Against the float student's own transcripts, in percent."""
    seconds: float
    """That all took, one thread."""
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class RoundingsRecord(Record):
    """What was tried; empty where nothing was to be chosen."""

    FILE: ClassVar[str] = "roundings.json"

    tried: tuple[Rounding, ...]
    utterances: int


@dataclass(frozen=True, kw_only=True)
class Recognized:
    """What a file's transcripts are worth, as an app decodes them."""

    runtime: str
    """`torch` for the teacher as it was given."""
    precision: str
    error_rate: ErrorRate
    increase: float
    """Points of words above the teacher's."""
    increase_interval: Interval
    bytes: int
    sound_seconds: float
    seconds: float
    """That decoding all of it took, one thread."""
    first_token_seconds: float
    """Median, from the samples to the first token of the transcript."""
    tokens_per_second: float
    looped: int
    """Transcripts that were ended as they repeated themselves."""


@dataclass(frozen=True, kw_only=True)
class RecognizeRecord(Record):
    """Every file judged on the test set, the teacher first."""

    FILE: ClassVar[str] = "recognized.json"

    teacher: Recognized
    files: tuple[Recognized, ...]
    transcripts: dict[str, tuple[str, ...]]
    """By `runtime precision`; and under `reference`."""


@dataclass(frozen=True, kw_only=True)
class RecognitionReport(WholeRecord):
    """Everything that the compile of a recognizer found out."""

    FILE: ClassVar[str] = "report.json"

    data: SpeechRecord
    transcribed: TranscribeRecord
    """Without the numbers of what is kept."""
    ablated: AblateRecord
    student: StudentRecord
    """Without the numbers of the tokens that are kept."""
    roundings: RoundingsRecord
    recognized: RecognizeRecord
    shipped: tuple[str, str]
    """Runtime and precision of what the contract is held against."""
    contract: tuple[ContractLine, ...]
    ok: bool
    """Whether no promise is missed."""
    audited: SpeechAuditRecord | None = None
    """None of a bundle that an older version compiled."""
    timed: SpeechTimesRecord | None = None
    """The same."""
