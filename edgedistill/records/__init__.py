"""What one stage leaves for another, and what a user gets: frozen dataclasses, and their files."""

from edgedistill.records.codec import Record, as_json, read_record
from edgedistill.records.data import DataRecord, Duplicates, Twin
from edgedistill.records.teacher import TeacherRecord, TextsRecord

__all__ = [
    "DataRecord",
    "Duplicates",
    "Record",
    "TeacherRecord",
    "TextsRecord",
    "Twin",
    "as_json",
    "read_record",
]
