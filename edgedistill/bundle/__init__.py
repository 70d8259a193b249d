"""Bundles: the folder an app developer takes home."""

from edgedistill.bundle.bundle import Bundle, Prediction
from edgedistill.bundle.write import write_bundle

__all__ = ["Bundle", "Prediction", "write_bundle"]
