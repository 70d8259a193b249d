"""The messages that LiteRT's `benchmark_model` writes, as classes.

They are in a pool of their own: the package's modules describe them in the one of the process,
where TensorFlow describes the same, and whichever of the two is imported last fails.
"""

from __future__ import annotations

import ast
import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RESULT = "tflite.tools.benchmark.BenchmarkResult"
DETAILS = "tflite.profiling.ModelRuntimeDetails"
_MODULES = "ai_edge_litert.profiling_info_pb2", "ai_edge_litert.model_runtime_info_pb2"

_FIELDS = {
    "LatencyMetrics": "float avg_ms min_ms max_ms stddev_ms median_ms p5_ms p95_ms init_ms "
    "first_inference_ms average_warm_up_ms",
    "MemoryMetrics": "int64 init_footprint_kb overall_footprint_kb float peak_mem_mb",
    "MiscMetrics": "float model_size_mb int32 num_runs num_warmup_runs float "
    "model_throughput_in_mb_per_sec",
    "BenchmarkResult": "string name LatencyMetrics latency_metrics MemoryMetrics memory_metrics "
    "MiscMetrics misc_metrics",
}
"""benchmark_result.proto, which LiteRT's package lacks: fields in the order of their numbers, from
1 on, after the type of those that follow."""


@functools.cache
def message(name: str) -> Any:
    """The class of `RESULT`, of `DETAILS`, or of what is in them."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


@functools.cache
def _pool() -> Any:
    from google.protobuf import descriptor_pool

    pool = descriptor_pool.DescriptorPool()
    pool.Add(_result())
    for module in _MODULES:
        pool.AddSerializedFile(_described(module))
    return pool


def _result() -> Any:
    from google.protobuf import descriptor_pb2

    package = RESULT.rpartition(".")[0]
    file = descriptor_pb2.FileDescriptorProto(name="benchmark_result.proto", package=package)
    for name, words in _FIELDS.items():
        made = file.message_type.add(name=name)
        kind = ""
        for word in words.split():
            if word in _FIELDS or word in ("float", "int32", "int64", "string"):
                kind = word
                continue
            field = made.field.add(name=word, number=len(made.field) + 1, label=1)
            if kind in _FIELDS:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
    return file


def _described(module: str) -> bytes:
    """What a module that protoc has written hands to the process's pool, without importing it."""
    found = find_spec(module)
    assert found is not None and found.origin is not None, f"LiteRT's package has {module}"
    for node in ast.walk(ast.parse(Path(found.origin).read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "AddSerializedFile":
            described: bytes = ast.literal_eval(node.args[0])
            return described
    raise AssertionError(f"{module} describes no file")
