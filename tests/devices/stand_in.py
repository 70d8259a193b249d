"""A stand-in for LiteRT's `benchmark_model`, as no released one comes in a package.

It takes the flags of that program, warns of those that it does not know and goes on, and writes the
same two files: the runtime info as LiteRT's own message has it, filled in from what the interpreter
here delegates; and a result whose bytes are put together by hand, as benchmark_result.proto numbers
its fields. Its times are made up.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const unsigned char details[] = {@DETAILS@};
static const char *known[] = {
  "graph", "num_threads", "num_runs", "min_secs", "max_secs", "warmup_runs", "warmup_min_secs",
  "signature_to_run_for", "use_xnnpack", "use_gpu", "report_peak_memory_footprint",
#ifndef OLD
  "result_file_path",
#endif
#ifndef TELLS_NO_DELEGATION
  "export_model_runtime_info", "model_runtime_info_output_file",
#endif
};
enum { KNOWN = sizeof known / sizeof *known };
static const char *given[KNOWN];

static const char *flag(const char *name) {
  for (int i = 0; i < KNOWN; i++)
    if (!strcmp(known[i], name)) return given[i] ? given[i] : "";
  return "";
}

static unsigned char result[256], *end = result;
static void varint(int number, unsigned value) {
  *end++ = (unsigned char)(number << 3);
  for (; value > 127; value >>= 7) *end++ = (unsigned char)(value | 128);
  *end++ = (unsigned char)value;
}
static void real(int number, float value) {
  *end++ = (unsigned char)(number << 3 | 5);
  memcpy(end, &value, 4);
  end += 4;
}
static unsigned char *begin(int number) {
  *end++ = (unsigned char)(number << 3 | 2);
  return end++;
}
static void write_to(const char *path, const void *bytes, size_t size) {
  FILE *file = *path ? fopen(path, "wb") : NULL;
  if (!file) return;
  fwrite(bytes, 1, size, file);
  fclose(file);
}
static int failed(const char *why) {
  fprintf(stderr, "ERROR: %s\nERROR: Benchmarking failed.\n", why);
  return 1;
}

int main(int count, char **words) {
  for (int w = 1; w < count; w++) {
    int found = 0;
    for (int i = 0; i < KNOWN; i++) {
      size_t length = strlen(known[i]);
      if (!strncmp(words[w], "--", 2) && !strncmp(words[w] + 2, known[i], length) &&
          words[w][2 + length] == '=') {
        given[i] = words[w] + 3 + length;
        found = 1;
      }
    }
    if (!found) fprintf(stderr, "WARN: Unconsumed cmdline flags: %s\n", words[w]);
  }
#ifdef HANGS
  fprintf(stderr, "INFO: Loaded model\n");
  execlp("sleep", "sleep", "1234.5", NULL);
#endif
#ifdef CRASHES
  fprintf(stderr, "INFO: Loaded model\n");
  abort();
#endif
  char head[8] = {0};
  FILE *graph = fopen(flag("graph"), "rb");
  if (!graph || fread(head, 1, 8, graph) != 8 || memcmp(head + 4, "TFL3", 4))
    return failed("Failed to load model");
  if (!strcmp(flag("export_model_runtime_info"), "true"))
    write_to(flag("model_runtime_info_output_file"), details, sizeof details);

  unsigned char *size = begin(2);
  for (int number = 1; number <= 10; number++) real(number, (float)number / 4);
  *size = (unsigned char)(end - size - 1);
  size = begin(3);
  varint(1, 1000), varint(2, 4000);
  if (!strcmp(flag("report_peak_memory_footprint"), "true")) real(3, 32);
  *size = (unsigned char)(end - size - 1);
  size = begin(4);
  varint(2, (unsigned)atoi(flag("num_runs"))), varint(3, (unsigned)atoi(flag("warmup_runs")));
  *size = (unsigned char)(end - size - 1);
#ifdef DAMAGES
  result[1] = 127;
#endif
  write_to(flag("result_file_path"), result, (size_t)(end - result));
  return 0;
}
"""


@functools.cache
def runtime_info(model: Path) -> bytes:
    """What `--model_runtime_info_output_file` has of a file whose operators XNNPACK takes here."""
    from edgedistill.devices.messages import DETAILS, message
    from edgedistill.runtimes.litert import _delegated, interpreter

    loaded = interpreter(model.read_bytes(), 1, optimize=True)
    operators = loaded._get_ops_details()
    taken = _delegated(operators)
    details, edge = message(DETAILS)(), message("tflite.profiling.Edge")
    graph = details.subgraphs.add(subgraph_id=0, name="main", subgraph_type=1)
    for tensor in loaded.get_tensor_details():
        kind = getattr(edge, tensor["dtype"].__name__.upper())
        graph.edges.add(id=tensor["index"], name=tensor["name"], data_type=kind)
    (delegate,) = (each["index"] for each in operators if each["op_name"] == "DELEGATE")
    for each in operators:
        node = graph.nodes.add(id=each["index"], name=each["op_name"])
        node.outputs.extend(map(int, each["outputs"]))
        if each["index"] == delegate:
            node.name = "TfLiteXNNPackDelegate"
            node.delegate_node_details.delegate_name = "TfLiteXNNPackDelegate"
            node.delegate_node_details.tflite_node_ids_replaced.extend(sorted(taken))
        elif each["index"] in taken:
            node.delegated_to_node_id = delegate
    return bytes(details.SerializeToString())


def tflite(path: Path) -> Path:
    """A file of three operators, of which XNNPACK has no kernel for the last."""
    from ai_edge_litert import schema_py_generated as schema

    from edgedistill.runtimes.tflite.file import File

    file = File.__new__(File)
    file.model, file.graph = schema.ModelT(), schema.SubGraphT()
    file.model.version, file.model.subgraphs = 3, [file.graph]
    file.model.operatorCodes, file.model.buffers = [], [schema.BufferT()]
    file.graph.tensors = []
    ends = [file.add_tensor((1, 4)) for _ in range(4)]
    file.graph.inputs, file.graph.outputs = ends[:1], ends[-1:]
    file.graph.operators = [
        file.new_operator(name, [ends[place]], [ends[place + 1]])
        for place, name in enumerate(("ABS", "NEG", "ZEROS_LIKE"))
    ]
    path.write_bytes(file.pack())
    return path


def built(folder: Path, model: Path, *modes: str, cc: str = "cc") -> Path:
    """The program in a folder, which tells of a .tflite file what LiteRT does with it here."""
    if shutil.which(cc) is None:
        pytest.skip(f"{cc} is not here")
    source = folder / "stand_in.c"
    source.write_text(SOURCE.replace("@DETAILS@", ",".join(map(str, runtime_info(model)))))
    path = folder / "a benchmark_model"
    static = ["-static"] if cc != "cc" else []
    flags = ["-Wall", "-Wextra", "-Werror", *static, *(f"-D{mode}" for mode in modes)]
    subprocess.run([cc, *flags, str(source), "-o", str(path)], check=True, timeout=60)
    path.chmod(0o600)
    return path
