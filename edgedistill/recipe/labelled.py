"""The recipe of a model that answers with labels, numbers or the like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from edgedistill.families.common import ModelCommon
from edgedistill.families.models import DualEncoderModel, FunctionModel
from edgedistill.recipe.arrays import unfit_for_arrays, unfit_for_rate
from edgedistill.recipe.contract import Contract
from edgedistill.recipe.data import Data
from edgedistill.recipe.models import Model
from edgedistill.recipe.stages import Stages, unfit_for_labels
from edgedistill.recipe.tasks import TaskName, unfit, unfit_for_listening, unfit_for_mixing
from edgedistill.recipe.teachers import Ensemble, Teacher, unfit_size, unfit_teacher
from edgedistill.target import FileName, Frozen
from edgedistill.tasks import TASKS


class Recipe(Frozen):
    """All that a compile depends on, but for the target."""

    name: FileName
    """Of the files and the bundle."""
    task: TaskName = "classification"
    """One class for each image; a yes or no for each class; one or more numbers; a place in a space
    that images share with texts; or keywords, which are listened for in a stream of sound."""
    data: Data
    """The images, and what is known about them."""
    teacher: Teacher
    """Whoever answers."""
    assistants: Annotated[tuple[Model, ...], Field(max_length=32)] = ()
    """Models between the teacher and the student, each distilled from the one before (Mirzadeh et
    al. 2020); one of the student's own shape is a born-again round (Furlanello et al. 2018)."""
    student: Model
    """What is trained to fit the device."""
    stages: Stages = Stages()
    """Settings of each stage; each may be left out."""
    contract: Contract = Contract()
    """What the result is promised to be."""
    seed: int = Field(default=0, ge=0, le=4_000_000_000)
    """Of everything that is drawn at random."""
    deterministic: bool = False
    """Same bytes on every run of this machine, at some cost in speed."""

    @model_validator(mode="after")
    def _teacher_knows_something(self) -> Recipe:
        problem = unfit_teacher(self.teacher, trained=self.stages.teacher.train is not None)
        if problem:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _task_can_be_done(self) -> Recipe:
        problem = unfit(self.task, self.teacher, self.student, self.stages, self.contract)
        problem = problem or unfit_for_listening(
            self.task, self.data.sound is not None, self.stages, self.contract
        )
        problem = problem or unfit_for_mixing(
            self.task, self.teacher, self.stages, self.data.augment
        )
        if problem:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _classes_are_told_apart(self) -> Recipe:
        named = getattr(self.data, "classes", None)
        if named and len(named) < TASKS[self.task].fewest_names:
            raise ValueError(f"`task: {self.task}` needs two classes or more in `data.classes`")
        return self

    @model_validator(mode="after")
    def _labels_can_stand_in(self) -> Recipe:
        problem = unfit_for_labels(self.stages)
        if problem:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _normalization_fits_the_images(self) -> Recipe:
        for role, model in self._models():
            for key in ("mean", "std"):
                given = getattr(model, key, None)
                if given is not None and len(given) != self.data.channels:
                    raise ValueError(
                        f"`{role}.{key}` has {len(given)} values, the images have "
                        f"{self.data.channels} channels"
                    )
        return self

    @model_validator(mode="after")
    def _samples_may_be_arrays(self) -> Recipe:
        if self.data.arrays is not None:
            problem = unfit_for_arrays(
                self.task, self._models(), len(self.data.arrays), self.stages, self.contract,
                sound=self.data.sound is not None,
            )  # fmt: skip
            if self.data.sound is not None:
                problem = problem or unfit_for_rate(self._models(), self.data.sound.rate)
            if problem:
                raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _teacher_sees_the_same(self) -> Recipe:
        size = None if self.data.arrays is not None else self.data.picture_size
        problem = unfit_size(self._models(), size, self.data.resize)
        if problem:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _learners_are_of_images(self) -> Recipe:
        for role, model in self._models():
            if isinstance(model, DualEncoderModel) and role != "teacher":
                raise ValueError(
                    f"`{role}`: give the image encoder alone; the teacher's texts go with it"
                )
        return self

    @model_validator(mode="after")
    def _frozen_norms_know_something(self) -> Recipe:
        for role, model in self._models():
            # A function may load weights of its own; an ensemble's members are not trained.
            if not isinstance(model, ModelCommon) or isinstance(model, FunctionModel):
                continue
            if role.startswith("teacher."):
                continue
            place = "teacher.train" if role == "teacher" else "distill"
            training = self.stages.teacher.train if role == "teacher" else self.stages.distill
            known = model.weights is not None or bool(getattr(model, "pretrained", False))
            if training is not None and training.freeze_batch_norm and not known:
                raise ValueError(
                    f"`stages.{place}.freeze_batch_norm` keeps what a pretrained model came with: "
                    f"`{role}` has neither `weights` nor `pretrained`"
                )
        return self

    def _models(self) -> Iterator[tuple[str, Teacher]]:
        """Each model with its place in the document."""
        yield "teacher", self.teacher
        if isinstance(self.teacher, Ensemble):
            for at, member in enumerate(self.teacher.members):
                yield f"teacher.members.{at}.teacher", member.teacher
        for at, assistant in enumerate(self.assistants):
            yield f"assistants.{at}", assistant
        yield "student", self.student
        for at, peer in enumerate(self.stages.distill.peers):
            yield f"stages.distill.peers.{at}", peer
