"""Write a package: built beside its place, its README filled in, moved there whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistill import replacing
from edgedistill.artifact import file_digest, write_json
from edgedistill.bundle import Bundle
from edgedistill.package import page
from edgedistill.package.contents import VOCABULARY, Contents, contents_of
from edgedistill.package.platforms import Platform, RuntimeSize, find

MARK = "edgedistill-package.json"
"""At the top of every package: what it consists of, and its sizes."""
README = "README.md"
_FORMAT = 1


@dataclass(frozen=True)
class Packaged:
    """A package that was written."""

    path: Path
    platform: str
    runtime: str
    precision: str
    sizes: dict[str, int | None]
    """Bytes that it adds to an app: `model` (with its vocabulary), `glue`, and `runtime`, None
    where that is not known; and those of `golden`, which an app need not carry."""
    runtime_is: str
    """What the runtime's size is of."""


def package(
    bundle: Bundle | str | Path,
    platform: str,
    out: str | Path,
    runtime: str | None = None,
    precision: str | None = None,
) -> Packaged:
    """Write what an app takes in of a bundle into the folder `out`: model, code for `platform`
    (see `PLATFORMS`), golden data for its self-test, a README. An older package there is replaced
    whole. By default the files are those that the bundle ships, where the platform runs them.

    Raises UserError: not a bundle; an unknown platform; no file for it, or of that runtime or
    precision; a task that it cannot do; `out` is something else.
    """
    to, place = find(platform), Path(out)
    bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    replacing.check_place(place, _PACKAGE)
    contents = contents_of(bundle, to, runtime, precision)
    replacing.put(place, lambda folder: _fill(contents, to, folder), _PACKAGE)
    found = json.loads((place / MARK).read_text(encoding="utf-8"))
    return Packaged(
        path=place,
        platform=to.name,
        runtime=contents.app.runtime,
        precision=contents.app.precision,
        sizes=found["sizes"],
        runtime_is=found["runtime_is"],
    )


def _listed(out: Path) -> set[str] | None:
    """The files of the package in `out`; None where it is none."""
    try:
        found = json.loads((out / MARK).read_text(encoding="utf-8"))
        return {MARK, *found["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


_PACKAGE = replacing.Kind("package", _listed)


def _fill(contents: Contents, platform: Platform, folder: Path) -> None:
    platform.write(contents, folder)
    runtime = platform.runtime_size(contents)
    sizes = sizes_of(contents, folder, runtime)
    page.fill(folder / README, contents, sizes, runtime)
    files = {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    told = {"format": _FORMAT, "platform": platform.name, "name": contents.app.name}
    write_json(folder / MARK, {**told, "sizes": sizes, "runtime_is": runtime.what, "files": files})


def sizes_of(contents: Contents, folder: Path, runtime: RuntimeSize) -> dict[str, int | None]:
    """Bytes of a package, as `Packaged` has them. Glue is what is neither model, golden data nor
    documentation, and lies there as itself: not an archive of the same."""
    wanted = {each.file for each in contents.app.files} | {VOCABULARY}
    models = {each for each in contents.sources if each.partition("/")[0] in wanted}
    golden = {each for each in contents.sources if each.startswith("golden/")}
    model = sum(_size(contents.sources[name]) for name in models)
    kept = sum(_size(contents.sources[name]) for name in golden)
    names = {Path(name).name for name in (*models, *golden)}
    glue = sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in names
        and path.suffix not in (".md", ".whl", ".zip", ".aar", ".tgz")
        and path.name != "LICENSE"
    )
    return {"model": model, "glue": glue, "runtime": runtime.bytes, "golden": kept}


def _size(source: Path | bytes) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def as_json(packaged: Packaged) -> dict[str, Any]:
    """For the command line."""
    return {**vars(packaged), "path": str(packaged.path)}
