"""Samples in: sources, splits and their checks, augmentation, batches."""

from edgedistill.data import augment
from edgedistill.data.fingerprint import fingerprint
from edgedistill.data.images import read_images, to_pixels
from edgedistill.data.loading import batches
from edgedistill.data.prepare import prepare
from edgedistill.data.splits import Split, open_split

__all__ = [
    "Split",
    "augment",
    "batches",
    "fingerprint",
    "open_split",
    "prepare",
    "read_images",
    "to_pixels",
]
