"""Sound: decoding, windows, augmentation, splits on disk."""
