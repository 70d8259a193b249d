"""`app.json` as constants in C, so that no app needs to read JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgedistill.errors import UserError
from edgedistill.package.app import AppGolden, AppSpoken
from edgedistill.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from edgedistill.package.app import App, AppFile, AppRun

EMBEDDED = 256 * 1024
"""Bytes of models up to which they are put into the program, if its builder says nothing else."""
_DTYPES = {
    "float32": "EDR_FLOAT32", "float16": "EDR_FLOAT16", "int8": "EDR_INT8", "uint8": "EDR_UINT8",
    "int16": "EDR_INT16", "int32": "EDR_INT32", "int64": "EDR_INT64",
}  # fmt: skip
_FED = ("EDR_INT8", "EDR_UINT8", "EDR_INT16")
"""Integers that real numbers are made to and from."""


@dataclass(frozen=True)
class Source:
    """What is compiled into an app."""

    header: str
    constants: str


def identifier(name: str) -> str:
    """A bundle's name as a part of one in C."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{plain}" if plain[:1].isdigit() else plain


def read_by_cmake(app: App) -> str:
    """`app.cmake`: what the build has to know."""
    files = list(dict.fromkeys(each.file for each in app.files))
    small = sum({each.file: each.bytes for each in app.files}.values()) <= EMBEDDED
    embed = "ON" if small and app.kind != "speech" else "OFF"
    rows = {
        "NAME": identifier(app.name), "KIND": app.kind, "RUNTIME": app.runtime,
        "LISTENS": "OFF" if app.listening is None else "ON", "EMBED": embed,
    }  # fmt: skip
    lines = [f"set(APP_{key} {value})" for key, value in rows.items()]
    listed = " ".join(f"[==[{file}]==]" for file in files)
    return "\n".join(["# Made by edgedistill.", *lines, f"set(APP_FILES {listed})", ""])


def source(app: App) -> Source:
    """The header that an app includes, and what it declares.

    Raises UserError: a tensor is of a kind that the library does not feed or read.
    """
    name = f"{identifier(app.name)}_app"
    guard = f"EDGEDISTILL_{name.upper()}_H"
    header = f"""/* Made by edgedistill: {_comment(app.name)}, {app.precision} for {app.runtime}. */
#ifndef {guard}
#define {guard}

#include "{"recognizer" if app.kind == "speech" else "edgedistill"}.h"

#ifdef __cplusplus
extern "C" {{
#endif

extern const edr_app {name};

#ifdef __cplusplus
}}
#endif

#endif
"""
    return Source(header, "\n".join(_constants(app, name)))


def _constants(app: App, name: str) -> Iterable[str]:
    yield f'/* Made by edgedistill: what {_comment(app.name)} is. */\n#include "{name}.h"\n'
    fields = {
        "name": _text(app.name), "runtime": _text(app.runtime), "precision": _text(app.precision),
        "bundle": _text(app.origin.bundle), "temperature": _real(app.temperature),
        "activation": f"EDR_{app.activation.upper()}",
        "threshold": "-1.0" if app.routing is None else _real(app.routing.threshold),
        "counted_temperature": _real(1.0 if app.counting is None else app.counting.temperature),
    }  # fmt: skip
    if app.kind != "speech":
        yield from _contents(app, name)
        for place, file in enumerate(app.files):
            role = "step" if app.listening and file.program == app.listening.program else "main"
            yield from _program(file, place, role, _content_place(app, file))
            fields[role] = f"&{role}"
    yield from _list("const char* const", "labels", map(_text, app.labels), fields, "label_count")
    edges = () if app.counting is None else app.counting.edges
    yield from _list("double", "edges", map(_real, edges), fields, "edge_count")
    for part in (_picture(app), _sound(app), _listening(app), _texts(app)):
        for field, lines in part.items():
            yield lines
            fields[field] = f"&{field}"
    yield from _golden(app, fields)
    told = "".join(f"    .{field} = {value},\n" for field, value in fields.items())
    yield f"const edr_app {name} = {{\n{told}}};\n"


def _list(
    kind: str, name: str, values: Iterable[str], fields: dict[str, str], count: str
) -> Iterable[str]:
    """An array, and what the app says of it; nothing of an empty one."""
    rows = list(values)
    if rows:
        kind = kind if kind.endswith("const") else f"const {kind}"
        yield f"static {kind} {name}[] = {{\n" + "".join(f"    {row},\n" for row in rows) + "};\n"
        fields |= {name: name, count: str(len(rows))}


def _contents(app: App, name: str) -> Iterable[str]:
    """The model files as arrays, where CMake is told to put them in."""
    count = len({each.file for each in app.files})
    yield "#ifdef EDR_EMBED"
    for at in range(count):
        yield f"extern const unsigned char {name}_content_{at}[];"
        yield f"#define CONTENT_{at} {name}_content_{at}"
    yield "#else"
    for at in range(count):
        yield f"#define CONTENT_{at} NULL"
    yield "#endif\n"


def _content_place(app: App, file: AppFile) -> int:
    return list(dict.fromkeys(each.file for each in app.files)).index(file.file)


