"""A wheel that answers with a bundle's files: NumPy and one runtime, without torch."""

from __future__ import annotations

import importlib.metadata
import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.package.names import module_name
from edgedistill.package.platforms import RuntimeSize
from edgedistill.package.python.wheel import Project, write_wheel

if TYPE_CHECKING:
    from edgedistill.package.app import App
    from edgedistill.package.contents import Contents

HERE = Path(__file__).parent
_REQUIRES = {"litert": "ai-edge-litert>=2,<3", "onnxruntime": "onnxruntime>=1.20,<2"}
_NUMPY = "numpy>=1.24"


def write(contents: Contents, folder: Path) -> None:
    """Put the project and its wheel into `folder`."""
    project = project_of(contents)
    package = folder / project.name
    shutil.copytree(HERE / "glue", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "py.typed").touch()
    contents.copy_into(package / "data")
    (folder / "pyproject.toml").write_text(project.pyproject(), encoding="utf-8")
    for name in ("LICENSE", "PROVENANCE.md"):
        shutil.copyfile(package / "data" / name, folder / name)
    (folder / "README.md").write_text(_page(contents.app, project), encoding="utf-8")
    write_wheel(project, package, folder / "dist")


def _page(app: App, project: Project) -> str:
    """The README, but for what the frame fills in."""
    calls = [app.kind, *(["listening"] if app.listening is not None else [])]
    sounds = (app.sound, app.listening, app.transcription)
    chosen = "answer.label, answer.confidence, answer.route"
    words = {
        "call": "\n".join(_read(f"call_{each}.txt").rstrip() for each in calls),
        "printed": chosen if app.activation == "softmax" else "answer.probabilities",
        "rate": str(next((each.rate for each in sounds if each is not None), "")),
        "requires": " and ".join(f"`{each}`" for each in project.requires),
        "module": project.name,
        "wheel": project.file,
    }
    page = _read("README.md")
    for word, text in words.items():
        page = page.replace("{{" + word + "}}", text)
    return page


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def project_of(contents: Contents) -> Project:
    """What the wheel says of itself; its version is the time at which the bundle was compiled, so
    that a later one takes an earlier one's place."""
    app = contents.app
    made = datetime.fromisoformat(app.origin.created)
    return Project(
        name=module_name(app.name),
        version=f"{made:%Y}.{made.month}.{made.day}.{int(f'{made:%H%M%S}')}",
        summary=f"The model {app.name} ({app.task}) in {app.runtime}, {app.precision}",
        python=">=3.10",
        requires=(_NUMPY, _REQUIRES[app.runtime]),
        extras={"files": ("pillow>=10",)},
    )


def runtime_size(contents: Contents) -> RuntimeSize:
    """What NumPy and the runtime take, as they are installed here."""
    names = ("numpy", "ai-edge-litert" if contents.app.runtime == "litert" else "onnxruntime")
    found = [importlib.metadata.distribution(name) for name in names]
    size = sum(
        Path(str(each.locate_file(file))).stat().st_size
        for each in found
        for file in each.files or ()
        if Path(str(each.locate_file(file))).is_file()
    )
    told = " and ".join(f"{each.name} {each.version}" for each in found)
    return RuntimeSize(size, f"{told}, as installed where this was packaged")
