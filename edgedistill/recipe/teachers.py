"""Whoever may be the teacher: one of the families, or several together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import Field, model_validator

from edgedistill.families.common import TeacherCommon
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
