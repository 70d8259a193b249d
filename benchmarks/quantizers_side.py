"""Each quantizer's side of `benchmarks.peers_quantization`, in the environment that has it: files
in int8 of one float student, by the settings that it recommends and those that are known to help.

FOLDER has `student.onnx`, `student.tflite`, the torch model `student/`, and `calibration.npz` with
`images` (images, 3, 32, 32), float32 in 0..1. What comes is told in FOLDER/PEER/made.json.

    python -m benchmarks.quantizers_side PEER FOLDER
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import whole_mb
from edgedistill.artifact import write_json
from edgedistill.devices.machine import machine

Write = Callable[[Path], object]
NEEDS = {
    "litert": ("ai-edge-quantizer",),
    "onnxruntime-u8s8": ("onnxruntime", "onnx"),
    "onnxruntime-s8s8": ("onnxruntime", "onnx"),
    "nncf": ("nncf", "openvino"),
    "olive": ("olive-ai", "onnxruntime"),
    "modelopt": (
        "nvidia-modelopt", "onnx", "onnxruntime-gpu", "cupy-cuda12x", "lief", "onnxslim",
        "onnx-graphsurgeon", "onnxconverter-common", "polygraphy", "cppimport", "onnxscript",
    ),
    "fasterai": ("fasterai", "torchao", "onnx", "onnxscript", "onnxruntime"),
}  # fmt: skip
"""Distributions that a quantizer is made of; what they require counts too."""


def calibration(folder: Path) -> Any:
    """Images (images, 3, 32, 32), float32 in 0..1."""
    return np.load(folder / "calibration.npz")["images"]


def litert(folder: Path) -> Iterator[tuple[str, Write]]:
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, quantizer
    from ai_edge_quantizer import recipe as recipes
    from ai_edge_quantizer.utils import qsv_utils

    source = str(folder / "student.tflite")
    runner = Interpreter(source)
    key = next(iter(runner.get_signature_list()))
    (argument,) = runner.get_signature_list()[key]["inputs"]
    images = np.ascontiguousarray(calibration(folder).transpose(0, 2, 3, 1))

    seen = {key: [{argument: each[None]} for each in images]}

    def averaged(work: Any) -> Any:
        return work.calibrate(seen)

    def widest(work: Any) -> Any:
        # Its quantizer does not hand through how ranges are updated; its calibrator takes it.
        ranges = calibrator.Calibrator(source, qsv_update_func=qsv_utils.min_max_update)
        ranges.calibrate(seen, work._recipe_manager)
        return ranges.get_model_qsvs()

    def write(calibrated: Callable[[Any], Any]) -> Write:
        def static(path: Path) -> None:
            work = quantizer.Quantizer(source, recipes.static_wi8_ai8())
            work.quantize(calibrated(work)).export_model(str(path), overwrite=True)

        return static

    yield "static_wi8_ai8.tflite", write(averaged)
    yield "static_wi8_ai8-min_max.tflite", write(widest)


def onnxruntime(folder: Path, signed: bool) -> Iterator[tuple[str, Write]]:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    images = calibration(folder)
    ready = folder / "preprocessed.onnx"
    quant_pre_process(str(folder / "student.onnx"), str(ready))

    class Reader(CalibrationDataReader):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            self._images = iter(images)

        def get_next(self) -> Any:
            image = next(self._images, None)
            return None if image is None else {"pixels": image[None]}

    # Its page: reduced range where the processor has no VNNI and activations are unsigned.
    reduce = not signed and "avx512_vnni" not in machine()["flags"]

    def write(method: str, per_channel: bool) -> Write:
        return lambda path: quantize_static(
            str(ready), str(path), Reader(), quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8, per_channel=per_channel, reduce_range=reduce,
            calibrate_method=CalibrationMethod[method],
        )  # fmt: skip

    for method in ("MinMax", "Entropy", "Percentile"):
        yield f"{method}-per-channel.onnx", write(method, True)
    yield "MinMax-per-tensor.onnx", write("MinMax", False)


def nncf(folder: Path) -> Iterator[tuple[str, Write]]:
    import nncf as tool
    import openvino

    images = calibration(folder)

    def write(preset: str, fast: bool) -> Write:
        def made(path: Path) -> None:
            model = openvino.Core().read_model(folder / "student.onnx")
            model.reshape([1, *images.shape[1:]])
            quantized = tool.quantize(
                model, tool.Dataset(list(images[:, None])), subset_size=len(images),
                preset=tool.QuantizationPreset(preset), fast_bias_correction=fast,
                target_device=tool.TargetDevice.CPU,
            )  # fmt: skip
            openvino.save_model(quantized, path, compress_to_fp16=False)

        return made

    for preset in ("performance", "mixed"):
        yield f"{preset}.xml", write(preset, True)
        yield f"{preset}-slow-bias-correction.xml", write(preset, False)


def olive(folder: Path) -> Iterator[tuple[str, Write]]:
    import torch
    from olive.data.config import DataComponentConfig, DataConfig
    from olive.data.registry import Registry
    from olive.model import ONNXModelHandler
    from olive.passes.olive_pass import create_pass_from_dict
    from olive.passes.onnx.quantization import OnnxStaticQuantization

    @Registry.register_dataset("calibration_images")  # type: ignore[untyped-decorator,unused-ignore]
    def _dataset(**_: Any) -> list[Any]:
        return [({"pixels": torch.from_numpy(each)}, 0) for each in calibration(folder)]

    data = DataConfig(
        name="calibration", load_dataset_config=DataComponentConfig(type="calibration_images"),
        pre_process_data_config=DataComponentConfig(type="skip_pre_process"),
        post_process_data_config=DataComponentConfig(type="skip_post_process"),
        dataloader_config=DataComponentConfig(
            type="default_dataloader", params={"batch_size": 1},
        ),
    )  # fmt: skip

    def write(**settings: Any) -> Write:
        def made(path: Path) -> None:
            work = create_pass_from_dict(
                OnnxStaticQuantization, {"data_config": data, **settings}, disable_search=True
            )
            work.run(ONNXModelHandler(str(folder / "student.onnx")), str(path))

        return made

    yield "defaults.onnx", write()
    for method in ("MinMax", "Entropy", "Percentile"):
        yield f"{method}-per-channel.onnx", write(per_channel=True, calibrate_method=method)
    yield "uint8.onnx", write(precision="uint8", activation_type="uint8")


def modelopt(folder: Path) -> Iterator[tuple[str, Write]]:
    from modelopt.onnx.quantization import quantize

    images = calibration(folder)

    def write(method: str) -> Write:
        return lambda path: quantize(
            str(folder / "student.onnx"), quantize_mode="int8", output_path=str(path),
            calibration_data={"pixels": images}, calibration_method=method,
            calibration_shapes="pixels:1x3x32x32", calibration_eps=["cpu"],
            high_precision_dtype="fp32", dq_only=True,  # else weights stay in float32
        )  # fmt: skip

    for method in ("entropy", "max"):
        yield f"{method}.onnx", write(method)


def fasterai(folder: Path) -> Iterator[tuple[str, Write]]:
    import torch
    from fasterai.export.all import export_onnx, export_qdq
    from fasterai.quantize.all import Quantizer

    from edgedistill.models import load

    images = [torch.from_numpy(each[None]) for each in calibration(folder)]

    def student() -> Any:
        return load(folder / "student").eval()

    def qdq(activations: str, **settings: Any) -> Write:
        def made(path: Path) -> None:
            work = Quantizer(backend="pt2e", method="static", **settings)
            quantized = work.quantize(student(), images, max_calibration_samples=len(images))
            export_qdq(quantized, images[0], path, activation_dtype=activations)

        return made

    def plain(path: Path) -> None:
        found = export_onnx(
            student(), images[0], path, quantize=True, quantize_mode="static",
            calibration_data=images, dynamic_batch=False,
        )  # fmt: skip
        Path(found).replace(path)

    for activations in ("uint8", "int8"):
        yield f"pt2e-{activations}.onnx", qdq(activations, symmetric=True)
    yield "pt2e-defaults.onnx", qdq("int8")
    yield "export_onnx-static.onnx", plain


PEERS: dict[str, Callable[[Path], Iterator[tuple[str, Write]]]] = {
    "litert": litert,
    "onnxruntime-u8s8": lambda folder: onnxruntime(folder, signed=False),
    "onnxruntime-s8s8": lambda folder: onnxruntime(folder, signed=True),
    "nncf": nncf,
    "olive": olive,
    "modelopt": modelopt,
    "fasterai": fasterai,
}


def main() -> None:
    peer, folder = sys.argv[1], Path(sys.argv[2])
    out = folder / peer
    out.mkdir(exist_ok=True)
    files: dict[str, float] = {}
    failed: dict[str, str] = {}
    name = "import"
    try:
        for name, write in PEERS[peer](folder):
            begun = time.perf_counter()
            try:
                write(out / name)
                files[name] = time.perf_counter() - begun
            except Exception as error:  # what a tool cannot do is told beside what it can
                traceback.print_exc()
                failed[name] = f"{type(error).__name__}: {error}"[:600]
    except Exception as error:
        traceback.print_exc()
        failed[name] = f"{type(error).__name__}: {error}"[:600]
    write_json(out / "made.json", {
        "seconds": files, "failed": failed, "whole_mb": whole_mb(NEEDS[peer]),
        "versions": {each: metadata.version(each) for each in NEEDS[peer][:2]},
    })  # fmt: skip


if __name__ == "__main__":
    main()
