"""Read a bundle: check it, list what is in it, answer with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.artifact import file_digest, text_digest
from edgedistill.bundle.manifest import REPORT, read_manifest
from edgedistill.bundle.prediction import Prediction, ask_for, prediction, routing_threshold
from edgedistill.errors import UserError, nearest, reading
from edgedistill.fields import Resize
from edgedistill.files import read_json_file
from edgedistill.program import MAIN
from edgedistill.records import ReportRecord, from_json

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from edgedistill.bundle.hearing import Chunks, Detection, Say, Sounds
    from edgedistill.data.image.decode import Form
    from edgedistill.runtimes import Loaded
    from edgedistill.runtimes.sequences import Stream
    from edgedistill.tasks import Task

    Picture = np.ndarray | Image | str | Path
    Images = Picture | Sequence[Picture]


class Bundle:
    """A folder with model files, golden inputs and outputs, a report, and `edgedistill.json`."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self._loaded: dict[str, Loaded] = {}

    @classmethod
    def load(cls, path: str | Path) -> Bundle:
        """Open a bundle and check every file against its digest. Nothing in it can run code; a
        model file that was made to do harm can still end the process that runs it, which
        `edgedistill.evaluate` and its like try in another process first.

        Raises UserError: not a bundle, of a later format, or a file is missing, was changed, or
        lies elsewhere.
        """
        path = Path(path)
        manifest = read_manifest(path)
        for name, digest in manifest["digests"].items():
            if not (path / name).resolve().is_relative_to(path.resolve()):
                raise UserError(
                    f"{path}: {name} leads out of the bundle", "put the file itself there"
                )
            if not (path / name).is_file():
                raise UserError(f"{path}: {name} is missing", "compile the bundle again")
            if file_digest(path / name) != digest:
                raise UserError(
                    f"{path}: {name} was changed after the bundle was written",
                    "compile the bundle again, or restore the file",
                )
        return cls(path, manifest)

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r})"

    @property
    def labels(self) -> list[str]:
        """Of the classes, or of a regression's values, in the outputs' order."""
        return list(self.manifest["labels"])

    @property
    def task(self) -> Task:
        """What its quality means."""
        from edgedistill.tasks import TASKS

        return TASKS[self.manifest["task"]].of_bundle(self.manifest.get("texts"), self._array)

    @property
    def form(self) -> Form:
        """What every picture becomes before a model sees it. Raises UserError: the models take no
        pictures."""
        from edgedistill.data.image.decode import Form

        said = self.manifest["preprocessing"]
        if said is None:
            raise UserError(
                f"{self.path}: its models take arrays, not pictures",
                "call `bundle.model()` with what the manifest names as inputs",
            )
        size, resize = said["image_size"], said.get("resize")
        height, width = (size, size) if isinstance(size, int) else size
        # Before pictures had a height and a width of their own, the middle square was described.
        how: Resize = resize["how"] if isinstance(resize, dict) else "crop"
        return Form((height, width), said["channels"], how)

    @property
    def report(self) -> dict[str, Any]:
        """What the compile did; the same as `report.json`. Raises UserError: it is not there, or
        not of that form."""
        hint = "compile the bundle again, or take its report from where it was copied from"
        found: dict[str, Any] = read_json_file(self.path / REPORT, "the bundle's report", hint)
        from_json(ReportRecord, found, str(self.path / REPORT), hint)
        return found

    @property
    def ok(self) -> bool:
        """Whether the contract was kept."""
        return bool(self.manifest["ok"])

    @property
    def digest(self) -> str:
        """Of the model files and golden data alone, so that equal compiles have equal digests."""
        return text_digest(self.manifest["digests"])

    @property
    def files(self) -> list[dict[str, Any]]:
        """The model files: runtime, precision, file, bytes, input, output."""
        return list(self.manifest["files"])

    def file(self, runtime: str | None = None, precision: str | None = None) -> dict[str, Any]:
        """The entry of one model file; by default the one held against the contract, or the one
        of its precision or runtime where only the other is asked for.

        Raises UserError: no such file in the bundle.
        """
        shipped = next(e for e in self.files if e["file"] == self.manifest["shipped"])
        found = self.files
        for key, wanted in (("runtime", runtime), ("precision", precision)):
            if wanted is None:
                continue
            have = sorted({entry[key] for entry in found})
            if wanted not in have:
                raise UserError(
                    f"{self.path}: no file with {key} `{wanted}`", nearest(wanted, have)
                )
            found = [entry for entry in found if entry[key] == wanted]
        same = [e for e in found if e["precision"] == shipped["precision"]] or found
        return next((e for e in same if e["runtime"] == shipped["runtime"]), same[0])

    def model(
        self, runtime: str | None = None, precision: str | None = None, threads: int = 1
    ) -> Loaded:
        """A model file as a callable: pixels float32 (batch, channels, height, width) in 0..1 to
        logits float32 (batch, classes), or a regression's values, or embeddings. Loaded once.

        Raises UserError: no such file, or one that takes other pictures than the manifest says.
        """
        entry = self.file(runtime, precision)
        model = self._open(entry, MAIN, threads)
        if self.manifest["preprocessing"] is not None:
            self.form.check_taken(model.signature.inputs[0], str(self.path / entry["file"]))
        return model

    def stream(
        self,
        program: str = "step",
        runtime: str | None = None,
        precision: str | None = None,
        threads: int = 1,
    ) -> Stream:
        """A program that keeps a state, from its beginning: called with the real values (1, ...)
        of its inputs but the states, it gives those of all outputs by name, and keeps the states.

        Raises UserError: the bundle has no such program, or no such file.
        """
        from edgedistill.runtimes.sequences import Stream

        main = self.file(runtime, precision)
        known = self.manifest.get("programs", [])
        names = sorted({each["program"] for each in known})
        if program not in names:
            raise UserError(f"{self.path}: no program `{program}`", nearest(program, names))
        key = main["runtime"], main["precision"], program
        (entry,) = (e for e in known if (e["runtime"], e["precision"], e["program"]) == key)
        return Stream(self._open(entry, program, threads))

    def _open(self, entry: dict[str, Any], program: str, threads: int) -> Loaded:
        from edgedistill.runtimes import RUNTIMES

        key = f"{entry['file']} {program} {threads}"
        if key not in self._loaded:
            path, runtime = self.path / entry["file"], RUNTIMES[entry["runtime"]]
            self._loaded[key] = runtime.load(path, threads=threads, program=program)
        return self._loaded[key]

    def golden(self) -> np.ndarray:
        """The golden inputs of models that take pictures: float32 (samples, channels, height,
        width) in 0..1."""
        return self._array("golden/inputs.npy", 4)

    def golden_inputs(self) -> dict[str, np.ndarray]:
        """What the golden outputs are answers to, float32 (samples, ...), by the inputs' names, in
        the order in which a model takes them."""
        if self.manifest["preprocessing"] is not None:
            return {"pixels": self.golden()}
        file = self.file()
        several = file.get("inputs")
        if not several:
            return {file["input"]["name"]: self._array("golden/inputs.npy")}
        names = [each["name"] for each in several]
        return {name: self._array(f"golden/inputs_{name}.npy") for name in names}

    def _array(self, name: str, dimensions: int | None = None) -> np.ndarray:
        import numpy as np

        hint = "compile the bundle again"
        with reading(str(self.path / name), hint):
            # Mapped, a header that lies about the size is found out before memory is taken.
            found = np.array(np.load(self.path / name, mmap_mode="r"))
        if found.dtype != np.float32 or found.ndim != (dimensions or found.ndim) or not len(found):
            told = f"holds {found.dtype} of shape {found.shape}"
            raise UserError(f"{self.path / name}: {told}, not what a bundle has there", hint)
        return found

    def pixels(self, images: Images) -> np.ndarray:
        """What the models take: float32 (batch, channels, height, width) in 0..1, of images as
        `predict` takes them. Raises UserError: an image that cannot be decoded or converted."""
        from edgedistill.data import to_pixels

        return to_pixels(images, self.form)

    def predict(
        self,
        images: Images | Sounds,
        runtime: str | None = None,
        precision: str | None = None,
        fallback: Callable[[np.ndarray], np.ndarray] | None = None,
        threshold: float | None = None,
    ) -> list[Prediction]:
        """Labels for images: uint8 arrays (height, width[, channels]), Pillow images or paths; one
        image, or several of them. Where the models take sound: samples (any number,) at the
        bundle's rate, int16 or floats in -1..1, or paths, cut to the models' window. A classifier's
        confidences are softmax at the bundle's own temperature; in a retrieval they are of the
        texts that an image is near to.

        fallback: asked about the images on which the confidence is below `threshold`, by default
        the one chosen when the bundle was compiled; from pixels (batch, channels, height, width)
        in 0..1 to logits (batch, classes), such as a teacher's. For classifiers.

        Raises UserError: an image that cannot be decoded or converted; no such file; a fallback
        but no threshold.
        """
        import numpy as np

        model = self.model(runtime, precision)
        pixels = self._taken(images)
        if not len(pixels):
            return []
        logits = np.asarray(model(pixels), dtype=np.float64)
        task = self.task
        scores = task.scores(logits / self.manifest["temperature"])
        self.check_width(scores.shape[1])
        found = [prediction(task, self.labels, row) for row in scores]
        if fallback is not None:
            limit = routing_threshold(self, threshold)
            unsure = np.flatnonzero(scores.max(axis=1) < limit)
            ask_for(found, unsure, pixels, fallback, task, self.labels)
        return found

    def _taken(self, samples: Any) -> np.ndarray:
        if self.manifest.get("sound") is None:
            return self.pixels(samples)
        from edgedistill.bundle.hearing import windows

        return windows(self, samples)

    def listen(
        self,
        chunks: Chunks,
        runtime: str | None = None,
        precision: str | None = None,
        threads: int = 1,
        say: Say | None = None,
    ) -> Iterator[Detection]:
        """Keywords as they are heard in a stream: samples (any number,) of one channel at the
        bundle's rate, int16 or floats in -1..1, in an array or as they come from a microphone, one
        chunk after the other; or in a file, or each of several, of any rate and kind. Each call is
        a new stream. `say` is told of what had to be changed in a file.

        Raises UserError: nothing in the bundle listens; no such file; a chunk or a file that is no
        sound.
        """
        from edgedistill.bundle.hearing import listen

        return listen(self, chunks, runtime, precision, threads, say)

    def check_width(self, values: int) -> None:
        """Raises UserError: so many values for an image are not what the labels are of."""
        if values != len(self.labels):
            raise UserError(
                f"{self.path}: a file of it gives {values} values for an image, and it names "
                f"{len(self.labels)} labels",
                "compile the bundle again",
            )
