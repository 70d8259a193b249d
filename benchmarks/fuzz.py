"""What damaged or malicious input does to the readers: it may be read or told of, and nothing else.

    python -m benchmarks.fuzz                        every kind for ten minutes, about 80 in all
    python -m benchmarks.fuzz parquet npz --minutes 1

Hypothesis changes valid inputs of each kind: bytes are flipped, cut, doubled or exchanged for nasty
ones, and values of documents and files for others. An example fails where something else than the
product's own error comes out, where this process dies (then nothing is written), or where one takes
longer than 5 seconds. Rows of kinds that were not asked for stay as they are in the result file.
"""

from __future__ import annotations

import argparse
import copy
import fcntl
import itertools
import json
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as some

from benchmarks.common import RESULTS, write
from edgedistill.errors import UserError, in_short

EXAMPLES = Path(__file__).parents[1] / "examples"
TARGETS = Path(__file__).parents[1] / "targets"
SLOW = 5.0
"""Seconds."""
NASTY = [
    b"", b"\0", b"\xff\xfe", b"\x80", b"{", b"[" * 5000, b"&a [*a]", b"<<: *a", b"!!python/name:os",
    b"!!int x", b"9" * 5000, b"1e999", b"-1", b".nan", b"2001-13-45", b"18446744073709551616",
    b"../../x", b"/dev/zero", b"~nobody/x", b"\x1b[2J", b"'", b'"', b": :", b"\n- ", b"\t", b"\r\n",
    b"${HOME}", b"%s%n", "\u202e".encode(), b"null", b"true",
]  # fmt: skip
VALUES = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1.5, -0.0, float("nan"), float("inf"), "", "x",
    "../x", "/etc/passwd", "\x1b[31m", [], [1], [[]], {}, {"file": 1}, [{}],
]  # fmt: skip

Read = Callable[[bytes], object]
"""Reads one input. Raises UserError: it can't be."""


@dataclass(frozen=True)
class Kind:
    inputs: some.SearchStrategy[bytes]
    read: Read
    get_ready: Callable[[], object] = lambda: None
    """What is done before an example, out of its time."""


@dataclass
class Tally:
    """What came of a kind's examples."""

    read: int = 0
    told: int = 0
    slowest: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)
    """By the exception and where it was raised, an example of it."""

    def take(self, content: bytes, kind: Kind) -> None:
        kind.get_ready()
        started = time.monotonic()
        try:
            kind.read(content)
            self.read += 1
        except UserError:
            self.told += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._fail(f"{in_short(error)[:100]} {_place(error)}", content)
        spent = time.monotonic() - started
        self.slowest = max(self.slowest, spent)
        if spent > SLOW:
            self._fail(f"took {spent:.0f} s", content)

    def _fail(self, what: str, content: bytes) -> None:
        if what not in self.failures:
            print(f"FAILED: {what}", flush=True)
        self.failures.setdefault(what, content[:2000].decode("latin-1"))


def _place(error: BaseException) -> str:
    last, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        last = f"{Path(name).name}:{trace.tb_lineno}" if "edgedistill" in name else last
        trace = trace.tb_next
    return last


def mutated(valid: list[bytes]) -> some.SearchStrategy[bytes]:
    """A valid input after a few changes of its bytes."""

    @some.composite
    def changed(draw: Any) -> bytes:
        content = draw(some.sampled_from(valid))
        for _ in range(draw(some.integers(1, 4))):
            start = int(draw(some.floats(0, 1)) * len(content))
            end = min(len(content), start + draw(some.sampled_from([0, 1, 1, 2, 4, 8, 30, 200])))
            new = draw(
                some.one_of(
                    some.sampled_from(NASTY), some.binary(max_size=8),
                    some.just(content[start:end] * 2), some.just(content[end:start]),
                )
            )  # fmt: skip
            content = content[:start] + new + content[end:]
        return content

    return changed()


def other_values(valid: Any) -> some.SearchStrategy[bytes]:
    """A JSON document with a few of its values exchanged for others, or taken out."""

    @some.composite
    def changed(draw: Any) -> bytes:
        document = json.loads(json.dumps(valid))
        for _ in range(draw(some.integers(1, 3))):
            holder, key = draw(some.sampled_from(_places(document)))
            if isinstance(holder, dict) and draw(some.integers(0, 4)) == 0:
                del holder[key]
            else:
                holder[key] = copy.deepcopy(draw(some.sampled_from(VALUES)))
        return json.dumps(document).encode()

    return changed()


