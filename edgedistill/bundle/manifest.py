"""What a bundle says of itself, checked before any of it is used: it may come from anybody."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edgedistill.document import problems
from edgedistill.errors import UserError
from edgedistill.files import read_json_file
from edgedistill.recipe.tasks import TaskName
from edgedistill.target import Precision, RuntimeName
from edgedistill.tasks.routing import ROUTE_ALL

MANIFEST = "edgedistill.json"
AUDIT = "audit.json"
REPORT = "report.json"
PAGE = "report.html"
GOLDEN = "golden"
FORMAT = 3


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or not name.isprintable():
        raise ValueError("must be the name of a file within the bundle")
    return name


Name = Annotated[str, Field(max_length=200), AfterValidator(_inside)]
Label = Annotated[str, Field(min_length=1, max_length=1000)]


class _Part(BaseModel):
    """What is read of a part; there may be more in it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Golden(_Part):
    input: Name
    output: Name
    tolerance: float = Field(ge=0)
    share: float = Field(ge=0, le=1)
    notes: str


class _File(_Part):
    runtime: RuntimeName
    precision: Precision
    file: Name
    # Bundles of before there were any have neither.
    notes: dict[str, str] | None = None
    golden: _Golden | None = None


class _Preprocessing(_Part):
    image_size: int = Field(ge=1, le=8192)
    channels: Literal[1, 3]


class _Texts(_Part):
    scale: float = Field(gt=0, le=1e6)


class _Routing(_Part):
    threshold: float | None = Field(default=None, ge=0, le=ROUTE_ALL)


class Manifest(_Part):
    """The parts of `edgedistill.json` that are read again."""

    bundle_format: Literal[3]
    ok: bool
    shipped: Name
    task: TaskName
    labels: list[Label] = Field(min_length=1, max_length=1_000_000)
    notes: dict[str, str] | None = None
    files: list[_File] = Field(min_length=1, max_length=1000)
    preprocessing: _Preprocessing
    temperature: float = Field(gt=0, le=1e6)
    routing: _Routing
    texts: _Texts | None = None
    reference: dict[str, Any] | None = None
    digests: dict[Name, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    recipe: dict[str, Any]


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the bundle at `path`, of the form above; its files are not looked at.

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
    if type(version) is int and version != FORMAT:
        raise UserError(
            f"{path}: bundle format {version}, this version reads {FORMAT}",
            "use the version of edgedistill that wrote it",
        )
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        raise UserError(problems(error, Manifest, f"{path}/{MANIFEST}"), hint) from None
    names = [entry.file for entry in manifest.files]
    strange = ({*names} - manifest.digests.keys()) | ({manifest.shipped} - {*names})
    if strange:
        raise UserError(
            f"{path}/{MANIFEST}: names `{min(strange)}`, which it does not list, or without digest",
            "compile the bundle again",
        )
    return document


def is_bundle(path: Path) -> bool:
    try:
        read_manifest(path)
    except UserError:
        return False
    return True


def listed(manifest: dict[str, Any]) -> set[str]:
    """The files that a bundle consists of, relative to it."""
    return {*manifest["digests"], MANIFEST, AUDIT, REPORT, PAGE}
