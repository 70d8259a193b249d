"""What a bundle says of itself, checked before any of it is used: it may come from anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, JsonValue, ValidationError

from edgedistill.bundle.parts import (
    BundledListening,
    BundledSound,
    Label,
    ModelFile,
    Name,
    Origin,
    Part,
)
from edgedistill.bundle.recognizer import TRANSCRIPTION, RecognizerManifest
from edgedistill.document import problems
from edgedistill.errors import UserError
from edgedistill.fields import Resize
from edgedistill.files import read_json_file
from edgedistill.recipe.tasks import TaskName
from edgedistill.records import How
from edgedistill.records.audit import ChosenPoint, TriedPoint
from edgedistill.signature import Signature, TensorSpec
from edgedistill.target import Precision, RuntimeName
from edgedistill.tasks.routing import ROUTE_ALL

MANIFEST = "edgedistill.json"
AUDIT = "audit.json"
REPORT = "report.json"
PAGE = "report.html"
GOLDEN = "golden"
FORMAT: Final = 4
_READ = (3, 4)


def _grey_or_color(channels: int) -> int:
    if channels not in (1, 3):
        raise ValueError(f"must be 1 or 3 (got {channels})")
    return channels


class Golden(Part):
    """Inputs and outputs of a file in its own layout and numbers."""

    input: Name
    output: Name
    inputs: dict[str, Name] | None = None
    """Of a file of several inputs, all of them by name."""
    tolerance: float = Field(ge=0)
    """How far an app's outputs may lie from these, in the file's own numbers."""
    share: float = Field(ge=0, le=1)
    """Of all values, that must lie so near."""
    notes: str


class BundledFile(ModelFile):
    """A model file, and what an app has to know of it."""

    input: TensorSpec
    output: TensorSpec
    inputs: tuple[TensorSpec, ...] | None = None
    """All of them, of a file of several."""
    notes: dict[str, str] | None = None
    """In words, what to feed and what comes out; None in the first bundles, as `golden`."""
    golden: Golden | None = None


class BundledProgram(Part):
    """A program that is not `main`, such as a step of a stream, in one of the files."""

    runtime: RuntimeName
    precision: Precision
    file: Name
    program: Annotated[str, Field(max_length=100)]
    signature: Signature
    """With the file's own shapes, layouts and scales; `state` says which output is fed back to
    which input, unchanged. It begins at zero: where there is a scale, at the zero point."""
    golden: Name
    """`.npz` of the inputs that are no state over the first steps, by name: real values."""
    golden_outputs: Name
    """`.npz` of all outputs over these steps."""


Side = Annotated[int, Field(ge=1, le=8192)]
Channels = Annotated[int, AfterValidator(_grey_or_color), Field(json_schema_extra={"enum": [1, 3]})]


class Resizing(Part):
    """How an app brings a photo to `image_size`."""

    how: Resize
    notes: str = ""
    filter: str = "bilinear"
    padding: Literal[0] | None = None
    """The byte of pixels around the photo, where there are any."""


class Preprocessing(Part):
    """What an app does to a photo before it feeds it."""

    image_size: Side | tuple[Side, Side]
    """(height, width); of an older bundle one number for both."""
    channels: Channels
    color: Literal["grey", "RGB"] | None = None
    range: tuple[float, float] | None = None
    """Of the real values that are fed."""
    resize: str | Resizing | None = None
    """Of an older bundle a sentence."""
    antialias: bool | None = None
    orientation: str | None = None
    alpha: str | None = None


class BundledTexts(Part):
    """What images of a retrieval are compared with."""

    file: Name = "texts.npy"
    """float32 (texts, dimensions), of length 1."""
    captions: tuple[str, ...] = ()
    scale: float = Field(gt=0, le=1e6)


class BundledRouting(Part):
    """When an app should ask the teacher; all None where nothing was chosen."""

    threshold: float | None = Field(default=None, ge=0, le=ROUTE_ALL)
    """Of the student's confidence, below which it asks."""
    validation: ChosenPoint | None = None
    test: TriedPoint | None = None


class Figure(Part):
    """A number that says where it comes from."""

    value: float
    unit: str
    how: How
    where: str


