"""What of a bundle goes into a package: one runtime's files of one precision, and `app.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.artifact import file_digest, write_json
from edgedistill.bundle.opened import choose
from edgedistill.errors import UserError
from edgedistill.package import golden
from edgedistill.package.app import (
    APP,
    FORMAT,
    GOLDEN,
    TRANSCRIPTION,
    App,
    AppCounting,
    AppFile,
    AppOrigin,
    AppPictures,
    AppRouting,
    AppSpeech,
    AppTexts,
)
from edgedistill.package.platforms import Platform
from edgedistill.program import MAIN
from edgedistill.runtime_table import TABLE
from edgedistill.runtimes.coreml.archive import SUFFIX, files_of
from edgedistill.signature import Signature
from edgedistill.transcripts.normalize import UNSPACED

if TYPE_CHECKING:
    from edgedistill.bundle import Bundle

LICENCE, PROVENANCE, VOCABULARY, TEXTS = (
    "LICENSE", "PROVENANCE.md", "vocabulary.json", "texts.bin",
)  # fmt: skip
_ARCHIVE = ".zip"
_ACTIVATIONS = {
    "classification": "softmax", "keywords": "softmax", "retrieval": "softmax",
    "multilabel": "sigmoid", "regression": "none",
}  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """What every package of a bundle holds, whatever the platform."""

    app: App
    sources: dict[str, Path | bytes]
    """What lies beside `app.json`, by name."""

    @property
    def document(self) -> dict[str, Any]:
        """`app.json`."""
        return self.app.as_json()

    def copy_into(self, folder: Path) -> None:
        """Write `app.json`, the model files, golden data, the vocabulary, licence and provenance
        into `folder`, which is made where it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / APP, self.document)
        for name, source in self.sources.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(source if isinstance(source, bytes) else source.read_bytes())


def contents_of(
    bundle: Bundle, platform: Platform, runtime: str | None, precision: str | None
) -> Contents:
    """What a package for `platform` holds: by default of what the bundle ships, or of the
    platform's first runtime that it has files for.

    Raises UserError: no such file, or what no package can be made of.
    """
    told = bundle.manifest
    if told["task"] not in platform.tasks:
        raise UserError(
            f"{bundle.path}: `task: {told['task']}` cannot be packaged for {platform.name}",
            f"that takes one of: {', '.join(sorted(platform.tasks))}",
        )
    entry = _chosen(bundle, platform, runtime, precision)
    if told["task"] == TRANSCRIPTION:
        return _spoken(bundle, entry["runtime"], entry["precision"])
    return _answering(bundle, entry)


def _chosen(
    bundle: Bundle, platform: Platform, runtime: str | None, precision: str | None
) -> dict[str, Any]:
    if runtime is not None and runtime not in platform.runtimes:
        raise UserError(
            f"`{runtime}` does not run in a package for {platform.name}",
            f"one of: {', '.join(platform.runtimes)}",
        )
    usable = [each for each in bundle.files if each["runtime"] in platform.runtimes]
    if not usable:
        there = sorted({each["runtime"] for each in bundle.files})
        raise UserError(
            f"{bundle.path}: has files for {', '.join(there)} alone, and a package for "
            f"{platform.name} takes {' or '.join(platform.runtimes)}",
            "compile for a target with such a runtime",
        )
    if runtime is None:  # who asks for one is told why it does not run
        joined = {each["file"] for each in bundle.manifest.get("programs", ())}
        usable = [
            each
            for each in usable
            if _is_taken(each, platform)
            and not (each["runtime"] in platform.one_program and each["file"] in joined)
        ] or usable
    shipped = bundle.manifest["shipped"]
    if isinstance(shipped, str):
        shipped = next(each for each in bundle.files if each["file"] == shipped)
    have = {each["runtime"] for each in usable}
    first = next(name for name in (shipped["runtime"], *platform.runtimes) if name in have)
    return choose(usable, (first, shipped["precision"]), runtime, precision, bundle.path)


