"""Whoever may be the teacher: one of the families, or several together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import Field, model_validator

from edgedistill.families.common import ModelCommon, TeacherCommon
from edgedistill.families.models import FAMILIES
from edgedistill.families.teachers import TEACHERS
from edgedistill.target import Frozen

if TYPE_CHECKING:
    MemberTeacher = TeacherCommon
else:
    MemberTeacher = Annotated[
        Union[tuple(each for each in (*FAMILIES, *TEACHERS) if each.in_ensemble)],
        Field(discriminator="family"),
    ]


class Member(Frozen):
    """One of an ensemble."""

    teacher: MemberTeacher
    """Any but a stored one, a dual encoder or another ensemble."""
    weight: float = Field(default=1.0, gt=0.0, le=1e6)
    """Of its probabilities in the mean."""


class Ensemble(TeacherCommon):
    """Several teachers, whose probabilities are averaged."""

    family: Literal["ensemble"]
    opened_by = "edgedistill.distill.teachers.ensemble"
    takes_arrays = True
    takes_sound = True
    members: tuple[Member, ...] = Field(min_length=2, max_length=64)
    """Two or more."""

    @model_validator(mode="after")
    def _members_know_something(self) -> Ensemble:
        for at, member in enumerate(self.members):
            model = member.teacher
            known = getattr(model, "weights", True) or getattr(model, "pretrained", False)
            if not known:
                raise ValueError(f"member {at} has no `weights` and is not `pretrained`")
            if getattr(model, "outputs", "") == "embedding":
                raise ValueError(f"member {at}: `outputs: embedding` is for a teacher alone")
        return self


if TYPE_CHECKING:
    Teacher = TeacherCommon
else:
    Teacher = Annotated[Union[(*FAMILIES, *TEACHERS, Ensemble)], Field(discriminator="family")]


def unfit_teacher(teacher: TeacherCommon, trained: bool) -> str:
    """What a teacher lacks to know anything, in words; empty where it lacks nothing.

    trained: whether the recipe trains it.
    """
    if not isinstance(teacher, ModelCommon):
        if trained:
            return (
                f"`stages.teacher.train` trains torch models; a teacher of the family "
                f"`{teacher.family}` answers as it is"
            )
        return ""
    if teacher.weights or getattr(teacher, "pretrained", False) or trained:
        return ""
    return (
        "the teacher has no `weights`, is not `pretrained`, and `stages.teacher.train` "
        "does not train it"
    )


def unfit_size(
    models: Iterable[tuple[str, TeacherCommon]], size: tuple[int, int] | None, resize: str
) -> str:
    """Which model cannot see the images in the size that it asks for, in words; empty where all
    can.

    models: by their places in the recipe; size: of the data's pictures, None where there are none;
    resize: how these come to it.
    """
    for role, model in models:
        own = model.image_size
        if own is None:
            continue
        if role != "teacher":
            return f"`{role}.image_size`: only `teacher` sees the images in a size of its own"
        if size is None:
            continue
        if model.family == "stored":
            return "`teacher.image_size`: stored answers were given already"
        # Another shape would be cut out of another part of the picture.
        if resize == "crop" and abs(own[1] - own[0] * size[1] / size[0]) > 1.0:
            return (
                f"`teacher.image_size: {list(own)}` has other proportions than "
                f"`data.image_size: {list(size)}`; of a picture that is cut to its middle, the "
                "teacher would see another part"
            )
    return ""
