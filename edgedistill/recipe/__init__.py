"""What the user wants: frozen models, read from YAML, all mistakes reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgedistill.document import mapping, override, problems, read_yaml
from edgedistill.errors import UserError
from edgedistill.families.common import ModelCommon
from edgedistill.families.models import (
    DualEncoderModel,
    FunctionModel,
    ResidualModel,
    TimmModel,
    TorchvisionModel,
)
from edgedistill.families.teachers import (
    ClipTeacher,
    HttpTeacher,
    HuggingFaceTeacher,
    KerasTeacher,
    Normalization,
    OnnxTeacher,
    PythonTeacher,
    StoredTeacher,
    TfliteTeacher,
)
from edgedistill.losses.attention import Attention
from edgedistill.losses.bounded import Bounded
from edgedistill.losses.decoupled import Decoupled
from edgedistill.losses.exits import Exits
from edgedistill.losses.hints import Hints
from edgedistill.losses.labels import Labels
from edgedistill.losses.layers import FeatureLoss, Pair
from edgedistill.losses.peers import Peers
from edgedistill.losses.relations import Relations
from edgedistill.losses.similarity import Similarity
from edgedistill.losses.soft_targets import SoftTargets
from edgedistill.recipe.answers import JudgeConfig, TeachConfig
from edgedistill.recipe.checks import (
    AuditConfig,
    BenchmarkConfig,
    ExportConfig,
    ListenConfig,
    VerifyConfig,
)
from edgedistill.recipe.contract import Contract
from edgedistill.recipe.data import (
    ArraysData,
    Data,
    DigitsData,
    FolderData,
    FunctionData,
    HuggingFaceData,
    ManifestData,
    ParquetData,
    TorchvisionData,
)
from edgedistill.recipe.labelled import Recipe
from edgedistill.recipe.losses import DISTILLATION, Loss
from edgedistill.recipe.models import Model
from edgedistill.recipe.paths import with_absolute_paths
from edgedistill.recipe.samples import Augment, Changes, DataCommon
from edgedistill.recipe.sound import Sound, SoundAugment
from edgedistill.recipe.speech import Speech
from edgedistill.recipe.stages import (
    DistillConfig,
    PruneConfig,
    QuantizeConfig,
    Stages,
    TeacherConfig,
    Training,
)
from edgedistill.recipe.teachers import Ensemble, Member, Teacher
from edgedistill.recipe.transcription import TranscriptionRecipe
from edgedistill.usercode import make_importable

__all__ = [
    "DISTILLATION",
    "AnyRecipe",
    "ArraysData",
    "Attention",
    "AuditConfig",
    "Augment",
    "BenchmarkConfig",
    "Bounded",
    "Changes",
    "ClipTeacher",
    "Contract",
    "Data",
    "DataCommon",
    "Decoupled",
    "DigitsData",
    "DistillConfig",
    "DualEncoderModel",
    "Ensemble",
    "Exits",
    "ExportConfig",
    "FeatureLoss",
    "FolderData",
    "FunctionData",
    "FunctionModel",
    "Hints",
    "HttpTeacher",
    "HuggingFaceData",
    "HuggingFaceTeacher",
    "JudgeConfig",
    "KerasTeacher",
    "Labels",
    "ListenConfig",
    "Loss",
    "ManifestData",
    "Member",
    "Model",
    "ModelCommon",
    "Normalization",
    "OnnxTeacher",
    "Pair",
    "ParquetData",
    "Peers",
    "PruneConfig",
    "PythonTeacher",
    "QuantizeConfig",
    "Recipe",
    "Relations",
    "ResidualModel",
    "Similarity",
    "SoftTargets",
    "Sound",
    "SoundAugment",
    "Speech",
    "Stages",
    "StoredTeacher",
    "TeachConfig",
    "Teacher",
    "TeacherConfig",
    "TfliteTeacher",
    "TimmModel",
    "TorchvisionData",
    "TorchvisionModel",
    "Training",
    "TranscriptionRecipe",
    "VerifyConfig",
    "load_recipe",
    "of_labels",
    "parse_recipe",
]


AnyRecipe = Recipe | TranscriptionRecipe


def parse_recipe(document: Any, where: str, overrides: Sequence[str] = ()) -> AnyRecipe:
    """A recipe from a document. Raises UserError that lists every mistake."""
    hint = "`edgedistill init` writes a recipe to start from"
    document = mapping(document, "a recipe", where, hint)
    for setting in overrides:
        document = override(document, setting)
    speaks = document.get("task") == "transcription"
    kind, schema = (
        (TranscriptionRecipe, "edgedistill schema transcription")
        if speaks
        else (Recipe, "edgedistill schema")
    )
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise UserError(
            problems(error, kind, where), f"`{schema}` prints every key and its meaning"
        ) from None


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """A recipe from a YAML file; its relative paths, and its user's Python files, are found from
    the file's folder."""
    recipe = parse_recipe(read_yaml(path), str(path), overrides)
    folder = path.resolve().parent
    make_importable(folder)
    absolute: AnyRecipe = with_absolute_paths(recipe, folder)
    return absolute


def of_labels(recipe: AnyRecipe) -> Recipe:
    """The recipe, where its models answer with labels or the like. Raises UserError: they
    transcribe."""
    if isinstance(recipe, TranscriptionRecipe):
        raise UserError(
            f"{recipe.name}: a recipe of `task: transcription` cannot be used here",
            "give one of another task",
        )
    return recipe
