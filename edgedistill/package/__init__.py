"""Bundles: the folder an app developer takes home."""

from edgedistill.package.bundle import Bundle, Prediction
from edgedistill.package.write import write_bundle

__all__ = ["Bundle", "Prediction", "write_bundle"]
