"""Which runtimes there are, for those who need no more than their names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuntimeEntry:
    """A line of the table. The file it names has the functions that `runtimes.Runtime` calls."""

    name: str
    suffix: str
    """Of its files."""
    package: str
    """What to install."""
    import_name: str
    runs_in: str
    """The distribution that runs its files, as `importlib.metadata` names it."""
    written_by: tuple[str, ...]
    """Those that the bytes of its files depend on."""
    in_file: str
    """The module with `write`, `load` and `inspect`."""
    in_layers: str
    """The module with `compute`, which cuts a file at every layer; empty: it cannot be cut."""
    in_features: str
    """The module with `watch`, which gives what enters a file's last layer; empty: nothing does."""
    precisions: tuple[str, ...] = ("fp32", "fp16", "int8")
    """That it has files of."""
    extra: str = ""
    """Of edgedistill, which brings its package; empty where edgedistill itself does."""
    elsewhere: str = ""
    """Where alone its kernels are, in words; empty where they are wherever its package is. Such a
    file is written here, read back and computed in torch: it is judged so, and not timed."""

    @property
    def install(self) -> str:
        """The command that brings its package."""
        return (
            f"pip install 'edgedistill[{self.extra}]'"
            if self.extra
            else f"pip install {self.package}"
        )


_HERE = "edgedistill.runtimes"
TABLE: dict[str, RuntimeEntry] = {
    entry.name: entry
    for entry in (
        RuntimeEntry(
            "litert", ".tflite", "litert-torch ai-edge-litert", "ai_edge_litert.interpreter",
            "ai-edge-litert", ("litert-torch",), f"{_HERE}.litert", f"{_HERE}.tflite.layers",
            f"{_HERE}.tflite.features",
        ),
        RuntimeEntry(
            "onnxruntime", ".onnx", "onnxruntime onnx onnxscript", "onnxruntime",
            "onnxruntime", ("onnx", "onnxscript", "onnxruntime"), f"{_HERE}.onnxruntime",
            f"{_HERE}.onnx.layers", f"{_HERE}.onnx.features",
        ),
        RuntimeEntry(
            "openvino", ".xml", "openvino", "openvino",
            "openvino", ("openvino",), f"{_HERE}.openvino", f"{_HERE}.openvino_ir.layers",
            f"{_HERE}.openvino_ir.features",
        ),
        RuntimeEntry(
            "executorch", ".pte", "executorch", "executorch.exir",
            "executorch", ("executorch",), f"{_HERE}.executorch", "", "",
            precisions=("fp32", "int8"), extra="executorch",
        ),
        RuntimeEntry(
            "coreml", ".mlpackage.zip", "coremltools", "coremltools",
            "coremltools", ("coremltools",), f"{_HERE}.coreml.runtime", "", "",
            extra="coreml", elsewhere="Apple's systems",
        ),
    )
}  # fmt: skip
STANDARD = tuple(name for name, entry in TABLE.items() if not entry.extra)
"""Those whose packages come with edgedistill itself."""
