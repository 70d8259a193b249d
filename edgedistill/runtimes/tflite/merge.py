"""Several programs in one .tflite file: a signature for each, and what they share stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from edgedistill.program import MAIN
from edgedistill.runtimes.native import METADATA
from edgedistill.runtimes.tflite.file import File


def merge(programs: Mapping[str, File]) -> File:
    """The first program's file with the others' graphs added, each under its own name as a
    signature. Constants of the same bytes are stored once, whichever program they come from.

    Raises ValueError: a program's operators call graphs of their own, whose numbers would change.
    """
    first, *others = programs
    file = programs[first]
    file.model.signatureDefs[0].signatureKey = first.encode()
    held = {_digest(each): place for place, each in enumerate(file.model.buffers) if _content(each)}
    for name in others:
        _add(file, programs[name], name, held)
    return file


def metadata_name(base: str, program: str) -> str:
    """Under which a program's own words are attached to a file."""
    return base if program == MAIN else f"{base}.{program}"


def _add(file: File, other: File, name: str, held: dict[bytes, int]) -> None:
    if len(other.model.subgraphs) > 1:
        raise ValueError(f"`{name}` has operators that call graphs of their own")
    places = {0: 0}
    for place, buffer in enumerate(other.model.buffers):
        if place and _content(buffer):
            key = _digest(buffer)
            if key not in held:
                file.model.buffers.append(buffer)
                held[key] = len(file.model.buffers) - 1
            places[place] = held[key]
    for tensor in other.graph.tensors:
        tensor.buffer = places.get(tensor.buffer, 0)
    for operator in other.graph.operators:
        code = other.model.operatorCodes[operator.opcodeIndex]
        operator.opcodeIndex = _code(file, code)
    other.graph.name = name.encode()
    file.model.subgraphs.append(other.graph)
    (signature,) = other.model.signatureDefs
    signature.signatureKey = name.encode()
    signature.subgraphIndex = len(file.model.subgraphs) - 1
    file.model.signatureDefs.append(signature)
    for entry in other.model.metadata or []:
        content = bytes(other.model.buffers[entry.buffer].data)
        if entry.name == METADATA.encode():
            file.attach(metadata_name(METADATA, name), content)


def _code(file: File, wanted: Any) -> int:
    key = _key(wanted)
    for place, code in enumerate(file.model.operatorCodes):
        if _key(code) == key:
            return place
    file.model.operatorCodes.append(wanted)
    return len(file.model.operatorCodes) - 1


def _key(code: Any) -> tuple[object, ...]:
    return max(code.builtinCode, code.deprecatedBuiltinCode), code.customCode, code.version


def _content(buffer: Any) -> bool:
    return buffer.data is not None and len(buffer.data) > 0


def _digest(buffer: Any) -> bytes:
    return hashlib.sha256(bytes(buffer.data)).digest()
