"""A recipe is validated whole; every mistake is said at once, in the user's words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from edgedistill.document import problems
from edgedistill.errors import UserError
from edgedistill.recipe import Recipe, Speech, load_recipe, parse_recipe
from edgedistill.target import Frozen, Target

MINIMAL: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": "digits"},
    "teacher": {"family": "resnet_cifar", "depth": 20},
    "student": {"family": "resnet_cifar", "depth": 8},
    "stages": {"teacher": {"train": {"epochs": 1}}},
}

DUAL = {"family": "dual_encoder", "image": {"family": "resnet_cifar", "depth": 8}}


def mistakes(**changes: Any) -> list[str]:
    with pytest.raises(UserError) as error:
        parse_recipe({**MINIMAL, **changes}, "r.yaml")
    return error.value.message.splitlines()


def test_a_minimal_recipe_is_enough() -> None:
    recipe = parse_recipe(MINIMAL, "r.yaml")
    assert recipe.data.image_size == (16, 16)
    assert recipe.data.resize == "crop"
    assert recipe.stages.quantize is not None


def test_every_mistake_is_reported_at_once() -> None:
    found = mistakes(
        name="has space",
        sed=3,
        data={"source": "folder", "train": "x", "image_size": "big", "augment": {"flipp": True}},
        stages={
            "teacher": {"train": {}},
            "distil": {},
            "distill": {"epochs": -1, "losses": [{"kind": "labels", "smothing": 0.1}]},
            "prune": {"ratoi": 0.5, "speedup": 2},
        },
    )
    assert found == [
        "r.yaml: name: string should match pattern '^[A-Za-z0-9._-]+$' (got 'has space')",
        "r.yaml: data.image_size: input should be a valid integer, unable to parse string as an "
        "integer (got 'big')",
        "r.yaml: data.augment: unknown key `flipp`; did you mean `flip`?",
        "r.yaml: stages.distill.epochs: input should be greater than 0 (got -1)",
        "r.yaml: stages.distill.losses.0: unknown key `smothing`; did you mean `smoothing`?",
        "r.yaml: stages.prune: unknown key `ratoi`; one of: batch_size, checkpoint_minutes, clip, "
        "cost, ema, epochs, epochs_between, freeze_batch_norm, if_costlier, importance, "
        "importance_samples, learning_rate, losses, macs, max_drop, momentum, optimizer, "
        "padded_macs, params, precision, round_to, rounds, speedup, warmup, weight_decay, "
        "weights_kb",
        "r.yaml: stages: unknown key `distil`; did you mean `distill`?",
        "r.yaml: unknown key `sed`; did you mean `seed`?",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": {"source": "foldr"}},
            "data.source: unknown value `foldr`; did you mean `folder`?",
        ),
        (
            {"data": {}},
            "data: the key `source` is missing; one of: digits, folder, parquet, torchvision, "
            "huggingface, manifest, arrays, function",
        ),
        ({"data": "digits"}, "data: should be a mapping of keys to values (got 'digits')"),
        (
            {"data": {"source": "digits", "image_size": [16, 4]}},
            "data.image_size.1: input should be greater than or equal to 8 (got 4)",
        ),
        (
            {"data": {"source": "digits", "image_size": [16, 16, 3]}},
            "data.image_size: at most 2 (got 3)",
        ),
        (
            {"data": {"source": "digits", "image_size": 1025}},
            "data.image_size: input should be less than or equal to 1024 (got 1025)",
        ),
        (
            {"data": {"source": "digits", "image_size": [64, 8], "augment": {"shift": 8}}},
            "data: `augment.shift: 8` may shift all of an image of 8 pixels out of sight",
        ),
        (
            {"data": {"source": "folder", "image_size": 32}},
            "data: the key `train` is missing",
        ),
        (
            {"data": {"source": "function", "image_size": 32, "classes": ["a"]}},
            "data: the key `function` is missing",
        ),
        (
            {"student": {"family": "function", "function": 3}},
            "student.function: should be text (got 3)",
        ),
        (
            {"student": {"family": "function", "function": "a:b", "arg": {}}},
            "student: unknown key `arg`; did you mean `args`?",
        ),
        (
            {"student": {"family": "resnet_cifar", "depth": 21}},
            "student: depth must be 8, 14, 20, ... (6n+2), got 21",
        ),
        (
            {"student": {"family": "resnet_cifar", "depth": 8, "blocks": [1, 2, 2]}},
            "student: `blocks` stands in place of `depth`: leave one of them out, or null",
        ),
        (
            {"student": {"family": "resnet_cifar", "blocks": [1, 0, 2]}},
            "student: only the first of `blocks` may be 0, got [1, 0, 2]",
        ),
        (
            {"student": {"family": "resnet_cifar", "depth": None}},
            "student: `depth` or `blocks` says how many blocks there are",
        ),
        (
            {"student": {"family": "resnet_cifar", "shortcut": "pda"}},
            "student.shortcut: unknown value `pda`; did you mean `pad`?",
        ),
        (
            {"student": {"family": "resnet_cifar", "mean": [0.5]}},
            "student: `mean` and `std` come together",
        ),
        (
            {"student": {"family": "resnet_cifar", "mean": [0.5] * 3, "std": [0.5] * 3}},
            "`student.mean` has 3 values, the images have 1 channels",
        ),
        (
            {"stages": {}},
            "the teacher has no `weights`, is not `pretrained`, and `stages.teacher.train` does "
            "not train it",
        ),
        (
            {"stages": {"teacher": {"train": {}}, "prune": {"epochs": 1}}},
            "stages.prune: say how far to prune: `macs`, `padded_macs`, `cost`, `params`, "
            "`weights_kb` or `speedup`",
        ),
        (
            {"stages": {**MINIMAL["stages"],
                        "quantize": {"float_above": 1, "sensitivity_samples": 0}}},
            "stages.quantize: `float_above` reads the sensitivity table: give it images",
        ),
        (
            {"stages": {"teacher": {"train": {"epochs": float("inf")}}}},
            "stages.teacher.train.epochs: input should be a finite number (got inf)",
        ),
        ({"contract": {"max_size_kb": 0}},
         "contract.max_size_kb: input should be greater than 0 (got 0)"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_exactly(changes: dict[str, Any], message: str) -> None:
    assert mistakes(**changes) == [f"r.yaml: {message}"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": {**MINIMAL["stages"], "distill": {"losses": [{"kind": "bounded"}]}}},
         "`stages.distill.losses`: `bounded` is for `task: regression`"),
        ({"task": "regression",
          "stages": {**MINIMAL["stages"], "prune": {"speedup": 2, "losses": [
              {"kind": "decoupled"}]}}},
         "`stages.prune.losses`: `decoupled` is for `task: classification`"),
        ({"task": "multilabel",
          "stages": {"teacher": {"train": {}, "losses": [{"kind": "labels", "smoothing": 0.1}]}}},
         "`stages.teacher.losses`: `smoothing` is for `task: classification`"),
        ({"task": "multilabel", "stages": {**MINIMAL["stages"], "teach": {"keep": "top_k"}}},
         "`stages.teach.keep: top_k` is for `task: classification`"),
        ({"task": "multilabel", "stages": {**MINIMAL["stages"], "judge": {"wrong": "drop"}}},
         "`stages.judge`: a teacher's errors are told in `task: classification` only"),
        ({"stages": {**MINIMAL["stages"], "judge": {"wrong": "labels"},
                     "distill": {"losses": [{"kind": "soft_targets"}]}}},
         "`stages.judge` lets labels stand in for the teacher, but `stages.distill.losses` have "
         "none of the kind `labels`"),
        ({"stages": {**MINIMAL["stages"], "distill": {"freeze_batch_norm": True}}},
         "`stages.distill.freeze_batch_norm` keeps what a pretrained model came with: `student` "
         "has neither `weights` nor `pretrained`"),
        ({"stages": {"teacher": {"train": {"freeze_batch_norm": True}}}},
         "`stages.teacher.train.freeze_batch_norm` keeps what a pretrained model came with: "
         "`teacher` has neither `weights` nor `pretrained`"),
        ({"task": "retrieval"},
         "`task: retrieval` goes with a teacher of the family `dual_encoder` or `clip`"),
        ({"task": "retrieval", "teacher": DUAL, "student": DUAL},
         "`student`: give the image encoder alone; the teacher's texts go with it"),
        ({"task": "retrieval", "teacher": DUAL,
          "stages": {**MINIMAL["stages"], "distill": {"losses": [{"kind": "exits"}]}}},
         "`stages.distill.losses`: `exits` is for `task: classification`"),
        ({"task": "multilabel", "stages": {**MINIMAL["stages"], "audit": {"control": True}}},
         "`stages.audit` is for `task: classification`"),
        ({"task": "regression", "contract": {"min_worst_class": 0.9}},
         "`contract.min_worst_class` is for `task: classification`"),
        ({"task": "regression", "stages": {}, "teacher": {"family": "http", "url": "http://a/b"}},
         "`task: regression`: a teacher of the family `http` answers with shares of classes here; "
         "take a torch, ONNX, TFLite or Keras model that gives plain outputs, a Python function, "
         "or stored answers"),
        ({"task": "regression", "data": {"source": "digits", "augment": {"mixup": 0.5}}},
         "`data.augment`: `mixup`: labels are mixed of the tasks `classification`, "
         "`multilabel`, not of `regression`"),
        ({"task": "retrieval", "teacher": DUAL,
          "data": {"source": "digits", "augment": {"mixup": 0.5, "cutmix": 0.1}}},
         "`data.augment`: `mixup` and `cutmix`: labels are mixed of the tasks `classification`, "
         "`multilabel`, not of `retrieval`"),
        ({"data": {"source": "digits", "augment": {"cutmix": 0.5}},
          "stages": {**MINIMAL["stages"], "distill": {"losses": [{"kind": "decoupled"}]}}},
         "`stages.distill.losses`: `decoupled` parts answers by one label, and images have two "
         "with `cutmix` of `data.augment`; take `soft_targets`"),
        ({"data": {"source": "digits", "augment": {"cutmix": 0.5}}, "stages": {},
          "teacher": {"family": "stored", "path": "a.parquet"}},
         "`data.augment`: stored answers are of images without `cutmix`"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_the_task_is_said(changes: dict[str, Any], message: str) -> None:
    assert mistakes(**changes) == [f"r.yaml: {message}"]


def test_a_recipe_that_is_no_mapping() -> None:
    with pytest.raises(UserError, match=r"^r\.yaml: a recipe is a mapping, got a list"):
        parse_recipe([1], "r.yaml")


# --- bounds ---------------------------------------------------------------------------------


def _numbers(annotation: Any, bounds: list[Any], path: str) -> Iterator[tuple[str, list[Any]]]:
    """Every number that may stand in a value of this type: where, and what bounds it."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from _numbers(inner, [*bounds, *more], path)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from numbers(annotation, path)
    elif annotation in (int, float):
        yield path, [each for bound in bounds for each in getattr(bound, "metadata", [bound])]
    elif get_origin(annotation) in (tuple, list):
        for inner in set(get_args(annotation)) - {...}:
            yield from _numbers(inner, [], f"{path}[]")
    elif get_origin(annotation) is dict:
        yield from _numbers(get_args(annotation)[1], [], f"{path}{{}}")
    elif get_origin(annotation) in (Union, UnionType):
        for inner in get_args(annotation):
            yield from _numbers(inner, bounds, path)
    else:
        assert annotation in (str, bool, Path, Any, NoneType) or get_origin(annotation) is Literal


