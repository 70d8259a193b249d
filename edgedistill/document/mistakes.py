"""A document's mistakes in its user's words."""

from __future__ import annotations

import re
import reprlib
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from edgedistill.errors import nearest

Location = Sequence[int | str]
Models = list[type[BaseModel]]

MOST_TOLD = 30
"""Mistakes that are told one by one."""


class _Short(reprlib.Repr):
    """A value's beginning, without making text of what is not shown."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        # Python makes no text of numbers with thousands of digits.
        if x.bit_length() > 1000:
            return f"a number of about {x.bit_length() * 0.30103:.0f} digits"
        return super().repr_int(x, level)


def shown(value: Any) -> str:
    """A value as messages show it: 80 characters at most."""
    return f"{_Short().repr(value):.80}"


def cut(text: str, most: int = 80) -> str:
    """Text as messages quote it."""
    return text if len(text) <= most else f"{text[:most]}..."


def problems(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """A document's mistakes, a line each, with the nearest right name; of very many, the first.

    where: the file, put before each line.
    """
    return "\n".join(f"{where}: {text}" for text in _lines(error, model))


def _lines(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    items = error.errors(include_url=False)
    for item in items[:MOST_TOLD]:
        yield one_line(_problem(dict(item), model))
    if len(items) > MOST_TOLD:
        yield f"and {len(items) - MOST_TOLD} more mistakes"


def one_line(text: str) -> str:
    """With characters that no terminal shows, or that would end the line, as escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _problem(item: dict[str, Any], model: type[BaseModel]) -> str:
    kind, location, got = item["type"], item["loc"], item.get("input")
    context = item.get("ctx", {})
    if kind == "extra_forbidden":
        path, models = _walk(model, location[:-1])
        allowed = [name for each in models for name in each.model_fields]
        key = cut(str(location[-1]))
        return _at(path, f"unknown key `{key}`; {nearest(key, allowed)}")
    path, models = _walk(model, location)
    if kind == "missing":
        return _at(path[:-1], f"the key `{path[-1]}` is missing")
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        return _at(path, f"the key `{key}` is missing; one of: {', '.join(_tags(models, key))}")
    if kind == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        tag = cut(context["tag"])
        return _at([*path, key], f"unknown value `{tag}`; {nearest(tag, _tags(models, key))}")
    message = item["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return _at(path, message)
    if kind == "too_short":
        return _at(path, f"needs at least {context['min_length']} (got {context['actual_length']})")
    if kind == "too_long":
        count = context["actual_length"]
        return _at(path, f"at most {context['max_length']}" + (f" (got {count})" if count else ""))
    message = _plain(kind, message)
    choices = re.findall(r"'([^']+)'", str(context.get("expected", "")))
    if kind == "literal_error" and isinstance(got, str) and choices:
        return _at(path, f"unknown value `{cut(got)}`; {nearest(cut(got), choices)}")
    received = "" if _is_secret(model, location) else f" (got {shown(got)})"
    return _at(path, f"{message}{received}")


def _is_secret(model: type[BaseModel], location: Location) -> bool:
    """Whether it lies in a field that is left out of a model's own `repr`."""
    for end, part in enumerate(location):
        fields = [each.model_fields.get(str(part)) for each in _walk(model, location[:end])[1]]
        if any(field is not None and not field.repr for field in fields):
            return True
    return False


def _plain(kind: str, message: str) -> str:
    """pydantic's words where they speak of Python."""
    return {
        "model_type": "should be a mapping of keys to values",
        "model_attributes_type": "should be a mapping of keys to values",
        "dict_type": "should be a mapping of keys to values",
        "invalid_key": "keys should be text",
        "tuple_type": "should be a list",
        "path_type": "should be a path",
        "string_type": "should be text",
        "string_unicode": "should be Unicode text",
    }.get(kind, message[:1].lower() + message[1:])


def _at(path: list[str], message: str) -> str:
    return f"{'.'.join(path)}: {message}" if path else message


def _walk(model: type[BaseModel], location: Location) -> tuple[list[str], Models]:
    """pydantic's location as the document has it, and the models that may stand there.

    Where a union is told apart by a key (`source`, `family`, `kind`), pydantic puts that key's
    value into the location, and in any other union the kind (`tuple[Pair, ...]`); the document has
    no such level.
    """
    here: Models = [model]
    path: list[str] = []
    for part in location:
        if len(here) > 1 and isinstance(part, str):
            here = [each for each in here if part in _all_tags(each)]
            continue
        if isinstance(part, str) and part.endswith("]"):
            continue
        path.append(cut(str(part)))
        if isinstance(part, str):
            fields = [each.model_fields[part] for each in here if part in each.model_fields]
            here = [found for field in fields for found in _models_in(field.annotation)]
    return path, here


def _all_tags(model: type[BaseModel]) -> list[str]:
    """The values of a model's keys that allow only one."""
    return [
        typing.get_args(field.annotation)[0]
        for field in model.model_fields.values()
        if typing.get_origin(field.annotation) is typing.Literal
        and len(typing.get_args(field.annotation)) == 1
    ]


def _tags(models: Models, key: str) -> list[str]:
    return [typing.get_args(each.model_fields[key].annotation)[0] for each in models]


def _models_in(annotation: Any) -> Models:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
