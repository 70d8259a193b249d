"""A job as the runner takes it: files of raw numbers, and a line of arguments."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.devices.job import Job
from edgedistill.devices.native.shared import check_runtime, libraries
from edgedistill.errors import UserError, reading
from edgedistill.program import MAIN
from edgedistill.records import OperatorRow
from edgedistill.signature import Signature

if TYPE_CHECKING:
    from edgedistill.runtimes import Array

RECORD, PROFILE = "record.json", "profile.json"


@dataclass(frozen=True)
class Prepared:
    """A job's files in one folder."""

    job: Job
    signature: Signature
    """Of the file's program, with the file's own types and layouts."""
    samples: int
    files: tuple[Path, ...]
    """To carry to the device: the model and its inputs."""
    written: tuple[OperatorRow, ...] = ()
    """The operators of a .tflite file's main program, as LiteRT has them here."""

    @property
    def answers(self) -> tuple[str, ...]:
        """Names of the files that the runner writes; after a failure only the first."""
        if self.job.memory:
            return (RECORD,)
        profile = (PROFILE,) if self.job.profile else ()
        return (RECORD, *profile, *map(output_file, range(len(self.signature.outputs))))

    def arguments(
        self, isa: str, beside: str = ".", mark: bool = False, cpus: str = ""
    ) -> list[str]:
        """What follows the runner's name, started in the folder of the files.

        beside: the folder there, relative to that one or absolute, with `libraries(runtime, isa)`.
        mark: make the system calls between which an emulator counts instructions.
        cpus: cores to stay on, `0,1`.
        """
        job, protocol = self.job, self.job.protocol
        told = {
            "--runtime": job.runtime,
            "--library": f"{beside}/{libraries(job.runtime, isa)[0].name}",
            "--model": self.files[0].name,
            # Of several programs in ONNX each is a file's only one, and called `main` there.
            "--program": job.program if job.runtime == "litert" else MAIN,
            "--record": RECORD,
            "--threads": str(protocol.threads),
            "--warmup": str(protocol.warmup),
            "--minimum": str(protocol.minimum),
            "--minimum-seconds": f"{protocol.minimum_seconds:g}",
            "--runs": str(protocol.runs),
            "--seconds": f"{protocol.seconds:g}",
        }
        if PROFILE in self.answers:
            told["--profile"] = PROFILE
        if cpus:
            told["--cpus"] = cpus
        flags = [*(["--memory"] if job.memory else []), *(["--mark"] if mark else [])]
        return [*(word for pair in told.items() for word in pair), *flags, *self._ends()]

    def _ends(self) -> list[str]:
        found = []
        for place, each in enumerate(self.signature.inputs):
            found += ["--input", f"{each.name}={_input_file(place)}"]
        for place, each in enumerate(self.signature.outputs):
            found += ["--output", f"{each.name}={output_file(place)}"]
        return found


def _input_file(place: int) -> str:
    return f"input{place}.raw"


def output_file(place: int) -> str:
    """Where the values of the program's output at that place go."""
    return f"output{place}.raw"


def prepared(job: Job, folder: Path) -> Prepared:
    """Write into `folder` what the runner needs of a job. The file is
    loaded in this process, for how it wants its inputs.

    Raises UserError: a runtime that the runner does not know, a file that does not load here, or
    inputs that are not those of the program.
    """
    from edgedistill.runtimes import RUNTIMES

    check_runtime(job.runtime)
    loaded = RUNTIMES[job.runtime].load(job.model, job.protocol.threads, program=job.program)
    samples = _samples(job, [each.name for each in loaded.signature.inputs])
    count = min(map(len, samples.values()))
    model = folder / f"model{job.model.suffix}"
    shutil.copyfile(job.model, model)
    inputs = []
    native = [
        loaded.encode({name: values[place : place + 1] for name, values in samples.items()})
        for place in range(count)
    ]
    for place, name in enumerate(samples):
        inputs.append(folder / _input_file(place))
        inputs[-1].write_bytes(b"".join(each[name].tobytes() for each in native))
    watched = job.runtime == "litert" and job.program == MAIN and job.profile and not job.memory
    written = tuple(loaded.operators()) if watched else ()
    return Prepared(job, loaded.signature, count, (model, *inputs), written)


def _samples(job: Job, names: list[str]) -> dict[str, Array]:
    """Real values (samples, ...) of the program's inputs, in their order."""
    import numpy as np

    wrong = reading(str(job.inputs), "give an .npz with an array for each input")
    with wrong, np.load(job.inputs) as arrays:
        found = {name: arrays[name][: job.samples] for name in arrays}
    if set(names) - set(found):
        raise UserError(
            f"{job.inputs}: has {', '.join(found)}; `{job.model.name}` takes {', '.join(names)}",
            "give an array for each input",
        )
    return {name: found[name] for name in names}
