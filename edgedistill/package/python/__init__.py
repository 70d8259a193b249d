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
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    kind = contents.app.kind
    readme = readme.replace("{{call}}", (HERE / f"call_{kind}.txt").read_text().strip())
    readme = readme.replace("{{module}}", project.name).replace("{{wheel}}", project.file)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    write_wheel(project, package, folder / "dist")


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
