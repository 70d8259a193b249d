"""A .tflite flatbuffer as objects, and back."""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgedistill.runtimes.tflite.shared import SharingBuilder

Array = np.ndarray[Any, Any]
_DTYPES: dict[int, type[np.generic]] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.BOOL: np.bool_,
}
_OPERATORS = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """Written at a multiple of 16 bytes, as the format asks; the generated class aligns to 1."""

    def Pack(self, builder: Any) -> Any:
        content = None if self.data is None else bytes(self.data)
        if content is not None:
            builder.StartVector(1, len(content), 16)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            content = builder.EndVector()
        schema.BufferStart(builder)
        if content is not None:
            schema.BufferAddData(builder, content)
        return schema.BufferEnd(builder)


class File:
    """The main subgraph of a model, with the edits that it needs. Others, which its operators call
    (a loop's body, the parts of a composite), stay as the converter wrote them."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.tools.flatbuffer_utils import read_model_from_bytearray

        self.model = read_model_from_bytearray(bytearray(content))
        self.graph = self.model.subgraphs[0]

    @classmethod
    def read(cls, path: Path) -> File:
        """The file at `path`."""
        return cls(path.read_bytes())

    def parts(self) -> list[File]:
        """The file seen from each of its subgraphs, the main one first."""
        seen = []
        for graph in self.model.subgraphs:
            part = copy.copy(self)
            part.graph = graph
            seen.append(part)
        return seen

    def pack(self) -> bytes:
        """The flatbuffer's bytes, without what nothing refers to any more, and with what is the
        same stored once."""
        self._merge_constants()
        self._compact()
        builder = SharingBuilder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    @property
    def operators(self) -> list[Any]:
        """In the order they run."""
        operators: list[Any] = self.graph.operators
        return operators

    def kind(self, operator: Any) -> str:
        """The operator's name in the schema, such as `CONV_2D`."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        name: str = _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        return name

    def count(self) -> Counter[str]:
        """Operators by kind, in every subgraph."""
        return Counter(self.kind(each) for part in self.parts() for each in part.operators)

    def tensor(self, index: int) -> Any:
        """The schema's own object, to be edited in place."""
        return self.graph.tensors[index]

    def dtype(self, index: int) -> str:
        """NumPy's name of a tensor's type; `other` for one that it does not know."""
        kind = _DTYPES.get(self.tensor(index).type)
        return "other" if kind is None else np.dtype(kind).name

    def size_in_bytes(self, index: int) -> int:
        """What a tensor takes in memory; axes of unknown size count as one."""
        shape = self.tensor(index).shape
        count = int(np.prod([max(1, int(size)) for size in shape])) if shape is not None else 1
        kind = _DTYPES.get(self.tensor(index).type)
        return count * (1 if kind is None else np.dtype(kind).itemsize)

    def constant(self, index: int) -> Array | None:
        """The value of a tensor that the file stores; None for one that is computed."""
        tensor = self.tensor(index)
        data = self.model.buffers[tensor.buffer].data
        if tensor.buffer == 0 or data is None:
            return None
        return np.frombuffer(bytes(data), _DTYPES[tensor.type]).reshape(tensor.shape)

    def digest(self, index: int) -> str:
        """Of a stored tensor's bytes, shape, type and quantization, in hexadecimal."""
        tensor = self.tensor(index)
        scheme = tensor.quantization
        parts = [tensor.shape, *([] if scheme is None else [scheme.scale, scheme.zeroPoint])]
        said = [None if each is None else np.asarray(each).tolist() for each in parts]
        content = bytes(self.model.buffers[tensor.buffer].data)
        return hashlib.sha256(repr((tensor.type, said)).encode() + content).hexdigest()

    def producer(self, index: int) -> Any | None:
        """The operator that computes a tensor; None for inputs and what is stored."""
        return next((each for each in self.operators if index in each.outputs), None)

    def consumers(self, index: int) -> list[Any]:
        """The operators that read a tensor, in the order they run."""
        return [each for each in self.operators if index in each.inputs]

    def add_buffer(self, content: bytes) -> int:
        """Store bytes; returns the new buffer's number."""
        self.model.buffers.append(schema.BufferT(data=np.frombuffer(content, np.uint8)))
        return len(self.model.buffers) - 1

    def add_constant(self, value: Array, like: int | None) -> int:
        """A stored tensor with the shape and bytes of `value` and the type and quantization of
        tensor `like`; returns its number."""
        index = self.add_tensor(tuple(value.shape), like)
        self.tensor(index).buffer = self.add_buffer(np.ascontiguousarray(value).tobytes())
        return index

    def add_tensor(self, shape: tuple[int, ...], like: int | None = None) -> int:
        """A computed tensor like another one, or a float32 one; returns its number."""
        source = None if like is None else self.tensor(like)
        tensor = schema.TensorT()
        tensor.type = schema.TensorType.FLOAT32 if source is None else source.type
        tensor.quantization = None if source is None else source.quantization
        tensor.shape, tensor.name, tensor.hasRank = list(shape), b"", True
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def new_operator(self, name: str, inputs: list[int], outputs: list[int]) -> Any:
        """An operator by its name in the schema; it is not yet among `operators`."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(getattr(schema.BuiltinOperator, name))
        operator.inputs, operator.outputs = inputs, outputs
        return operator

    def _code(self, builtin: int) -> int:
        for index, code in enumerate(self.model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def raise_version(self, operator: Any, version: int) -> None:
        """Say that operators of that kind are of a version, or a later one, of the schema's."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, version)

    def order_boundary(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Put what the graph takes and gives into the order of these names of its signature."""
        (signature,) = self.model.signatureDefs

        def places(entries: Any, names: Sequence[str]) -> list[int]:
            known = {bytes(each.name).decode(): int(each.tensorIndex) for each in entries}
            return [known[name] for name in names]

        self.graph.inputs = places(signature.inputs, inputs)
        self.graph.outputs = places(signature.outputs, outputs)

    def replace_uses(self, old: int, new: int) -> None:
        """Let what reads tensor `old`, the file's outputs among it, read `new`."""
        for operator in self.operators:
            operator.inputs = [new if index == old else index for index in operator.inputs]
        self.graph.outputs = [new if index == old else index for index in self.graph.outputs]

    def attach(self, name: str, content: bytes) -> None:
        """Store `content` as the model's metadata of that name."""
        entry = schema.MetadataT()
        entry.name, entry.buffer = name.encode(), self.add_buffer(content)
        self.model.metadata = [*(self.model.metadata or []), entry]

    def attached(self, name: str) -> bytes | None:
        """The model's metadata of that name; None where there is none."""
        for entry in self.model.metadata or []:
            if entry.name == name.encode():
                return bytes(self.model.buffers[entry.buffer].data)
        return None

    def _merge_constants(self) -> None:
        """Let operators that read the same read one tensor."""
        kept: dict[str, int] = {}
        stored = {index for each in self.operators for index in each.inputs if index >= 0}
        for index in sorted(stored):
            if self.constant(index) is not None:
                first = kept.setdefault(self.digest(index), index)
                if first != index:
                    self.replace_uses(index, first)

    def _compact(self) -> None:
        """Drop tensors, buffers and operator codes that nothing uses."""
        used = {*self.graph.inputs, *self.graph.outputs}
        for operator in self.operators:
            used.update(index for index in (*operator.inputs, *operator.outputs) if index >= 0)
        order = sorted(used)
        place = {old: new for new, old in enumerate(order)} | {-1: -1}
        self.graph.tensors = [self.graph.tensors[index] for index in order]
        self.graph.inputs = [place[index] for index in self.graph.inputs]
        self.graph.outputs = [place[index] for index in self.graph.outputs]
        for operator in self.operators:
            operator.inputs = [place[index] for index in operator.inputs]
            operator.outputs = [place[index] for index in operator.outputs]
        for signature in self.model.signatureDefs or []:
            if self.model.subgraphs[signature.subgraphIndex] is self.graph:
                for entry in (*signature.inputs, *signature.outputs):
                    entry.tensorIndex = place[entry.tensorIndex]
        self._compact_buffers()
        operators = [each for graph in self.model.subgraphs for each in graph.operators]
        codes = sorted({operator.opcodeIndex for operator in operators})
        for operator in operators:
            operator.opcodeIndex = codes.index(operator.opcodeIndex)
        self.model.operatorCodes = [self.model.operatorCodes[index] for index in codes]

    def _compact_buffers(self) -> None:
        tensors = [each for graph in self.model.subgraphs for each in graph.tensors]
        holders = [*tensors, *(self.model.metadata or [])]
        order = [0, *sorted({holder.buffer for holder in holders} - {0})]
        place = {old: new for new, old in enumerate(order)}
        self.model.buffers = [_Buffer(data=self.model.buffers[index].data) for index in order]
        for holder in holders:
            holder.buffer = place[holder.buffer]
