"""The kinds of input that are fuzzed: valid ones, how they are changed, and what reads them."""

from __future__ import annotations

import io
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as some

from benchmarks.fuzz_changes import mutated, other_values
from edgedistill.apart import Apart
from edgedistill.errors import UserError, reading

SLOW = 5.0
"""Seconds that an example may take."""
EXAMPLES = Path(__file__).parents[1] / "examples"
TARGETS = Path(__file__).parents[1] / "targets"

Read = Callable[[bytes], object]
"""Reads one input. Raises UserError: it can't be."""


@dataclass(frozen=True)
class Kind:
    inputs: some.SearchStrategy[bytes]
    read: Read
    get_ready: Callable[[], object] = lambda: None
    """What is done before an example, out of its time."""


def written(folder: Path, name: str, read: Callable[[Path], object]) -> Read:
    """`read` of a file that holds the input."""
    path = folder / name

    def through_a_file(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return through_a_file


def recipes(folder: Path) -> Kind:
    from edgedistill.recipe import load_recipe

    texts = [path.read_bytes() for path in sorted(EXAMPLES.glob("*.yaml"))]
    return Kind(mutated(texts), written(folder, "recipe.yaml", load_recipe))


def targets(folder: Path) -> Kind:
    from edgedistill.target import load_target

    texts = [path.read_bytes() for path in sorted(TARGETS.glob("*.yaml"))]
    return Kind(mutated(texts), written(folder, "t.yaml", lambda path: load_target(str(path))))


def manifests(folder: Path) -> Kind:
    import edgedistill
    from edgedistill.report.audit import tables

    bundle = compiled(folder)
    valid = (bundle / "edgedistill.json").read_bytes()

    def read(path: Path) -> None:
        found = edgedistill.Bundle.load(path.parent)
        found.predict(np.zeros((8, 8), np.uint8))
        found.golden(), found.report, tables(edgedistill.audit(found))
        with suppress(UserError):  # it opens no data of the bundle's
            edgedistill.evaluate(found)

    changed = some.one_of(other_values(json.loads(valid)), mutated([valid]))
    return Kind(changed, written(bundle, "edgedistill.json", read))


def recognizers(folder: Path) -> Kind:
    import edgedistill
    from benchmarks.fuzz_recognizer import recognizer

    bundle = recognizer(folder)
    valid = (bundle / "edgedistill.json").read_bytes()
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 10_000)

    def read(path: Path) -> None:
        found = edgedistill.Bundle.load(path.parent)
        _ = found.ok, found.digest, found.files
        found.transcribe(sound)

    changed = some.one_of(other_values(json.loads(valid)), mutated([valid]))
    return Kind(changed, written(bundle, "edgedistill.json", read))


def vocabularies(folder: Path) -> Kind:
    from edgedistill.transcribing.vocabulary import Vocabulary

    path = folder / "valid.json"
    Vocabulary((*(bytes([byte]) for byte in range(256)), b""), {"<|endoftext|>": 256}).write(path)

    def read(path: Path) -> None:
        found = Vocabulary.read(path)
        found.text(range(len(found.pieces)))

    return Kind(mutated([path.read_bytes()]), written(folder, "vocabulary.json", read))


def _labelled() -> tuple[Any, Any]:
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    return images, np.arange(12) % 3


def _read_data(path: Path) -> object:
    from edgedistill.data import Form, read_images

    return read_images(path, ("a", "b", "c"), Form((8, 8), 3))


def parquet(folder: Path) -> Kind:
    import pyarrow
    import pyarrow.parquet
    from PIL import Image

    images, labels = _labelled()
    encoded = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        encoded.append({"bytes": stream.getvalue(), "path": None})
    names = {"info": {"features": {"label": {"names": ["a", "b", "c"], "_type": "ClassLabel"}}}}
    table = pyarrow.table({"img": encoded, "label": labels})
    table = table.replace_schema_metadata({"huggingface": json.dumps(names)})
    valid = []
    for compression in ("none", "snappy", "zstd"):
        path = folder / f"{compression}.parquet"
        pyarrow.parquet.write_table(table, path, compression=compression, row_group_size=5)
        valid.append(path.read_bytes())
    return Kind(mutated(valid), written(folder, "data.parquet", _read_data))


def npz(folder: Path) -> Kind:
    images, labels = _labelled()
    valid = []
    for save in (np.savez, np.savez_compressed):
        save(folder / "valid.npz", images=images, labels=labels)
        valid.append((folder / "valid.npz").read_bytes())
    return Kind(mutated(valid), written(folder, "data.npz", _read_data))


