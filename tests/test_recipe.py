"""A recipe is validated whole; every mistake is said at once, in the user's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgedistill.errors import UserError
from edgedistill.recipe import Recipe, load_recipe, parse_recipe

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
    assert recipe.data.image_size == 16
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
        "ema, epochs, epochs_between, importance, importance_samples, learning_rate, losses, macs, "
        "max_drop, momentum, optimizer, params, precision, round_to, rounds, speedup, warmup, "
        "weight_decay",
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
            "huggingface, arrays, function",
        ),
        ({"data": "digits"}, "data: should be a mapping of keys to values (got 'digits')"),
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
            "stages.prune: say how far to prune: `macs`, `params` or `speedup`",
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
        ({"stages": {**MINIMAL["stages"], "judge": {"unsure": "labels"},
                     "distill": {"search": {"share": [0.5, 1]}}}},
         "`stages.judge` lets labels stand in for the teacher, but `stages.distill.search.share` "
         "may leave them no weight"),
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
    ],
)  # fmt: skip
def test_what_does_not_go_with_the_task_is_said(changes: dict[str, Any], message: str) -> None:
    assert mistakes(**changes) == [f"r.yaml: {message}"]


def test_a_recipe_that_is_no_mapping() -> None:
    with pytest.raises(UserError, match=r"^r\.yaml: a recipe is a mapping, got list"):
        parse_recipe([1], "r.yaml")


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
        ("\x00", "not valid YAML: "),
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
    with pytest.raises(UserError, match="cannot be read"):
        load_recipe(tmp_path / "r.yaml")


# --- properties -----------------------------------------------------------------------------

models = st.one_of(
    st.builds(
        lambda n, w, s: {"family": "resnet_cifar", "depth": 6 * n + 2, "widths": w, "shortcut": s},
        st.integers(1, 18),
        st.tuples(*[st.integers(1, 64)] * 3),
        st.sampled_from(["pad", "conv"]),
    ),
    st.builds(lambda name: {"family": "timm", "name": name, "pretrained": True}, st.text()),
    st.builds(
        lambda args: {"family": "function", "function": "a:b", "args": args, "weights": "w.st"},
        st.dictionaries(st.text(), st.none() | st.integers() | st.text()),
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
        "name": st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True),
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
