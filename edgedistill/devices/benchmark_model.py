"""LiteRT's own `benchmark_model`, where the user has it: what it is asked, and what it tells.

Flags and files are those of its sources: TensorFlow Lite's tools/benchmark/benchmark_model.cc,
benchmark_tflite_model.cc and proto/benchmark_result.proto, profiling/model_runtime_info.cc, and
LiteRT's litert/tools/benchmark_litert_model.h. A flag that one of them does not know it warns of
and goes on, so that those of both are given; nothing that it logs is read. Tried with a program
that takes these flags and writes such files, and not with a released one.
"""

from __future__ import annotations

import math
import shutil
import typing
from pathlib import Path
from typing import Any

from edgedistill.devices.job import BenchmarkModel, Job, Order, Protocol, Record
from edgedistill.devices.left_over import PLAIN
from edgedistill.devices.messages import DETAILS, RESULT, message
from edgedistill.errors import UserError, nearest, reading
from edgedistill.files import MOST, check_regular
from edgedistill.records import Accelerator, OperatorRow, RunSummary

NAME = "benchmark_model"
_RESULT, _DELEGATION = "result.pb", "delegation.pb"
_GET = (
    "give LiteRT's `benchmark_model` as it is released for the device's system and processor; "
    "Android's and Linux's are two"
)
_HINT = f"see that the file is whole, and {_GET}"
_NEWER = "take a later release: `benchmark_model --help` must list `result_file_path`"
_MACHINES = {3: "x86", 40: "armv7", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
"""e_machine of an ELF header, by the System V ABI's list."""
_LONGEST = 500.0
"""Seconds to measure for at most, where the protocol has a least number of runs and no limit."""
_MEMORY_RUNS = 10


def found(path: Path, accelerator: str) -> BenchmarkModel:
    """The program at `path`.

    Raises UserError: there is none, it is no program for Linux or Android, or the accelerator is
    not one that it is asked for here.
    """
    known = typing.get_args(Accelerator)
    if accelerator not in known:
        raise UserError(
            f"unknown accelerator `{accelerator[:80]}`", nearest(accelerator[:80], list(known))
        )
    check_regular(path, NAME, _GET)
    with reading(str(path), _GET), path.open("rb") as stream:
        header = stream.read(20)
    magic, little_endian, kind = header[:4], header[5:6], header[16:18]
    if (magic, little_endian) != (b"\x7fELF", b"\1") or kind not in (b"\2\0", b"\3\0"):
        raise UserError(f"{path}: is no program for Linux or Android", _GET)
    machine = int.from_bytes(header[18:20], "little")
    isa = _MACHINES.get(machine, f"a processor that ELF numbers {machine}")
    return BenchmarkModel(path, isa, typing.cast(Accelerator, accelerator))


def order(job: Job, by: BenchmarkModel, folder: Path) -> Order:
    """The job as that program takes it. Its answers are there from the beginning, and empty, so
    that one that does not know how to write them is told from a device that does not give them.

    Raises UserError: the file cannot be read.
    """
    model = folder / f"model{job.model.suffix}"
    shutil.copyfile(job.model, model)
    answers = [folder / name for name in (_RESULT, _DELEGATION)]
    for each in answers:
        each.touch()
    with reading(str(job.model), "export it again"):
        signature, graph = _place(model, job.program)
    flags = _flags(job, by) | ({"signature_to_run_for": signature} if signature else {})
    return Order(
        (model, *answers),
        (_RESULT, _DELEGATION),
        {NAME: by.path},
        lambda there: [
            f"./{NAME}", f"--graph={there}", *(f"--{key}={flags[key]}" for key in flags)
        ],
        lambda there: _record(job, there, graph),
        NAME,
        "Benchmarking failed.",
        _HINT,
    )  # fmt: skip


def _place(model: Path, program: str) -> tuple[str, int]:
    """(the signature of a program, "" where the file has no such; its subgraph)."""
    from ai_edge_litert import schema_py_generated as schema

    file = schema.Model.GetRootAs(model.read_bytes(), 0)
    signatures = [file.SignatureDefs(place) for place in range(file.SignatureDefsLength())]
    for each in signatures:
        if each.SignatureKey() == program.encode():
            return program, each.SubgraphIndex()
    return "", signatures[0].SubgraphIndex() if signatures else 0


def _flags(job: Job, by: BenchmarkModel) -> dict[str, str]:
    asked: Protocol = job.protocol
    flags = {
        f"use_{by.accelerator}": "true",
        "num_threads": str(asked.threads),
        "result_file_path": _RESULT,
        "export_model_runtime_info": "true",
        "model_runtime_info_output_file": _DELEGATION,
    }
    if job.memory:
        return flags | {
            "num_runs": str(_MEMORY_RUNS),
            "min_secs": "0",
            "warmup_runs": "1",
            "warmup_min_secs": "0",
            "report_peak_memory_footprint": "true",
        }
    # It ends after so many seconds whatever it still lacks, so that a protocol of which all runs
    # are the least has no such end.
    most = asked.seconds if asked.minimum < asked.runs else _LONGEST
    return flags | {
        "num_runs": str(asked.runs),
        "min_secs": f"{asked.minimum_seconds:g}",
        "max_secs": f"{max(most, asked.minimum_seconds):g}",
        # As many as ours are at least; it does not look whether they have settled.
        "warmup_runs": str(2 * asked.warmup),
    }


def _record(job: Job, folder: Path, graph: int) -> Record:
    with reading(f"what {NAME} wrote of {job.model.name}", _HINT):
        result = message(RESULT).FromString(_content(folder / _RESULT))
        details = message(DETAILS).FromString(_content(folder / _DELEGATION))
        # In their order; a file that tells of none is empty.
        operators = _operators(details.subgraphs[graph]) if details.subgraphs else []
        if not result.misc_metrics.num_runs:
            raise UserError(f"{job.doing}: it ended well, and wrote no result", _NEWER)
        memory = result.memory_metrics
        above = memory.overall_footprint_kb
        return Record(
            cold_load_ms=result.latency_metrics.init_ms,
            warm_load_ms=None,
            samples_ms=[],
            peak_memory_mb=above * 1024 / 1e6 if memory.HasField("overall_footprint_kb") else None,
            operators=operators,
            summary=_summary(result),
        )


def _summary(result: Any) -> RunSummary:
    times, memory, runs = result.latency_metrics, result.memory_metrics, result.misc_metrics
    whole = memory.peak_mem_mb
    if not 0 <= times.median_ms < math.inf:
        raise ValueError(f"a median of {times.median_ms} ms")
    return RunSummary(
        runs=runs.num_runs,
        warmup_runs=runs.num_warmup_runs,
        first_ms=times.first_inference_ms,
        mean_ms=times.avg_ms,
        deviation_ms=times.stddev_ms,
        min_ms=times.min_ms,
        p5_ms=times.p5_ms,
        p50_ms=times.median_ms,
        p95_ms=times.p95_ms,
        max_ms=times.max_ms,
        process_memory_mb=whole * 2**20 / 1e6 if memory.HasField("peak_mem_mb") else None,
    )


def _operators(graph: Any) -> list[OperatorRow]:
    """A graph's own operators, with the delegate that took each."""
    tensors = {edge.id: edge for edge in graph.edges}
    nodes = {node.id: node for node in graph.nodes}
    rows = []
    for node in graph.nodes:
        if node.HasField("delegate_node_details"):
            continue
        where = PLAIN[0]
        if node.HasField("delegated_to_node_id"):
            where = nodes[node.delegated_to_node_id].delegate_node_details.delegate_name
        output = tensors[node.outputs[0]]
        dtype = type(output).DataType.Name(output.data_type).lower()
        rows.append(OperatorRow(output.name, node.name, dtype, None, where))
    return rows


def _content(path: Path) -> bytes:
    if path.stat().st_size > MOST:
        raise ValueError(f"{path.name} is larger than {MOST / 1e6:g} MB")
    return path.read_bytes()
