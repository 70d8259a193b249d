"""Bundles: the folder an app developer takes home."""

from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.hearing import Detection
from edgedistill.bundle.prediction import Prediction
from edgedistill.bundle.write import write_bundle

__all__ = ["Bundle", "Detection", "Prediction", "write_bundle"]