def numbers(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, list[Any]]]:
    for name, field in model.model_fields.items():
        yield from _numbers(field.annotation, field.metadata, f"{path}.{name}")


def _models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models_of(field.annotation)
    for inner in get_args(annotation):
        yield from _models_of(inner)


@pytest.mark.parametrize(("model", "least"), [(Recipe, 100), (Target, 5), (Speech, 3)])
def test_every_number_has_a_lower_and_an_upper_bound(model: type[BaseModel], least: int) -> None:
    found = dict(numbers(model))
    assert len(found) >= least
    for path, bounds in found.items():
        lower = [getattr(each, key, None) for each in bounds for key in ("ge", "gt")]
        upper = [getattr(each, key, None) for each in bounds for key in ("le", "lt")]
        assert any(value is not None for value in lower), f"{path} has no lower bound"
        assert any(value is not None for value in upper), f"{path} has no upper bound"


@pytest.mark.parametrize("model", sorted({*_models_of(Recipe), *_models_of(Target)}, key=str))
def test_no_number_may_be_nan_or_infinite(model: type[BaseModel]) -> None:
    assert model.model_config.get("allow_inf_nan") is False


TRAINED = MINIMAL["stages"]["teacher"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2**64}, "seed: input should be less than or equal to 4000000000 (got "
                          "18446744073709551616)"),
        ({"seed": 10**5000}, "a number of about 5000 digits is too large"),
        ({"data": {"source": "digits", "channels": "1"}},
         "data.channels: input should be 1 or 3 (got '1')"),
        ({"data": {"source": "function", "function": "a:b", "image_size": 8, "classes": ["a"]}},
         "`task: classification` needs two classes or more in `data.classes`"),
        ({"name": ".."}, "name: `..` cannot be the name of a file"),
        ({"name": "x" * 300}, "name: string should have at most 100 characters (got "
                              f"'{'x' * 37}...{'x' * 38}')"),
        ({"student": {"family": "resnet_cifar", "depth": 6 * 10**9 + 2}},
         "student.depth: input should be less than or equal to 1202 (got 6000000002)"),
        ({"student": {"family": "resnet_cifar", "widths": [8, 0, 10**9]}},
         "student.widths.1: input should be greater than or equal to 1 (got 0)"),
        ({"stages": {"teacher": TRAINED, "teach": {"views": 10**12}}},
         "stages.teach.views: input should be less than or equal to 10000 (got 1000000000000)"),
        ({"stages": {"teacher": TRAINED, "prune": {"speedup": 2, "rounds": 10**9}}},
         "stages.prune.rounds: input should be less than or equal to 1000 (got 1000000000)"),
        ({"stages": {"teacher": {"train": {"learning_rate": 1e300}}}},
         "stages.teacher.train.learning_rate: input should be less than or equal to 1000 (got "
         "1e+300)"),
        ({"stages": {"teacher": TRAINED, "distill": {"search": {"trials": 12}}}},
         "stages.distill: `search` is gone: `edgedistill search RECIPE` looks for temperatures and "
         "weights"),
        ({"student": {"family": "resnet_cifar", "mean": [0.5], "std": [0]}},
         "student.std.0: input should be greater than or equal to 0.000001 (got 0)"),
        ({"student": {"family": "resnet_cifar", "mean": [0.5] * 9, "std": [1] * 9}},
         "student.mean: at most 3 (got 9)"),
        ({"teacher": {"family": "ensemble", "members": [{"teacher": {
            "family": "onnx", "path": "a.onnx", "mean": [0.5] * 3, "std": [1] * 3}}] * 2},
          "stages": {}},
         "`teacher.members.0.teacher.mean` has 3 values, the images have 1 channels"),
        ({"assistants": [{"family": "resnet_cifar", "mean": [0.5] * 3, "std": [1] * 3}]},
         "`assistants.0.mean` has 3 values, the images have 1 channels"),
        ({"assistants": [DUAL]},
         "`assistants.0`: give the image encoder alone; the teacher's texts go with it"),
        ({"assistants": [{"family": "resnet_cifar"}] * 33}, "assistants: at most 32 (got 33)"),
        ({"data": {"source": "digits", "augment": {"shift": 16}}},
         "data: `augment.shift: 16` may shift all of an image of 16 pixels out of sight"),
        ({"data": {"source": "digits", "caption": "{}" * 1000}},
         "data.caption: string should have at most 1000 characters (got "
         f"'{'{}' * 18}{{...{'{}' * 19}')"),
        ({"stages": {"teacher": TRAINED, "export": {"precisions": ["int8", "int8"]}}},
         "stages.export.precisions: `int8` is listed twice"),
        ({"stages": {"teacher": TRAINED, "distill": {"losses": []}}},
         "stages.distill: `losses`: at least one of a weight above 0 is needed"),
        ({"stages": {"teacher": TRAINED, "quantize": {
            "losses": [{"kind": "labels", "weight": 0}]}}},
         "stages.quantize: `losses`: at least one of a weight above 0 is needed"),
        ({"stages": {"teacher": TRAINED, "distill": {"losses": [{"kind": "hints", "layers": []}]}}},
         "stages.distill.losses.0.layers: needs at least 1 (got 0)"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said(changes: dict[str, Any], message: str) -> None:
    assert f"r.yaml: {message}" in mistakes(**changes)


def test_what_nothing_is_learned_from_may_weigh_nothing() -> None:
    quiet = {"method": "ptq", "losses": []}
    recipe = parse_recipe({**MINIMAL, "stages": {**MINIMAL["stages"], "quantize": quiet}}, "r.yaml")
    assert recipe.stages.quantize is not None


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a", "b", "a"], "data.classes: `a` is listed twice"),
        (["a", " "], "data.classes.1: should be a name, and is empty"),
        (["a", "b\n"], r"data.classes.1: 'b\n' holds characters that cannot be shown"),
        ([], "data.classes: needs at least 1 (got 0)"),
        (["a", "x" * 501], "data.classes.1: string should have at most 500 characters (got "
                           f"'{'x' * 37}...{'x' * 38}')"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", ["parquet", "arrays"])
def test_class_names_are_told_apart(source: str, classes: list[str], message: str) -> None:
    data = {"source": source, "train": "a", "test": "b", "image_size": 8, "classes": classes}
    assert mistakes(data=data) == [f"r.yaml: {message}"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~nobody-of-this-name/x", "nobody's home folder is `~nobody-of-this-name`"),
        ("a\0b", r"a path with a null character: 'a\x00b'"),
        ("x/" * 2500, f"too long a path (4999 bytes): '{'x/' * 17}x...{'x/' * 18}x'"),
        ("x" * 300, f"too long a path (300 bytes): '{'x' * 38}...{'x' * 38}'"),
    ],
)  # fmt: skip
def test_a_path_that_cannot_be_looked_at_is_said(path: str, message: str) -> None:
    data = {"source": "folder", "train": path, "image_size": 8}
    assert [line[:60] for line in mistakes(data=data)] == [f"r.yaml: data.train: {message}"[:60]]


@pytest.mark.parametrize(
    "reference", ["", "a", "a:", ":b", "a:b:c", "a b:c", "../a:b", "a..b:c", "a\0:b", "a:b.c"]
)
def test_a_function_that_cannot_be_found_is_said(reference: str) -> None:
    (line,) = mistakes(student={"family": "function", "function": reference})
    assert line.endswith("is not of the form `module:function`, e.g. `my_models:student`")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"a": {1: 2}}, "the key 1 is no text; quote it"),
        ({"a": float("inf")}, "inf is no finite number"),
        ({"a": {1, 2}}, "{1, 2} is no text, number, list or mapping"),
        ({"classes": 3}, "`classes` is passed by itself; leave it out"),
    ],
)
def test_arguments_are_plain(args: dict[str, Any], message: str) -> None:
    student = {"family": "function", "function": "a:b", "args": args}
    assert mistakes(student=student) == [f"r.yaml: student.args: {message}"]


