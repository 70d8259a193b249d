"""Teachers of every kind, asked about windows of raw samples in place of pictures."""

from __future__ import annotations

import base64
import io
import json
import sys
import wave
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ai_edge_litert import schema_py_generated as schema
from asking import CLASSES, answers
from hearing import LENGTH, RATE, heard, hearing, mapping
from onnx import TensorProto, helper, numpy_helper

from edgedistill.artifact import Artifact
from edgedistill.data import View
from edgedistill.data.splits import ArraySplit
from edgedistill.distill.teachers import TeacherBatch, identity, open_body, open_teacher
from edgedistill.distill.teachers import onnx as onnx_teacher
from edgedistill.distill.teachers import tflite as tflite_teacher
from edgedistill.distill.teachers.fitted import fit
from edgedistill.errors import UserError
from edgedistill.recipe import (
    HttpTeacher,
    OnnxTeacher,
    PythonTeacher,
    SoundAugment,
    StoredTeacher,
    TfliteTeacher,
)
from edgedistill.runtimes.tflite.file import File


def onnx_file(path: Path, shape: list[Any], dtype: int = TensorProto.FLOAT) -> OnnxTeacher:
    nodes = [
        helper.make_node("Cast", ["wave"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["floats", "weights"], ["answer"]),
    ]
    info, last = helper.make_tensor_value_info, shape[-1]
    graph = helper.make_graph(
        nodes, "linear", [info("wave", dtype, shape)],
        [info("answer", TensorProto.FLOAT, [shape[0], 3])],
        [numpy_helper.from_array(mapping(last if isinstance(last, int) else LENGTH), "weights")],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return OnnxTeacher(family="onnx", path=path)


def tflite_file(path: Path, integers: float | None = None) -> TfliteTeacher:
    """With `integers`, the input is int16 of that scale."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.operatorCodes, model.buffers = 3, [], [schema.BufferT()]
    graph.tensors, graph.operators, model.subgraphs = [], [], [graph]
    file = File.__new__(File)
    file.model, file.graph = model, graph
    given, scores = file.add_tensor((1, LENGTH)), file.add_tensor((1, 3))
    held = file.add_constant(np.ascontiguousarray(mapping().T), scores)
    multiply = file.new_operator("FULLY_CONNECTED", [given, held, -1], [scores])
    multiply.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    multiply.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators, graph.inputs, graph.outputs = [multiply], [given], [scores]
    if integers:
        outer = file.add_tensor((1, LENGTH))
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [integers], [0]
        file.tensor(outer).type = schema.TensorType.INT16
        file.tensor(outer).quantization = quantization
        graph.inputs = [outer]
        graph.operators.insert(0, file.new_operator("DEQUANTIZE", [outer], [given]))
    path.write_bytes(file.pack())
    return TfliteTeacher(family="tflite", path=path)


@pytest.mark.parametrize("shape", [["batch", LENGTH], [2, LENGTH], ["batch", "length"]])
def test_an_onnx_file_takes_windows(tmp_path: Path, shape: list[Any]) -> None:
    asked = heard()
    found = answers(onnx_teacher.open_here(onnx_file(tmp_path / "a.onnx", shape), hearing()), asked)
    assert np.allclose(found, asked.sound @ mapping(), atol=1e-4)


@pytest.mark.parametrize("scale", [None, 1 / 32768])
def test_a_tflite_file_takes_windows(tmp_path: Path, scale: float | None) -> None:
    asked = heard()
    config = tflite_file(tmp_path / "a.tflite", scale)
    found = answers(tflite_teacher.open_here(config, hearing()), asked)
    assert np.allclose(found, asked.sound @ mapping(), atol=1e-3)


def test_a_file_may_take_one_window_and_give_frames(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["wave", "parts"], ["frames"]),
        helper.make_node("MatMul", ["frames", "weights"], ["answer"]),
    ]
    info, held = helper.make_tensor_value_info, numpy_helper.from_array
    graph = helper.make_graph(
        nodes, "frames", [info("wave", TensorProto.FLOAT, [LENGTH])],
        [info("answer", TensorProto.FLOAT, [4, 3])],
        [held(mapping(200), "weights"), held(np.array([4, 200]), "parts")],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    path, asked = tmp_path / "a.onnx", heard(3)
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    opened = onnx_teacher.open_here(OnnxTeacher(family="onnx", path=path), hearing())
    expected = (asked.sound.reshape(3, 4, 200) @ mapping(200)).mean(axis=1)
    assert np.allclose(answers(opened, asked), expected, atol=1e-4)


def unheard(done: float, total: float, note: str) -> None:
    assert 0 < done <= total


def fitted(folder: Path, classes: tuple[str, ...], labels: Any, asked: TeacherBatch) -> Any:
    """A file of three numbers for a window, with a layer from them to the classes."""
    config = onnx_file(folder / "a.onnx", ["b", LENGTH]).model_copy(update={"outputs": "embedding"})
    context = replace(hearing(classes=classes), artifact=folder)
    split = ArraySplit({"samples": asked.sound}, labels)
    fit(open_body(config, context), split, split, View(SoundAugment(), 0), context, unheard)
    return config, context


@pytest.mark.parametrize("classes", [("no", "yes"), CLASSES])
def test_a_layer_from_embeddings_to_the_classes_is_fitted(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    asked = heard(90)
    labels = (asked.sound @ mapping())[:, : len(classes)].argmax(axis=1)
    config, context = fitted(tmp_path, classes, labels, asked)
    found = answers(open_teacher(config, context), asked)
    assert found.shape == (90, len(classes))
    assert (found.argmax(axis=1) == labels).mean() > 0.9
    artifact = Artifact(tmp_path, "teacher", "its bytes", {})
    assert identity(config, "its file", artifact) == "its bytes", "what was learned counts too"


def test_a_layer_that_is_damaged_is_told(tmp_path: Path) -> None:
    asked = heard(20)
    config, context = fitted(tmp_path, ("no", "yes"), np.arange(20) % 2, asked)
    (tmp_path / "head.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"head\.npz"):
        open_teacher(config, context)


def test_a_file_is_asked_in_a_process_of_its_own(tmp_path: Path) -> None:
    asked = heard()
    found = answers(open_teacher(onnx_file(tmp_path / "a.onnx", ["b", LENGTH]), hearing()), asked)
    assert np.allclose(found, asked.sound @ mapping(), atol=1e-4)


def refusal(ask: Any) -> UserError:
    with pytest.raises(UserError) as raised:
        ask()
    return raised.value


def test_a_file_of_other_windows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    told = refusal(lambda: onnx_teacher.open_here(onnx_file(path, ["b", 4000]), hearing()))
    assert told.message == f"{path}: takes windows of 4000 samples, the data's have {LENGTH}"
    assert told.hint.startswith("at 8000 Hz that is `data.sound.seconds: 0.5`")
    told = refusal(lambda: onnx_teacher.open_here(onnx_file(path, ["b", 1, 80]), hearing()))
    assert told.message == f"{path}: its input `wave` has shape [None, 1, 80]"
    for dtype, name in ((TensorProto.UINT8, "uint8"), (TensorProto.INT64, "tensor(int64)")):
        config = onnx_file(path, ["b", LENGTH], dtype)
        told = refusal(lambda config=config: onnx_teacher.open_here(config, hearing()))
        assert told.message == f"{path}: its input `wave` is {name}"


def test_a_function_is_given_floats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "def loud(samples):\n    assert samples.dtype == 'float32'\n    return samples[:, :3]\n"
    (tmp_path / "loud_teacher.py").write_text(code + "def bad(samples):\n    return samples.red\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "loud_teacher", raising=False)
    asked = heard(4)

    def teacher(name: str) -> Any:
        return open_teacher(PythonTeacher(family="python", function=name), hearing())

    assert np.array_equal(answers(teacher("loud_teacher:loud"), asked), asked.sound[:, :3])
    told = refusal(lambda: answers(teacher("loud_teacher:bad"), asked))
    assert told.hint == (
        "it is called with float32 (batch, length), here (4, 800), and gives an array (4, 3)"
    )


def test_a_function_may_give_embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from hearing import mapping\ndef embed(samples):\n    return samples @ mapping()\n"
    (tmp_path / "telling_teacher.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "telling_teacher", raising=False)
    config = PythonTeacher(family="python", function="telling_teacher:embed", outputs="embedding")
    asked, context = heard(90), replace(hearing(), artifact=tmp_path)
    labels = (asked.sound @ mapping()).argmax(axis=1)
    split = ArraySplit({"samples": asked.sound}, labels)
    fit(open_body(config, context), split, split, View(SoundAugment(), 0), context, unheard)
    found = answers(open_teacher(config, context), asked)
    assert (found.argmax(axis=1) == labels).mean() > 0.9


def test_stored_answers_are_found_by_the_windows_numbers(tmp_path: Path) -> None:
    path, asked = tmp_path / "a.parquet", heard(4)
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    order = [2, 0, 3, 1]
    table = {"sample": asked.samples[order], "logits": list(logits[order])}
    pq.write_table(pa.table(table), path)
    teacher = open_teacher(StoredTeacher(family="stored", path=path), hearing())
    assert np.array_equal(answers(teacher, asked), logits)


class Hearing(BaseHTTPRequestHandler):
    """Answers with three samples as logits, and counts."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Any = self.server
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] == "application/json":
            content = base64.b64decode(json.loads(content)["audio"], validate=True)
        else:
            assert self.headers["Content-Type"] == "audio/wav"
        with wave.open(io.BytesIO(content)) as file:
            server.forms.append(file.getparams()[:4])
            samples = np.frombuffer(file.readframes(LENGTH), "<i2")
        found = json.dumps((samples[:3] / 32768).tolist()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, format: str, *values: Any) -> None: ...


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Hearing) as server:
        server.forms = []  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("send", ["json", "wav"])