def _program(file: AppFile, place: int, role: str, content: int) -> Iterable[str]:
    signature = Signature(file.inputs, file.outputs, file.state)
    outputs = [each.name for each in file.outputs]
    fed = {taken: outputs.index(given) for given, taken in file.state.items()}
    fresh = [at for at, each in enumerate(file.inputs) if each.name not in fed]
    if len(fresh) != 1:
        raise UserError(
            f"{file.file}: takes {len(fresh)} inputs beside its states, and a package in C feeds "
            "one",
            "call the model file itself, as the manifest says",
        )
    _check_read(file.file, file.inputs[fresh[0]], file.outputs[signature.answer])
    rows = [_tensor(each, fed.get(each.name, -1)) for each in file.inputs]
    yield f"static const edr_tensor inputs_{place}[] = {{\n" + "".join(rows) + "};"
    rows = [_tensor(each, -1) for each in file.outputs]
    yield f"static const edr_tensor outputs_{place}[] = {{\n" + "".join(rows) + "};"
    yield f"""static const edr_program {role} = {{
    .name = {_text(file.program)},
    .file = {_text(file.file)},
    .content = CONTENT_{content},
    .bytes = {file.bytes},
    .inputs = inputs_{place},
    .input_count = {len(file.inputs)},
    .outputs = outputs_{place},
    .output_count = {len(file.outputs)},
    .fresh = {fresh[0]},
    .answer = {signature.answer},
}};
"""


def _check_read(file: str, *tensors: TensorSpec) -> None:
    for each in tensors:
        whole = each.scale is not None and _DTYPES.get(each.dtype) in _FED
        if each.dtype != "float32" and not whole:
            raise UserError(
                f"{file}: `{each.name}` is {each.dtype}, which a package in C does not feed or "
                "read",
                "take a file of another precision",
            )


def _tensor(spec: TensorSpec, state: int) -> str:
    count = math.prod(size or 1 for size in spec.shape)
    scale = ""
    if spec.scale is not None:
        scale = (
            f" .scale = {_float(spec.scale)}, .inverse_scale = {_float(1 / spec.scale)},"
            f" .zero_point = {spec.zero_point or 0},"
        )
    return (
        f"    {{.name = {_text(spec.name)}, .dtype = {_DTYPES[spec.dtype]}, .count = {count},"
        f"{scale} .state = {state}}},\n"
    )


def _picture(app: App) -> dict[str, str]:
    told = app.preprocessing
    if told is None:
        return {}
    height, width = told.image_size
    (spec,) = app.files[0].inputs
    return {
        "picture": f"""static const edr_picture_form picture = {{
    .height = {height},
    .width = {width},
    .channels = {told.channels},
    .resize = EDR_{told.resize.how.upper()},
    .channels_last = {"true" if spec.layout == "NHWC" else "false"},
}};
"""
    }


def _sound(app: App) -> dict[str, str]:
    if app.sound is None:
        return {}
    told = app.sound
    form = f"{{{told.rate}, {told.samples}, EDR_{told.cut.upper()}}}"
    return {"sound": f"static const edr_sound_form sound = {form};\n"}


def _listening(app: App) -> dict[str, str]:
    told = app.listening
    if told is None:
        return {}
    classes = ", ".join(str(app.labels.index(name)) for name in told.thresholds)
    thresholds = ", ".join(map(_real, told.thresholds.values()))
    return {
        "listening": f"""static const size_t classes[] = {{{classes}}};
static const double thresholds[] = {{{thresholds}}};
static const edr_listening listening = {{
    .rate = {told.rate},
    .hop = {told.hop},
    .lead_in = {told.lead_in},
    .smoothing = {told.smoothing},
    .refractory = {told.refractory},
    .count = {len(told.thresholds)},
    .classes = classes,
    .thresholds = thresholds,
}};
"""
    }


def _texts(app: App) -> dict[str, str]:
    if app.texts is None:
        return {}
    told = f"{{{_text(app.texts.file)}, {_float(app.texts.scale)}}}"
    return {"texts": f"static const edr_texts texts = {told};\n"}


def _golden(app: App, fields: dict[str, str]) -> Iterable[str]:
    golden = app.golden
    if isinstance(golden, AppSpoken):
        rows = []
        for at, each in enumerate(golden.utterances):
            tokens = ", ".join(map(str, each.tokens or (0,)))
            yield f"static const int32_t tokens_{at}[] = {{{tokens}}};"
            rows.append(f"{{{_text(each.file)}, tokens_{at}, {len(each.tokens)}}}")
        yield from _list("edr_utterance", "utterances", rows, fields, "utterance_count")
        fields["edits"] = _real(golden.edits)
    elif isinstance(golden, AppGolden):
        rows = [_run("main", golden)]
        if golden.steps is not None:
            rows.append(_run("step", golden.steps))
        yield from _list("edr_golden", "golden", rows, fields, "golden_count")


def _run(role: str, run: AppRun) -> str:
    (fed,), (answer, *_) = run.inputs, run.outputs
    return (
        f"{{.program = &{role}, .samples = {run.samples}, .input = {_text(fed.file)}, "
        f".output = {_text(answer.file)}, .tolerance = {_real(run.tolerance)}, "
        f".share = {_real(run.share)}}}"
    )


def _text(text: str) -> str:
    """A literal of its UTF-8; in octal, as digits after it could belong to a hexadecimal one."""
    return '"' + "".join(map(_character, text.encode())) + '"'


def _character(byte: int) -> str:
    plain = 32 <= byte < 127 and chr(byte) not in '"\\?'
    return chr(byte) if plain else f"\\{byte:03o}"


def _comment(text: str) -> str:
    return text.replace("*/", "* /") if text.isprintable() else "a model"


def _real(value: float) -> str:
    return repr(float(value))


def _float(value: float) -> str:
    """Rounded once."""
    return f"{float(np.float32(value))!r}f"