def test_a_document_that_is_no_file_is_bounded_too() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    with pytest.raises(UserError, match=r"^r\.yaml: holds itself"):
        parse_recipe(endless, "r.yaml")


def test_of_many_mistakes_the_first_are_told_and_the_others_counted() -> None:
    unknown = {f"{'x' * 20_000}{at}": 1 for at in range(60)}
    found = mistakes(**unknown, seed=["y"] * 10_000)
    assert len(found) == 31
    assert found[-1] == "r.yaml: and 31 more mistakes"
    assert found[0] == (
        "r.yaml: seed: input should be a valid integer (got ['y', 'y', 'y', 'y', 'y', 'y', ...])"
    )
    assert all(len(line) < 400 for line in found)


def test_what_a_model_hides_is_not_shown() -> None:
    class TeacherContext(Frozen):
        key: dict[str, int] = Field(repr=False)

    with pytest.raises(ValidationError) as error:
        TeacherContext.model_validate({"key": {"a": "secret"}})
    assert "secret" not in problems(error.value, TeacherContext, "r.yaml")


# --- overrides ------------------------------------------------------------------------------


def test_overrides_reach_any_depth_and_leave_the_document_alone() -> None:
    document = {**MINIMAL, "stages": {"teacher": {"train": {"epochs": 1}}}}
    recipe = parse_recipe(
        document,
        "r.yaml",
        ["stages.distill.epochs=3", "seed=7", "stages.prune={speedup: 2}", "data.limit=null"],
    )
    assert (recipe.stages.distill.epochs, recipe.seed) == (3, 7)
    assert recipe.stages.prune is not None
    assert document["stages"] == {"teacher": {"train": {"epochs": 1}}}


