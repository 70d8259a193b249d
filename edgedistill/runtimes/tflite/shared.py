"""A flatbuffer's builder that stores what is the same once.

A .tflite file says for every tensor how it is quantized, and of each channel that its zero point is
0; with small weights that takes more than they do. The format lets tables point to one another's
parts, so readers of any age take it.
"""

from __future__ import annotations

from typing import Any

import flatbuffers  # type: ignore[import-untyped]


class SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Gives vectors, strings and tables the place of an earlier one with the same content."""

    head: int
    current_vtable: list[int] | None

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._places: dict[tuple[Any, ...], int] = {}
        self._begin = self._alignment = 0
        self._targets: list[int] = []
        """Of the vector in the making, if it holds places of others: stored as distances, these
        differ from one vector to the next."""
        self._fields: list[tuple[Any, ...]] = []
        """Of the table in the making."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        """As flatbuffers has it."""
        self._begin, self._alignment, self._targets = self.Offset(), alignment, []
        return super().StartVector(elemSize, numElems, alignment)

    def EndVector(self, numElems: int | None = None) -> Any:
        """As flatbuffers has it; the place of an earlier vector where there was one."""
        count, begin = self.vectorNumElems, self._begin
        place = super().EndVector()
        content = bytes(self.Bytes[self.head : len(self.Bytes) - begin])
        known = tuple(self._targets) or content
        found = self._places.setdefault(("vector", self._alignment, count, known), place)
        if found != place:
            self.head = len(self.Bytes) - begin
        return found

    def CreateString(self, s: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
        """As flatbuffers has it; the place of an earlier string where there was one."""
        self._begin, self._alignment, self._targets = self.Offset(), 0, []
        return super().CreateString(s, encoding, errors)

    def StartObject(self, numfields: int) -> None:
        """As flatbuffers has it."""
        self._fields = []
        super().StartObject(numfields)

    def PrependSlot(self, flags: Any, o: int, x: Any, d: Any) -> None:
        """As flatbuffers has it."""
        if x != d:
            self._fields.append((o, flags, x))
        super().PrependSlot(flags, o, x, d)

    def PrependUOffsetTRelativeSlot(self, o: int, x: int, d: int) -> None:
        """As flatbuffers has it."""
        if x != d:
            self._fields.append((o, "place", x))
        super().PrependUOffsetTRelativeSlot(o, x, d)

    def PrependUOffsetTRelative(self, off: int) -> None:
        """As flatbuffers has it."""
        self._targets.append(off)
        super().PrependUOffsetTRelative(off)

    def EndObject(self) -> Any:
        """As flatbuffers has it; the place of an earlier table where there was one."""
        assert self.current_vtable is not None
        key = ("table", len(self.current_vtable), *self._fields)
        if key not in self._places:
            self._places[key] = super().EndObject()
        else:
            self.nested, self.current_vtable = False, None
            self.head = len(self.Bytes) - self.objectEnd
        return self._places[key]