def _is_taken(entry: dict[str, Any], platform: Platform) -> bool:
    """Whether a file takes and gives numbers that its runtime takes there."""
    types = platform.takes.get(entry["runtime"])
    signature = entry.get("signature") or {
        "inputs": [entry["input"]], "outputs": [entry["output"]],
    }  # fmt: skip
    ends = [*signature["inputs"], *signature["outputs"]]
    return types is None or all(each["dtype"] in types for each in ends)


def _answering(bundle: Bundle, entry: dict[str, Any]) -> Contents:
    """Of a bundle that classifies, measures, retrieves or listens."""
    told = bundle.manifest
    several = entry.get("inputs")
    if several:
        names = ", ".join(each["name"] for each in several)
        raise UserError(
            f"{bundle.path}: its models take several inputs ({names}), which no package feeds yet",
            "call the model file itself, as the manifest says",
        )
    if told["preprocessing"] is None and told.get("sound") is None:
        raise UserError(
            f"{bundle.path}: its models take neither pictures nor sound, which no package feeds "
            "yet",
            "call the model file itself, as the manifest says",
        )
    main = {"inputs": [entry["input"]], "outputs": [entry["output"]]}
    files = [_file(bundle, MAIN, entry["file"], main)]
    run, sources = golden.of_main(bundle, entry)
    listening = told.get("listening")
    if listening is not None:
        step = _step(bundle, entry, listening["program"])
        files.append(_file(bundle, step["program"], step["file"], step["signature"]))
        steps, more = golden.of_steps(bundle, step, files[-1])
        run, sources = run.model_copy(update={"steps": steps}), sources | more
    texts, more = _texts(bundle)
    reference = told.get("reference")
    threshold = (told.get("routing") or {}).get("threshold")
    app = App(
        format=FORMAT,
        name=told["name"],
        kind="sound" if told["preprocessing"] is None else "picture",
        task=told["task"],
        runtime=entry["runtime"],
        precision=entry["precision"],
        files=tuple(files),
        labels=tuple(told["labels"]),
        activation=_ACTIVATIONS[told["task"]],  # type: ignore[arg-type]
        temperature=told["temperature"],
        preprocessing=_pictures(bundle),
        texts=texts,
        sound=_read(App, "sound", told.get("sound")),
        listening=_read(App, "listening", listening),
        routing=None if threshold is None else AppRouting(threshold=threshold),
        # The reference is of the outputs as they are.
        counting=reference and AppCounting(edges=tuple(reference["edges"]), temperature=1.0),
        golden=run,
        origin=_origin(bundle),
    )
    return _with_files(bundle, app, {**sources, **more})


def _spoken(bundle: Bundle, runtime: str, precision: str) -> Contents:
    """Of a recognizer."""
    told = bundle.recognizer
    files = [
        _file(bundle, each["program"], each["file"], each["signature"])
        for each in bundle.files
        if (each["runtime"], each["precision"]) == (runtime, precision)
    ]
    spoken, sources = golden.of_speech(bundle, runtime, precision)
    app = App(
        format=FORMAT,
        name=told.name,
        kind="speech",
        task=TRANSCRIPTION,
        runtime=runtime,
        precision=precision,  # type: ignore[arg-type]
        files=tuple(files),
        activation="none",
        temperature=1.0,
        transcription=AppSpeech(
            language=told.language, rate=told.rate, window=told.window, rules=told.rules,
            guards=told.guards, vocabulary=VOCABULARY, spaced=told.language not in UNSPACED,
        ),
        golden=spoken,
        origin=_origin(bundle),
    )  # fmt: skip
    return _with_files(bundle, app, {**sources, VOCABULARY: bundle.path / told.vocabulary})