def test_overrides_reach_into_lists() -> None:
    losses = [{"kind": "soft_targets", "weight": 0.5}, {"kind": "labels"}]
    stages = {**MINIMAL["stages"], "distill": {"losses": losses}}
    recipe = parse_recipe(
        {**MINIMAL, "stages": stages}, "r.yaml", ["stages.distill.losses.1.weight=0.25"]
    )
    assert [loss.weight for loss in recipe.stages.distill.losses] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed", "--set seed: not of the form key=value"),
        ("=3", "--set =3: not of the form key=value"),
        ("a..b=3", "--set a..b=3: not of the form key=value"),
        ("seed=[1", "--set seed=[1: the value is not valid YAML"),
        ("name.x=1", "--set name.x=1: there is no `x` in the value 'tiny'"),
        ("stages.distil.epochs=3", "r.yaml: stages: unknown key `distil`; did you mean `distill`?"),
    ],
)
def test_a_wrong_override_is_said(setting: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_recipe(MINIMAL, "r.yaml", [setting])
    assert error.value.message == message


# --- files ----------------------------------------------------------------------------------


def test_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    document = {**MINIMAL, "data": {"source": "folder", "train": "images", "image_size": 32}}
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(document))
    recipe = load_recipe(path)
    assert recipe.data.source == "folder"
    assert recipe.data.train == tmp_path / "images"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2\n", "line 2: not valid YAML: expected ',' or ']', but got ':'"),
        (
            "name: {{ name }}\n",
            "line 1: not valid YAML: a key is a plain word; quote text in braces",
        ),
        ("seed: 1\nseed: 2\n", "line 2: not valid YAML: the key `seed` is given twice"),
        ("a: 1\n\x00", "line 2: not valid YAML: the character '\\x00' may not stand there"),
    ],
)
def test_broken_yaml_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_recipe(path)
    assert error.value.message.startswith(f"{path}: {message}")