class BundledMeasurement(Part):
    """What was measured of a file, or of a model before it; the samples are in report.json."""

    model: str
    runtime: str
    precision: str
    file: str | None
    program: str = "main"
    """Which of the file's programs; of one that keeps a state, a step."""
    threads: int
    cold_load_ms: Figure | None = None
    warm_load_ms: Figure | None = None
    p50_ms: Figure | None = None
    p90_ms: Figure | None = None
    p99_ms: Figure | None = None
    peak_memory_mb: Figure | None = None


class Manifest(Origin):
    """`edgedistill.json`: everything an app needs to run a bundle's files, and what made them."""

    bundle_format: Literal[3, 4]
    shipped: Name
    """The file that the contract is held against."""
    task: TaskName
    labels: tuple[Label, ...] = Field(min_length=1, max_length=1_000_000)
    notes: dict[str, str] | None = None
    """What holds for every file, in words."""
    files: tuple[BundledFile, ...] = Field(min_length=1, max_length=1000)
    programs: tuple[BundledProgram, ...] = Field(default=(), max_length=1000)
    """Further programs of the same weights."""
    preprocessing: Preprocessing | None
    """None where the files take arrays that are no pictures: their inputs say which."""
    sound: BundledSound | None = None
    """Where they take sound, of what kind."""
    listening: BundledListening | None = None
    """Where keywords can be listened for."""
    temperature: float = Field(gt=0, le=1e6)
    """By which logits are divided, so that a confidence is as often right as it says."""
    routing: BundledRouting
    texts: BundledTexts | None = None
    reference: dict[str, JsonValue] | None = None
    """How predictions were distributed on validation images, to tell drift by."""
    measurements: tuple[BundledMeasurement, ...]

    def as_json(self) -> dict[str, Any]:
        """As it is written. A bundle without a choice of routing says nothing of it."""
        document = self.model_dump(mode="json", by_alias=True)
        document["routing"] = self.routing.model_dump(mode="json", exclude_none=True)
        return document


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the bundle at `path`, of the form above or of `RecognizerManifest`; its files
    are not looked at.

    Raises UserError: not a bundle, of another format, or with parts missing or of another type.
    """
    hint = "give the folder that `edgedistill compile --out` wrote"
    try:
        document = read_json_file(path / MANIFEST, "a bundle's manifest", hint)
    except UserError as error:
        raise UserError(f"{path}: not a bundle: {error.message}", hint) from None
    if not isinstance(document, dict) or "bundle_format" not in document:
        raise UserError(f"{path}/{MANIFEST}: not a bundle's manifest", hint)
    version = document["bundle_format"]
    if type(version) is int and version not in _READ:
        raise UserError(
            f"{path}: bundle format {version}, this version reads {_READ[0]} to {_READ[-1]}",
            "use the version of edgedistill that wrote it",
        )
    _check(document, f"{path}/{MANIFEST}", hint)
    return document


def _check(document: dict[str, Any], where: str, hint: str) -> None:
    """Raises UserError: a part is missing, of another type, or contradicts another."""
    recognizer = document.get("task") == TRANSCRIPTION
    kind: type[Manifest | RecognizerManifest] = RecognizerManifest if recognizer else Manifest
    try:
        # JSON's lists are tuples here.
        manifest = kind.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise UserError(problems(error, kind, where), hint) from None
    if isinstance(manifest, Manifest):
        _check_names(manifest, where)


def _check_names(manifest: Manifest, where: str) -> None:
    parts = [(each.file, each.golden, each.golden_outputs) for each in manifest.programs]
    names = [*(entry.file for entry in manifest.files), *(name for part in parts for name in part)]
    listening, programs = manifest.listening, {each.program for each in manifest.programs}
    if listening is not None and listening.program not in programs:
        raise UserError(
            f"{where}: listens with the program `{listening.program}`, which it does not list",
            "compile the bundle again",
        )
    strange = ({*names} - manifest.digests.keys()) | ({manifest.shipped} - {*names})
    if strange:
        raise UserError(
            f"{where}: names `{min(strange)}`, which it does not list, or without digest",
            "compile the bundle again",
        )


def is_bundle(path: Path) -> bool:
    """Whether a folder has a manifest that can be read; its files are not looked at."""
    try:
        read_manifest(path)
    except UserError:
        return False
    return True


def listed(manifest: dict[str, Any]) -> set[str]:
    """The files that a bundle consists of, relative to it."""
    return {*manifest["digests"], MANIFEST, AUDIT, REPORT, PAGE}
