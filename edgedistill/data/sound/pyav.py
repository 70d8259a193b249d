"""What libsndfile does not read, through PyAV: MPEG-4 audio as phones record it, AAC, WebM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def pyav_blocks(stream: IO[bytes], demuxer: str, heard: Any) -> Iterator[Floats]:
    """(samples, channels) float32 block by block, of the first sound track; fills `heard`'s rate
    and channels.

    Raises errors of PyAV's, and ValueError: there is no sound in it.
    """
    import av

    # Given a stream and its kind, FFmpeg opens nothing else.
    with av.open(stream, "r", format=demuxer, metadata_errors="ignore") as container:
        if not container.streams.audio:
            raise ValueError("holds no sound")
        track = container.streams.audio[0]
        heard.rate, heard.channels = track.codec_context.sample_rate, track.codec_context.channels
        as_floats = av.AudioResampler(format="fltp", rate=heard.rate)
        for frame in container.decode(track):
            for each in as_floats.resample(frame):
                heard.channels = len(each.layout.channels)
                yield np.ascontiguousarray(each.to_ndarray().T)
