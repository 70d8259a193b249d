"""YAML documents a user writes: read with every mistake found, and said in the user's words."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from edgedistill.errors import UserError, nearest

Location = Sequence[int | str]
Models = list[type[BaseModel]]


class _Loader(yaml.SafeLoader):
    """As `yaml.SafeLoader`, but a key given twice is an error and not the last one's win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is a plain word; quote text in braces", key.start_mark
                )
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key `{key.value}` is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The document in a YAML file. Raises UserError with the line where it breaks."""
    try:
        return yaml.load(path.read_text(), _Loader)
    except FileNotFoundError:
        raise UserError(
            f"file not found: {path}", "`edgedistill init` writes a recipe to start from"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}", "give a YAML text file") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserError(
            f"{path}: {line}not valid YAML: {error.problem}",
            "check the indentation and the colons there",
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}", "give a YAML text file") from None


def override(document: dict[str, Any], setting: str) -> dict[str, Any]:
    """`document` with `stages.distill.epochs=3` applied; the value is read as YAML.

    Raises UserError: not of the form key=value, or a key inside something that has none.
    """
    key, equals, text = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise UserError(f"--set {setting}: not of the form key=value", "e.g. --set seed=3")
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError:
        raise UserError(
            f"--set {setting}: the value is not valid YAML", "quote it, e.g. --set 'name=\"a: b\"'"
        ) from None
    changed: dict[str, Any] = _with_value(document, key.split("."), value, setting)
    return changed


def _with_value(place: Any, keys: list[str], value: Any, setting: str) -> Any:
    if not keys:
        return value
    first, rest = keys[0], keys[1:]
    if isinstance(place, list):
        if not (first.isdecimal() and int(first) < len(place)):
            raise UserError(
                f"--set {setting}: `{first}` is not a place in a list of {len(place)}",
                "count from 0",
            )
        items = list(place)
        items[int(first)] = _with_value(items[int(first)], rest, value, setting)
        return items
    if place is not None and not isinstance(place, dict):
        raise UserError(
            f"--set {setting}: there is no `{first}` in the value {place!r}", "set the whole value"
        )
    inner = dict(place or {})
    inner[first] = _with_value(inner.get(first), rest, value, setting)
    return inner


def problems(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Every mistake of a document, a line each, with the nearest right name.

    where: the file, put before each line.
    """
    told = (_one_line(_problem(dict(item), model)) for item in error.errors())
    return "\n".join(f"{where}: {text}" for text in told)


def _one_line(text: str) -> str:
    """With characters that no terminal shows, or that would end the line, as escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _problem(item: dict[str, Any], model: type[BaseModel]) -> str:
    kind, location, got = item["type"], item["loc"], item.get("input")
    context = item.get("ctx", {})
    if kind == "extra_forbidden":
        path, models = _walk(model, location[:-1])
        allowed = [name for each in models for name in each.model_fields]
        return _at(path, f"unknown key `{location[-1]}`; {nearest(str(location[-1]), allowed)}")
    path, models = _walk(model, location)
    if kind == "missing":
        return _at(path[:-1], f"the key `{path[-1]}` is missing")
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        return _at(path, f"the key `{key}` is missing; one of: {', '.join(_tags(models, key))}")
    if kind == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        tag = context["tag"]
        return _at([*path, key], f"unknown value `{tag}`; {nearest(tag, _tags(models, key))}")
    message = item["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return _at(path, message)
    if kind == "too_short":
        return _at(path, f"needs at least {context['min_length']} (got {context['actual_length']})")
    message = _plain(kind, message)
    if kind == "literal_error" and isinstance(got, str):
        choices = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        return _at(path, f"unknown value `{got}`; {nearest(got, choices)}")
    return _at(path, f"{message} (got {got!r:.80})")


def _plain(kind: str, message: str) -> str:
    """pydantic's words where they speak of Python."""
    return {
        "model_type": "should be a mapping of keys to values",
        "model_attributes_type": "should be a mapping of keys to values",
        "dict_type": "should be a mapping of keys to values",
        "tuple_type": "should be a list",
        "path_type": "should be a path",
        "string_type": "should be text",
    }.get(kind, message[:1].lower() + message[1:])


def _at(path: list[str], message: str) -> str:
    return f"{'.'.join(path)}: {message}" if path else message


def _walk(model: type[BaseModel], location: Location) -> tuple[list[str], Models]:
    """pydantic's location as the document has it, and the models that may stand there.

    Where a union is told apart by a key (`source`, `family`, `kind`), pydantic puts that key's
    value into the location; the document has no such level.
    """
    here: Models = [model]
    path: list[str] = []
    for part in location:
        if len(here) > 1 and isinstance(part, str):
            here = [each for each in here if part in _all_tags(each)]
            continue
        path.append(str(part))
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
