"""Samples in: sources, splits and their checks, augmentation, batches."""

from edgedistill.data.fingerprint import fingerprint, listing, of_recordings
from edgedistill.data.image import augment
from edgedistill.data.image.decode import Form
from edgedistill.data.image.reading import read_images, read_unlabelled, to_pixels
from edgedistill.data.loading import batches
from edgedistill.data.prepare import prepare
from edgedistill.data.read import Read
from edgedistill.data.sound.reading import read_sounds, read_tiled, read_unlabelled_sounds
from edgedistill.data.sound.split import SoundSplit
from edgedistill.data.speech.prepare import prepare_speech
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.data.split import Split, View
from edgedistill.data.splits import ImageSplit, open_images, open_split

__all__ = [
    "Form",
    "ImageSplit",
    "Read",
    "SoundSplit",
    "Split",
    "Utterances",
    "View",
    "augment",
    "batches",
    "fingerprint",
    "listing",
    "of_recordings",
    "open_images",
    "open_split",
    "open_utterances",
    "prepare",
    "prepare_speech",
    "read_images",
    "read_sounds",
    "read_tiled",
    "read_unlabelled",
    "read_unlabelled_sounds",
    "to_pixels",
]
