"""Whatever may be trained, or built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from edgedistill.families.common import ModelCommon
from edgedistill.families.models import FAMILIES

if TYPE_CHECKING:
    Model = ModelCommon
else:
    Model = Annotated[Union[tuple(FAMILIES)], Field(discriminator="family")]