def test_a_missing_recipe_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="file not found: "):
        load_recipe(tmp_path / "none.yaml")


def test_a_recipe_that_is_not_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="is no UTF-8 text"):
        load_recipe(tmp_path / "r.yaml")


# --- properties -----------------------------------------------------------------------------

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=50
)
models = st.one_of(
    st.builds(
        lambda n, w, s: {"family": "resnet_cifar", "depth": 6 * n + 2, "widths": w, "shortcut": s},
        st.integers(1, 18),
        st.tuples(*[st.integers(1, 64)] * 3),
        st.sampled_from(["pad", "conv"]),
    ),
    st.builds(
        lambda first, rest: {"family": "resnet_cifar", "blocks": [first, *rest]},
        st.integers(0, 9),
        st.tuples(*[st.integers(1, 9)] * 2),
    ),
    st.builds(lambda name: {"family": "timm", "name": name, "pretrained": True}, names),
    st.builds(
        lambda args: {"family": "function", "function": "a:b", "args": args, "weights": "w.st"},
        st.dictionaries(
            st.text().filter(lambda key: key != "classes"), st.none() | st.integers() | st.text()
        ),
    ),
)
training = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.floats(0.1, 100),
        "batch_size": st.integers(2, 512),
        "ema": st.none() | st.floats(0.1, 0.9),
        "optimizer": st.sampled_from(["sgd", "adamw"]),
        "losses": st.lists(
            st.one_of(
                st.builds(lambda t: {"kind": "soft_targets", "temperature": t}, st.floats(0.5, 9)),
                st.builds(lambda s: {"kind": "labels", "smoothing": s}, st.floats(0, 0.9)),
            ),
            min_size=1,
            max_size=3,
        ),
    },
)
recipes = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,11}", fullmatch=True),
        "data": st.just({"source": "digits"}),
        "teacher": models,
        "student": models,
        "stages": st.fixed_dictionaries(
            {"teacher": st.just({"train": {}})}, optional={"distill": training}
        ),
    },
    optional={"seed": st.integers(0, 2**31)},
)


