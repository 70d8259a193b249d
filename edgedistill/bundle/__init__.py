"""Bundles: the folder an app developer takes home."""

from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.hearing import Detection
from edgedistill.bundle.prediction import Prediction
from edgedistill.bundle.write import write_bundle
from edgedistill.bundle.write_recognizer import Compiled, write_recognizer
from edgedistill.records.recognizer import Guards

__all__ = [
    "Bundle",
    "Compiled",
    "Detection",
    "Guards",
    "Prediction",
    "write_bundle",
    "write_recognizer",
]
