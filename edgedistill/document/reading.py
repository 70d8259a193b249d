"""YAML, read with every mistake found before anything is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from edgedistill.document.extent import (
    MOST_DEPTH,
    MOST_DIGITS,
    MOST_ITEMS,
    TOO_DEEP,
    TOO_MANY,
    Unbounded,
    check_extent,
    check_parts,
    is_unicode,
    weight,
)
from edgedistill.document.mistakes import cut, one_line, shown
from edgedistill.errors import UserError, in_short, out_of_resources
from edgedistill.files import read_text

MOST_BYTES = 1_000_000
"""Of a document: tens of thousands of class names."""

_CORE = "tag:yaml.org,2002:"
_TAGS = {
    yaml.ScalarNode: {"str", "int", "float", "bool", "null"},
    yaml.SequenceNode: {"seq"},
    yaml.MappingNode: {"map"},
}
"""What each kind of node may be. A date is left out: nothing asks for one."""


class _Mistake(yaml.MarkedYAMLError):
    def __init__(self, what: str, mark: Any) -> None:
        super().__init__(problem=what, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    """As `yaml.SafeLoader`, but each thing that a document may not hold is an error with its line
    before anything is made of it: nesting without end, aliases that multiply, a key given twice
    (and not the last one's win), a tag of one's own."""

    depth = 0
    count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.count += 1
        if self.count > MOST_ITEMS:
            raise _Mistake(TOO_MANY, self.get_mark())
        self.depth += 1
        if self.depth > MOST_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise _Mistake(TOO_DEEP, mark)
        repeated = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self.depth -= 1
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        if not repeated and not (is_key and _merges(node)):
            _check_tag(node)
        if is_key:
            _check_key(node)
        return node

    def fetch_flow_collection_start(self, token: Any) -> None:
        # The scanner looks ahead, which takes the longer the deeper it is.
        if self.flow_level >= MOST_DEPTH:
            raise _Mistake(TOO_DEEP, self.get_mark())
        super().fetch_flow_collection_start(token)

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if key.value in seen and not _merges(key):
                raise _Mistake(f"the key `{cut(key.value)}` is given twice", key.start_mark)
            seen.add(key.value)
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            try:
                check_parts(node, _nodes, _node_weight)
            except Unbounded as error:
                raise _Mistake(error.why, error.part.start_mark) from None
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, ArithmeticError):
            kind = node.tag.removeprefix(_CORE)
            raise _Mistake(f"`{cut(str(node.value))}` is no {kind}", node.start_mark) from None


def _check_tag(node: Any) -> None:
    name = node.tag.removeprefix(_CORE)
    if node.tag != _CORE + name or name not in _TAGS[type(node)]:
        if name == "timestamp":
            raise _Mistake(
                f"`{cut(node.value)}` is a date; quote it where text is meant", node.start_mark
            )
        if name in ("merge", "value"):
            raise _Mistake(f"`{cut(node.value)}` has a meaning in YAML; quote it", node.start_mark)
        kind = {yaml.ScalarNode: "value", yaml.SequenceNode: "list"}.get(type(node), "mapping")
        tag = f"!!{name}" if node.tag.startswith(_CORE) else node.tag
        raise _Mistake(f"a {kind} with the tag `{cut(tag)}`; leave the tag out", node.start_mark)
    if name in ("int", "float") and len(node.value) > MOST_DIGITS:
        raise _Mistake(f"a number of {len(node.value)} characters", node.start_mark)
    if name == "str" and not is_unicode(node.value):
        raise _Mistake(f"{shown(node.value)} is no Unicode text", node.start_mark)


def _check_key(node: Any) -> None:
    if not isinstance(node, yaml.ScalarNode):
        raise _Mistake("a key is a plain word; quote text in braces", node.start_mark)
    if node.tag != _CORE + "str" and not _merges(node):
        kind = node.tag.removeprefix(_CORE)
        said = f"the key `{cut(node.value)}` is read as {kind}, not as text; quote it"
        raise _Mistake(said, node.start_mark)


def _merges(key: Any) -> bool:
    return bool(key.tag == _CORE + "merge")


def _nodes(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _node_weight(node: Any) -> int:
    return weight(node.value)


def _parse(text: str) -> Any:
    """The value of a YAML text. Raises yaml.YAMLError, whatever is wrong with it."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        mark = yaml.Mark("", error.position, text.count("\n", 0, error.position), 0, "", 0)
        said = f"the character {chr(error.character)!r} may not stand there"
        raise yaml.MarkedYAMLError(problem=said, problem_mark=mark) from None
    try:
        return loader.get_single_data()
    except yaml.YAMLError:
        raise
    except Exception as error:
        # The scanner lets some through: a code of no character in `"\\UFFFFFFFF"`.
        if out_of_resources(error) is not None:
            raise
        raise yaml.MarkedYAMLError(
            problem=in_short(error), problem_mark=loader.get_mark()
        ) from None
    finally:
        loader.dispose()


_PLAINLY = {
    "but found another document": "a second document begins; one is meant",
    "second occurrence": "an anchor of a name that another one has",
}


def _said(error: yaml.YAMLError) -> str:
    """What is wrong, in one line that begins with the line's number, where that is known."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"not valid YAML: {in_short(error)}"
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    problem = str(error.problem)
    return f"{line}not valid YAML: {one_line(cut(_PLAINLY.get(problem, problem), 300))}"


def read_yaml(
    path: Path,
    what: str = "file",
    hint: str = "`edgedistill init` writes a recipe to start from",
) -> Any:
    """The document in a YAML file. Raises UserError with the line where it breaks.

    what, hint: what is meant, and the way out where there is none.
    """
    text = read_text(path, what, hint, MOST_BYTES)
    try:
        return _parse(text)
    except yaml.YAMLError as error:
        raise UserError(
            f"{path}: {_said(error)}", "check that line, its indentation and its colons"
        ) from None


def mapping(document: Any, what: str, where: str, hint: str) -> dict[Any, Any]:
    """The document, if it is a mapping of a size that can be read. Raises UserError."""
    if not isinstance(document, dict):
        kinds = {type(None): "nothing", list: "a list", str: "text"}
        got = kinds.get(type(document), f"a value of the kind {type(document).__name__}")
        raise UserError(f"{where}: {what} is a mapping, got {got}", hint)
    try:
        check_extent(document)
    except ValueError as error:
        raise UserError(f"{where}: {error}", hint) from None
    return document


def override(document: dict[str, Any], setting: str) -> dict[str, Any]:
    """`document` with `stages.distill.epochs=3` applied; the value is read as YAML.

    Raises UserError: not of the form key=value, or a key inside something that has none.
    """
    key, equals, text = setting.partition("=")
    told = f"--set {one_line(cut(setting))}"
    keys = key.split(".")
    if not equals or not all(map(str.strip, keys)) or not key.isprintable():
        raise UserError(f"{told}: not of the form key=value", "e.g. --set seed=3")
    if len(keys) > MOST_DEPTH:
        raise UserError(f"{told}: a key of {len(keys)} parts", "e.g. --set seed=3")
    value = parse_value(text, told)
    changed: dict[str, Any] = _with_value(document, keys, value, told)
    return changed


def parse_value(text: str, told: str) -> Any:
    """What is given on a command line, read as YAML. Raises UserError that begins with `told`."""
    if len(text) > MOST_BYTES:
        raise UserError(f"{told}: the value is too long", "write it into the recipe")
    try:
        return _parse(text)
    except yaml.YAMLError as error:
        hint = "quote it, e.g. --set 'name=\"a: b\"'"
        said = error.problem if isinstance(error, _Mistake) else "the value is not valid YAML"
        raise UserError(f"{told}: {one_line(cut(str(said), 300))}", hint) from None


def with_value(document: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """`document` with the value at a key such as `stages.distill.losses.0.weight`. Raises
    UserError: the key lies inside something that has none."""
    changed: dict[str, Any] = _with_value(document, key.split("."), value, key)
    return changed


def _with_value(place: Any, keys: list[str], value: Any, told: str) -> Any:
    if not keys:
        return value
    first, rest = keys[0], keys[1:]
    if isinstance(place, list):
        if first not in map(str, range(len(place))):
            raise UserError(
                f"{told}: `{cut(first)}` is not a place in a list of {len(place)}",
                "count from 0",
            )
        items = list(place)
        items[int(first)] = _with_value(items[int(first)], rest, value, told)
        return items
    if place is not None and not isinstance(place, dict):
        raise UserError(
            f"{told}: there is no `{cut(first)}` in the value {shown(place)}",
            "set the whole value",
        )
    inner = dict(place or {})
    inner[first] = _with_value(inner.get(first), rest, value, told)
    return inner
