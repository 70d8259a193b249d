"""A digest of what a teacher answers from, cheap enough to take before every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgedistill.artifact import file_digest, text_digest
from edgedistill.errors import UserError
from edgedistill.families.endpoint import WHOLE, from_outside
from edgedistill.models import fingerprint as model_fingerprint
from edgedistill.recipe import (
    ClipTeacher,
    Ensemble,
    HttpTeacher,
    HuggingFaceTeacher,
    ModelCommon,
    OnnxTeacher,
    PythonTeacher,
    Teacher,
)
from edgedistill.usercode import source_digest

NOT_CONTENT = {
    "concurrency", "per_second", "max_requests", "timeout", "retries", "backend",
}  # fmt: skip
"""Fields that change how a teacher is asked, and nothing that it answers."""


def fingerprint(teacher: Teacher) -> str:
    """SHA-256 over the config without its paths, and over what they hold: model files whole; a
    hub model by its name, an endpoint by its whole address, in which `${NAME}` is a name.

    Raises UserError: a file or folder is missing.
    """
    if isinstance(teacher, ModelCommon):
        return model_fingerprint(teacher)
    if isinstance(teacher, Ensemble):
        members = [(fingerprint(member.teacher), member.weight) for member in teacher.members]
        return text_digest({"family": "ensemble", "members": members})
    fields = teacher.model_dump(mode="json", exclude=NOT_CONTENT, context=WHOLE)
    if isinstance(teacher, HttpTeacher):
        fields["headers"] = _telling(teacher.headers)
    paths = {name for name in type(teacher).model_fields
             if isinstance(getattr(teacher, name), Path)}  # fmt: skip
    config = {name: value for name, value in fields.items() if name not in paths}
    return text_digest({"config": config, "content": _content(teacher, paths)})


def _telling(headers: dict[str, str]) -> dict[str, str]:
    """The headers that may choose what answers, without those that say who asks, all of which
    come from the environment: a new key must not pay for every answer again."""
    return {name.lower(): value for name, value in headers.items() if not from_outside(value)}


def _content(teacher: Teacher, paths: set[str]) -> Any:
    if isinstance(teacher, PythonTeacher):
        return source_digest(teacher.function, "teacher.function")
    if isinstance(teacher, HuggingFaceTeacher | ClipTeacher):
        folder = Path(teacher.name)
        return _digest(folder) if folder.is_dir() else None
    if isinstance(teacher, HttpTeacher):
        return None
    content = {name: _digest(getattr(teacher, name)) for name in sorted(paths)}
    if isinstance(teacher, OnnxTeacher):
        return {**content, "weights": [_digest(each) for each in _external(teacher.path)]}
    return content


def _external(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold its larger weights."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import uses_external_data

    try:
        tensors = onnx.load(path, load_external_data=False).graph.initializer
    except DecodeError:
        return []  # opening the teacher says what is wrong with it
    places = {
        entry.value
        for tensor in tensors
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.parent / place for place in sorted(places)]


def _digest(path: Path) -> Any:
    if path.is_file():
        return file_digest(path)
    if not path.is_dir():
        raise UserError(f"the teacher's file is not there: {path}", "check the path in `teacher`")
    files = [each for each in sorted(path.rglob("*")) if each.is_file()]
    return {each.relative_to(path).as_posix(): file_digest(each) for each in files}