def _read(kind: type[App], field: str, value: Any) -> Any:
    """A part of a manifest as a part of `app.json`."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind.model_fields[field].annotation).validate_python(value, strict=False)


def _step(bundle: Bundle, entry: dict[str, Any], program: str) -> dict[str, Any]:
    key = entry["runtime"], entry["precision"], program
    found = [
        each
        for each in bundle.manifest["programs"]
        if (each["runtime"], each["precision"], each["program"]) == key
    ]
    if not found:
        raise UserError(
            f"{bundle.path}: listens with the program `{program}`, of which it has no file for "
            f"{key[0]} and {key[1]}",
            "choose another runtime or precision",
        )
    return dict(found[0])


def _file(bundle: Bundle, program: str, name: str, signature: dict[str, Any]) -> AppFile:
    from pydantic import TypeAdapter

    read = TypeAdapter(Signature).validate_python(signature)
    path = bundle.path / name
    return AppFile(
        program=program,
        file=name.removesuffix(_ARCHIVE) if name.endswith(SUFFIX) else name,
        bytes=path.stat().st_size,
        sha256=file_digest(path),
        inputs=read.inputs,
        outputs=read.outputs,
        state=dict(read.state),
    )


def _pictures(bundle: Bundle) -> AppPictures | None:
    from edgedistill.bundle.describe import resizing

    if bundle.manifest["preprocessing"] is None:
        return None
    form = bundle.form
    return AppPictures(
        image_size=form.size,
        channels=1 if form.channels == 1 else 3,
        color="grey" if form.channels == 1 else "RGB",
        range=(0.0, 1.0),
        resize=resizing(form.resize),
        antialias=True,
    )


def _texts(bundle: Bundle) -> tuple[AppTexts | None, dict[str, bytes]]:
    told = bundle.manifest.get("texts")
    if told is None:
        return None, {}
    rows = np.load(bundle.path / told["file"], allow_pickle=False).astype("<f4")
    return AppTexts(file=TEXTS, shape=rows.shape, scale=told["scale"]), {TEXTS: rows.tobytes()}


def _origin(bundle: Bundle) -> AppOrigin:
    told = bundle.manifest
    return AppOrigin(
        edgedistill=told["edgedistill"],
        created=told["created"],
        bundle=bundle.digest,
        target=str(told["target"].get("name")),
        licence="Apache-2.0",
        contract=_read_contract(told["contract"]),
    )


def _read_contract(lines: Any) -> Any:
    from pydantic import TypeAdapter

    kind = AppOrigin.model_fields["contract"].annotation
    return TypeAdapter(kind).validate_python(lines, strict=False)


def _with_files(bundle: Bundle, app: App, sources: dict[str, Any]) -> Contents:
    models = {name: part for each in app.files for name, part in _model(bundle, each).items()}
    told = {LICENCE: _licence().read_bytes(), PROVENANCE: _provenance(bundle, app).encode()}
    return Contents(app, {**models, **sources, **told})


def _model(bundle: Bundle, file: AppFile) -> dict[str, Path | bytes]:
    """What a model file consists of, by name: of a package of Core ML all that is in it."""
    archive = bundle.path / f"{file.file}{_ARCHIVE}"
    if not archive.name.endswith(SUFFIX):
        return {file.file: bundle.path / file.file}
    return {
        f"{file.file}/{name.partition('/')[2]}": content
        for name, content in files_of(archive).items()
    }


def _licence() -> Path:
    here = Path(__file__).parent
    return here / LICENCE if (here / LICENCE).is_file() else here.parents[1] / LICENCE


def _provenance(bundle: Bundle, app: App) -> str:
    origin = app.origin
    machine, runs_in = bundle.manifest.get("machine") or {}, TABLE[app.runtime].runs_in
    versions = machine.get("versions") or {}
    checked = (
        [f"Its files were verified with {runs_in} {versions[runs_in]} on {machine['isa']}.", ""]
        if runs_in in versions
        else []
    )
    lines = [f"- {each.name}: {each.status}" for each in origin.contract]
    return "\n".join(
        [
            f"# Where {app.name} comes from",
            "",
            f"Compiled by edgedistill {origin.edgedistill} for {origin.target} on "
            f"{origin.created}; digest of the bundle: {origin.bundle}.",
            "",
            *checked,
            "The code beside the model is under the Apache License 2.0 (`LICENSE`). The model's "
            "weights are under whatever licence its teacher and its training data give, which "
            "edgedistill does not know.",
            *(["", "Contract:", "", *lines] if lines else []),
            "",
        ]
    )


__all__ = ["GOLDEN", "LICENCE", "PROVENANCE", "VOCABULARY", "Contents", "contents_of"]