def test_an_endpoint_is_sent_a_wav(endpoint: Any, tmp_path: Path, send: str) -> None:
    asked = heard(6)
    config = HttpTeacher.model_validate(
        {"family": "http", "url": f"http://127.0.0.1:{endpoint.server_port}/", "send": send,
         "answer": "logits"}
    )  # fmt: skip
    context = replace(hearing(), answers=tmp_path)
    for _ in range(2):
        assert np.allclose(answers(open_teacher(config, context), asked), asked.sound[:, :3])
    assert endpoint.forms == [(1, 2, RATE, LENGTH)] * 6, "none is paid for twice"
    again = replace(context, rate=2 * RATE)
    answers(open_teacher(config, again), asked)
    assert endpoint.forms[6:] == [(1, 2, 2 * RATE, LENGTH)] * 6, "at another rate it is other sound"


def test_sound_that_is_too_loud_is_clipped_as_files_do() -> None:
    samples = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]], np.float32)
    batch = TeacherBatch(np.arange(1), np.arange(1), False, {"samples": samples})
    assert batch.integers.tolist() == [[-32768, -32768, 0, 32767, 32767]]


def test_pictures_and_sound_are_sent_in_their_own_forms() -> None:
    config = HttpTeacher(family="http", url="http://127.0.0.1:9/", send="png")
    told = refusal(lambda: open_teacher(config, hearing()))
    assert told.message == "teacher: `send: png`, but the data's samples are sound"
    assert told.hint == "set `send: wav`, or `json`"


def test_answers_for_other_classes_are_refused(tmp_path: Path) -> None:
    teacher = onnx_teacher.open_here(
        onnx_file(tmp_path / "a.onnx", ["b", LENGTH]), hearing(classes=("yes", "no"))
    )
    told = refusal(lambda: answers(teacher, heard(4)))
    assert "shape (4, 3) for 4 samples; the data has 2 classes (yes, no)" in told.message