def http(folder: Path) -> Kind:
    from edgedistill.distill.teachers import TeacherBatch
    from edgedistill.distill.teachers.http import EndpointTeacher
    from edgedistill.recipe import HttpTeacher

    body = b'{"predictions": [{"a": 0.2, "b": 0.3, "c": 0.5}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n31\r\n" + body + b"\r\n0\r\n\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    busy = b"HTTP/1.1 429 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    valid = [head + length + body, chunked, busy, head + b"Content-Encoding: gzip\r\n" + length]
    answer, port = _server()
    config = HttpTeacher(
        family="http", url=f"http://127.0.0.1:{port}/", at="/predictions/0", timeout=2, retries=0
    )
    batch = TeacherBatch(np.arange(1), np.arange(1), False, np.zeros((1, 3, 4, 4), np.float32))

    def read(content: bytes) -> None:
        answer["content"] = content
        list(EndpointTeacher(config, ("a", "b", "c")).predict(batch))

    return Kind(mutated(valid), read)


def _server() -> tuple[dict[str, bytes], int]:
    """A server that answers every request with the same bytes, and hangs up."""
    answer = {"content": b""}
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(1)
                try:
                    connection.recv(1 << 16)
                    connection.sendall(answer["content"])
                except OSError:
                    continue

    threading.Thread(target=serve, daemon=True).start()
    return answer, listener.getsockname()[1]


def model_file(suffix: str) -> Callable[[Path], Kind]:
    """Files of a runtime, opened and run in another process, as `benchmark FILE` does."""

    def kind(folder: Path) -> Kind:
        from benchmarks.fuzz_models import edited
        from edgedistill.bundle.measure import patience

        valid = [path.read_bytes() for path in sorted(compiled(folder).glob(f"*{suffix}"))]
        apart = Apart("export it again")

        def read(path: Path) -> None:
            apart.call(str(path), patience(path), _open, path)
            # A model may be slow; what is measured too long is ended, and that told.
            apart.call(str(path), 0.1 * SLOW, _run, path)

        changed = some.one_of(mutated(valid), edited(suffix, valid))
        # A process that died is started anew, which takes seconds on a busy machine.
        return Kind(changed, written(folder, f"model{suffix}", read), lambda: start(apart))

    return kind


def start(apart: Apart) -> None:
    apart.call("the process", None, _import_runtimes)


def _import_runtimes() -> None:
    from edgedistill.runtimes import RUNTIMES

    for name in ("litert", "onnxruntime"):
        RUNTIMES[name].prepare()


_loaded: Any = None
"""In that process: the file that was opened last."""


def _open(path: Path) -> None:
    global _loaded
    from edgedistill.runtimes import runtime_of

    _loaded = runtime_of(path).load(path)


def _run(path: Path) -> None:
    taken = _loaded.signature.inputs
    if all(len(each.shape) == 4 and np.prod(each.of_batch(1)) < 10**6 for each in taken):
        with reading(str(path), "export it again"):
            _loaded.run({each.name: np.zeros(each.of_batch(1), each.dtype) for each in taken})
            _loaded.operators()


def compiled(folder: Path) -> Path:
    """A small bundle of LiteRT and ONNX files."""
    import edgedistill

    net = {"family": "resnet_cifar", "depth": 8, "widths": [8, 8, 8], "shortcut": "conv"}
    short = {"epochs": 1, "batch_size": 64}
    recipe = {
        "name": "mini", "data": {"source": "digits", "image_size": 8, "limit": 200},
        "teacher": net, "student": net,
        "stages": {"teacher": {"train": short}, "distill": short, "quantize": short},
    }  # fmt: skip
    target = edgedistill.Target(
        name="mini", description="", isa="x86_64", runtimes=("litert", "onnxruntime"),
        precisions=("fp32", "int8"),
    )  # fmt: skip
    cache = Path(tempfile.gettempdir()) / f"fuzz-cache-{os.getuid()}"
    edgedistill.compile(recipe, target, out=folder / "bundle", cache=cache)
    return folder / "bundle"


KINDS: dict[str, Callable[[Path], Kind]] = {
    "recipes": recipes,
    "targets": targets,
    "manifests": manifests,
    "recognizers": recognizers,
    "vocabularies": vocabularies,
    "parquet": parquet,
    "npz": npz,
    "http": http,
    "tflite": model_file(".tflite"),
    "onnx": model_file(".onnx"),
}
