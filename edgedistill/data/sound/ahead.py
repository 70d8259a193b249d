"""Recordings decoded ahead of whoever writes them, in threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from edgedistill.data.sound.decode import Heard, Payload, Samples, decoded_blocks

AT_ONCE_BYTES = 4 << 20
"""Encoded recordings above that are decoded block by block, others whole, several at a time."""
MOST_THREADS = 8


@dataclass(frozen=True)
class Decoding:
    """A recording as it is decoded."""

    blocks: Iterator[Samples]
    """All of it, once. Raises BadSound as `decoded_blocks`."""
    heard: Heard
    """What was seen of it, once its blocks are all there."""


def decoded_ahead(
    recordings: Iterable[tuple[Payload, bool]], rate: int, workers: int | None = None
) -> Iterator[Decoding]:
    """Each recording at `rate` samples a second, in order. Several are decoded ahead: the decoders
    are in C and let go of the interpreter.

    recordings: what each comes as, and whether it is small enough to be held whole, whatever its
    encoded size; workers: threads, by default one a processor.
    """
    count = min(MOST_THREADS, os.cpu_count() or 1) if workers is None else max(1, workers)
    waiting: deque[Decoding] = deque()
    with ThreadPoolExecutor(count, "edgedistill-decode") as threads:
        try:
            for payload, whole in recordings:
                heard = Heard()
                if whole or _size(payload) <= AT_ONCE_BYTES:
                    future = threads.submit(_all, payload, rate, heard)
                    waiting.append(Decoding(_given(future), heard))
                else:
                    waiting.append(Decoding(decoded_blocks(payload, rate, heard), heard))
                if len(waiting) > 2 * count:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            threads.shutdown(cancel_futures=True)


def _all(payload: Payload, rate: int, heard: Heard) -> list[Samples]:
    return list(decoded_blocks(payload, rate, heard))


def _given(future: Future[list[Samples]]) -> Iterator[Samples]:
    yield from future.result()


def _size(payload: Payload) -> int:
    if payload is None or isinstance(payload, bytes):
        return len(payload or b"")
    try:
        return os.stat(payload).st_size
    except OSError:  # which its decoder tells of
        return 0