@settings(max_examples=60, deadline=None)
@given(recipes)
def test_a_recipe_survives_json_and_yaml(document: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(document)
    dumped = recipe.model_dump(mode="json")
    assert Recipe.model_validate(dumped) == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert Recipe.model_validate(yaml.safe_load(yaml.safe_dump(dumped))) == recipe


keys = st.sampled_from(["data", "student", "stages", "source", "distill", "losses", "kind", "x"])
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*MINIMAL, "contract"]), junk))
@example({"data": {"data": None, "source": "\r"}})
def test_no_document_breaks_the_report_of_its_mistakes(changes: dict[str, Any]) -> None:
    message = ""
    try:
        parse_recipe({**MINIMAL, **changes}, "r.yaml")
    except UserError as error:
        message = error.message
    assert all(line.startswith("r.yaml: ") for line in message.splitlines())


# --- schema ---------------------------------------------------------------------------------


def test_every_key_is_explained_in_the_schema() -> None:
    schema = Recipe.model_json_schema()
    assert schema["properties"]["deterministic"]["description"].startswith("Same bytes")
    unexplained = [
        f"{name}.{key}"
        for name, kind in {"Recipe": schema, **schema["$defs"]}.items()
        for key, value in kind["properties"].items()
        if not {"description", "$ref"} & set(value) and key not in ("kind", "family", "source")
    ]
    assert not unexplained
    assert all("description" in kind for kind in schema["$defs"].values())
    assert schema["additionalProperties"] is False


def test_an_image_has_a_height_and_a_width() -> None:
    data = {"source": "digits", "image_size": [16, 40]}
    assert parse_recipe({**MINIMAL, "data": data}, "r.yaml").data.image_size == (16, 40)