def _places(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    here = [(value, key) for key in keys]
    return here + [place for _, key in here for place in _places(value[key])]


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


def _labelled() -> tuple[Any, Any]:
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    return images, np.arange(12) % 3


def _read_data(path: Path) -> object:
    from edgedistill.data.images import read_images

    return read_images(path, ("a", "b", "c"), 8, 3)


def parquet(folder: Path) -> Kind:
    import io

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
    from edgedistill.distill.teachers import Question
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
    question = Question(np.arange(1), np.arange(1), False, np.zeros((1, 3, 4, 4), np.float32))

    def read(content: bytes) -> None:
        answer["content"] = content
        list(EndpointTeacher(config, ("a", "b", "c")).ask(question))

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
    """Files of a runtime, read as `edgedistill benchmark FILE` first does, in another process."""

    def kind(folder: Path) -> Kind:
        from benchmarks.fuzz_models import edited
        from edgedistill.apart import Apart

        valid = [path.read_bytes() for path in sorted(compiled(folder).glob(f"*{suffix}"))]
        apart = Apart("export it again")

        def read(path: Path) -> object:
            return apart.call(str(path), SLOW, _try_model, path)

        changed = some.one_of(mutated(valid), edited(suffix, valid))
        # A process that died is started anew, which takes seconds on a busy machine.
        return Kind(changed, written(folder, f"model{suffix}", read), lambda: start(apart))

    return kind


def start(apart: Any) -> None:
    apart.call("the process", None, _import_runtimes)


def _import_runtimes() -> None:
    from edgedistill.runtimes import RUNTIMES

    for name in ("litert", "onnxruntime"):
        RUNTIMES[name].prepare()


def _try_model(path: Path) -> None:
    from edgedistill.runtimes import runtime_of

    loaded = runtime_of(path).load(path)
    shape = [size or 1 for size in loaded.input.shape]
    if len(shape) == 4 and np.prod(shape) < 10**6:
        with _told(path):
            loaded.run(np.zeros(shape, loaded.input.dtype))
            loaded.operators()


def _told(path: Path) -> Any:
    """As the measuring process has it."""
    from edgedistill.errors import reading

    return reading(str(path), "export it again")


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
    "parquet": parquet,
    "npz": npz,
    "http": http,
    "tflite": model_file(".tflite"),
    "onnx": model_file(".onnx"),
}


def fuzz(name: str, minutes: float, seed: int) -> dict[str, Any]:
    """A row of the result."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        kind = KINDS[name](Path(folder))
        started = time.monotonic()
        for turn in itertools.count():
            if time.monotonic() - started > 60 * minutes:
                break
            _some_examples(tally, kind, random.Random(f"{seed} {turn}"))
        seconds = time.monotonic() - started
    row = {
        "name": name, "examples": tally.read + tally.told, "read": tally.read, "told": tally.told,
        "failed": len(tally.failures), "seconds": round(seconds), "failures": tally.failures,
        "slowest_s": round(tally.slowest, 2),
    }  # fmt: skip
    print(json.dumps({key: row[key] for key in row if key != "failures"}), flush=True)
    return row


def _some_examples(tally: Tally, kind: Kind, chance: random.Random) -> None:
    @hypothesis.settings(
        max_examples=200,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.seed(chance.randrange(2**32))
    @hypothesis.given(content=kind.inputs)
    def run(content: bytes) -> None:
        tally.take(content, kind)

    run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    for name in wanted.kinds or KINDS:
        row = fuzz(name, wanted.minutes, wanted.seed)
        _merge(row, wanted.seed)


def _merge(row: dict[str, Any], seed: int) -> None:
    path = RESULTS / "fuzz.json"
    held = os.open(RESULTS, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)  # several kinds may be at work
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = {each["name"]: each for each in before} | {row["name"]: row}
    write("fuzz", [rows[name] for name in KINDS if name in rows], seeds=[seed])
    os.close(held)


if __name__ == "__main__":
    main()
