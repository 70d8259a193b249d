"""Decoding many images: in worker processes, in order, with bounded memory."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

import numpy as np

from edgedistill.apart import follow_parent
from edgedistill.data.image.decode import Decoded, Form, decode_chunk
from edgedistill.errors import UserError

if TYPE_CHECKING:
    from edgedistill.data.image.decode import Payload

CHUNK_BYTES = 16 << 20
CHUNK_IMAGES = 256
WORTH_PROCESSES = 64 << 20
"""Encoded bytes below which starting processes takes longer than it saves."""


def worker_count(workers: int | None, encoded_bytes: int) -> int:
    """How many processes decode; 0 means this one."""
    if workers is not None:
        return workers
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    processors = processors or os.cpu_count() or 1
    return processors if processors > 1 and encoded_bytes >= WORTH_PROCESSES else 0


def decode_all(
    payloads: Iterable[Payload], forms: Sequence[Form], workers: int
) -> Iterator[Decoded]:
    """Decode chunk by chunk, in the order given, into each of the forms.

    Raises UserError: a worker process died.
    """
    chunks = _chunks(payloads, forms)
    if not workers:
        for chunk in chunks:
            yield decode_chunk(chunk, forms)
        return
    try:
        yield from _in_processes(chunks, forms, workers)
    except BrokenProcessPool:
        raise UserError(
            "a process that decodes images died: out of memory, or started from a script "
            'without `if __name__ == "__main__":`',
            "guard the script's main part, or set `data.workers: 0` to decode in one process",
        ) from None


def _in_processes(
    chunks: Iterator[list[Payload]], forms: Sequence[Form], workers: int
) -> Iterator[Decoded]:
    import multiprocessing

    # Not `fork`: the parent may run threads of torch, arrow or BLAS, whose locks a fork copies.
    executor = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=follow_parent
    )
    try:
        ahead: deque[Future[Decoded]] = deque()
        for chunk in chunks:
            ahead.append(executor.submit(decode_chunk, chunk, forms))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _chunks(payloads: Iterable[Payload], forms: Sequence[Form]) -> Iterator[list[Payload]]:
    """Lists that neither encoded nor decoded pass `CHUNK_BYTES`, unless one image does."""
    decoded_bytes = sum(math.prod(form.shape) for form in forms)
    most = min(CHUNK_IMAGES, max(1, CHUNK_BYTES // decoded_bytes))
    chunk: list[Payload] = []
    size = 0
    for payload in payloads:
        chunk.append(payload)
        size += _bytes(payload)
        if len(chunk) >= most or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _bytes(payload: Payload) -> int:
    if isinstance(payload, bytes):
        return len(payload)
    return payload.nbytes if isinstance(payload, np.ndarray) else 0
