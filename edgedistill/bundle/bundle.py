"""Read a bundle: check it, list what is in it, answer with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.bundle.opened import Opened, choose
from edgedistill.bundle.prediction import Prediction, ask_for, prediction, routing_threshold
from edgedistill.errors import UserError, nearest
from edgedistill.fields import Resize
from edgedistill.program import MAIN

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from edgedistill.bundle.hearing import Chunk, Chunks, Detection, File, Say, Sounds
    from edgedistill.data.image.decode import Form
    from edgedistill.records.recognizer import Guards
    from edgedistill.runtimes import Loaded
    from edgedistill.runtimes.sequences import Stream
    from edgedistill.tasks import Task
    from edgedistill.transcribing.long import Segment, Transcript

    Picture = np.ndarray | Image | str | Path
    Images = Picture | Sequence[Picture]


class Bundle(Opened):
    """A folder with model files, golden inputs and outputs, a report, and `edgedistill.json`."""

    @property
    def labels(self) -> list[str]:
        """Of the classes, or of a regression's values, in the outputs' order."""
        return list(self.answering["labels"])

    @property
    def task(self) -> Task:
        """What its quality means."""
        from edgedistill.tasks import TASKS

        return TASKS[self.answering["task"]].of_bundle(self.manifest.get("texts"), self._array)

    @property
    def form(self) -> Form:
        """What every picture becomes before a model sees it. Raises UserError: the models take no
        pictures."""
        from edgedistill.data.image.decode import Form

        said = self.answering["preprocessing"]
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

    def file(self, runtime: str | None = None, precision: str | None = None) -> dict[str, Any]:
        """The entry of one model file; by default the one held against the contract, or the one
        of its precision or runtime where only the other is asked for.

        Raises UserError: no such file in the bundle.
        """
        name = self.answering["shipped"]
        shipped = next(each for each in self.files if each["file"] == name)
        kind = shipped["runtime"], shipped["precision"]
        return choose(self.files, kind, runtime, precision, self.path)

    def model(
        self, runtime: str | None = None, precision: str | None = None, threads: int = 1
    ) -> Loaded:
        """A model file as a callable: pixels float32 (batch, channels, height, width) in 0..1 to
        logits float32 (batch, classes), or a regression's values, or embeddings. Loaded once.

        Raises UserError: no such file, or one that takes other pictures than the manifest says.
        """
        entry = self.file(runtime, precision)
        model = self.open_program(entry["runtime"], entry["file"], MAIN, threads)
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
        return Stream(self.open_program(entry["runtime"], entry["file"], program, threads))

    def golden(self) -> np.ndarray:
        """The golden inputs of models that take pictures: float32 (samples, channels, height,
        width) in 0..1."""
        _ = self.answering
        return self._array("golden/inputs.npy", 4)

    def golden_inputs(self) -> dict[str, np.ndarray]:
        """What the golden outputs are answers to, float32 (samples, ...), by the inputs' names, in
        the order in which a model takes them."""
        if self.answering["preprocessing"] is not None:
            return {"pixels": self.golden()}
        file = self.file()
        several = file.get("inputs")
        if not several:
            return {file["input"]["name"]: self._array("golden/inputs.npy")}
        names = [each["name"] for each in several]
        return {name: self._array(f"golden/inputs_{name}.npy") for name in names}

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

        _ = self.answering
        return listen(self, chunks, runtime, precision, threads, say)

    def transcribe(
        self,
        sound: File | Chunk,
        runtime: str | None = None,
        precision: str | None = None,
        threads: int = 1,
        guards: Guards | None = None,
        say: Say | None = None,
    ) -> Transcript:
        """What is said in a sound of any length: a file's name, of any rate and kind, or samples
        (any number,) of one channel at the bundle's rate, int16 or floats in -1..1.

        What is longer than the recognizer's window is cut at its quietest places, and decoded piece
        by piece; silent pieces are passed over. `guards` are by default the bundle's own;
        `Guards()` is none. `say` is told of what had to be changed in a file, of what was cut off,
        and where nothing is said.

        Raises UserError: the bundle has no recognizer, or no such file; a sound that is none.
        """
        from edgedistill.bundle import speech

        return speech.transcribe(self, sound, runtime, precision, threads, guards, say)

    def segments(
        self,
        sound: File | Chunk,
        runtime: str | None = None,
        precision: str | None = None,
        threads: int = 1,
        guards: Guards | None = None,
        say: Say | None = None,
    ) -> Iterator[Segment]:
        """The segments of a `Transcript` as they come; see `transcribe`. A file is read on the
        way."""
        from edgedistill.bundle import speech

        return speech.segments(self, sound, runtime, precision, threads, guards, say)

    def check_width(self, values: int) -> None:
        """Raises UserError: so many values for an image are not what the labels are of."""
        if values != len(self.labels):
            raise UserError(
                f"{self.path}: a file of it gives {values} values for an image, and it names "
                f"{len(self.labels)} labels",
                "compile the bundle again",
            )
