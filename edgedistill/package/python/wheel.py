"""A wheel, written with the standard library: the same bytes whenever it is written, and no build
tool or network."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Project:
    """What a wheel says of itself."""

    name: str
    """Of the distribution and of its one package."""
    version: str
    summary: str
    python: str
    """`>=3.10`"""
    requires: tuple[str, ...]
    extras: dict[str, tuple[str, ...]]

    @property
    def file(self) -> str:
        """The wheel's name (Binary distribution format, PyPA)."""
        return f"{self.name}-{self.version}-py3-none-any.whl"

    @property
    def metadata(self) -> str:
        """Core metadata 2.1."""
        lines = [
            "Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}",
            f"Summary: {self.summary}", f"Requires-Python: {self.python}",
            "License: Apache-2.0",
            *(f"Requires-Dist: {each}" for each in self.requires),
        ]  # fmt: skip
        for extra, requires in self.extras.items():
            lines.append(f"Provides-Extra: {extra}")
            lines += [f"Requires-Dist: {each}; extra == '{extra}'" for each in requires]
        return "\n".join([*lines, ""])

    def pyproject(self) -> str:
        """The same for whoever builds the sources again."""
        listed = ", ".join(f'"{each}"' for each in self.requires)
        extras = [
            f"{name} = [{', '.join(f'{chr(34)}{each}{chr(34)}' for each in requires)}]"
            for name, requires in self.extras.items()
        ]
        return "\n".join(
            [
                "[build-system]", 'requires = ["hatchling"]', 'build-backend = "hatchling.build"',
                "", "[project]", f'name = "{self.name}"', f'version = "{self.version}"',
                f'description = "{self.summary}"', 'license = "Apache-2.0"',
                f'requires-python = "{self.python}"', f"dependencies = [{listed}]", "",
                "[project.optional-dependencies]", *extras, "",
                "[tool.hatch.build.targets.wheel]", f'packages = ["{self.name}"]', "",
            ]
        )  # fmt: skip


def write_wheel(project: Project, package: Path, folder: Path) -> Path:
    """Put the wheel of a package, with all that lies in it, into `folder`."""
    information = f"{project.name}-{project.version}.dist-info"
    files = {
        f"{project.name}/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[f"{information}/METADATA"] = project.metadata.encode()
    files[f"{information}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: edgedistill\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = f"{information}/RECORD"
    rows = [f"{name},sha256={_digest(held)},{len(held)}" for name, held in files.items()]
    files[record] = "\n".join([*rows, f"{record},,", ""]).encode()
    folder.mkdir(exist_ok=True)
    path = folder / project.file
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, held in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, held)
    return path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
