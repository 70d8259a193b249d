"""An event loop in a thread of its own, for requests that go on while answers are stored."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread, current_thread

import httpx

THREAD = "http-teacher"


@contextmanager
def session(client: httpx.AsyncClient) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own: requests go on while their answers are stored, and a
    notebook's thread has a loop already. Work under way at the end is broken off."""
    loop, end = asyncio.new_event_loop(), asyncio.Event()
    thread = Thread(target=_live, args=(loop, client, end), name=THREAD, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        # When Python ends, the thread is gone already, and Python 3.13 would wait for it for ever.
        # A generator that was dropped may be closed by the garbage collector in that very thread.
        if not sys.is_finalizing():
            loop.call_soon_threadsafe(end.set)
            if thread is not current_thread():
                thread.join()


def _live(loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient, end: asyncio.Event) -> None:
    async def until_the_end() -> None:
        async with client:
            await end.wait()
            await _break_off()
        # A body that was left unread is closed by a task of its own, as it is collected.
        await asyncio.sleep(0)
        await _break_off()

    loop.run_until_complete(until_the_end())
    loop.close()


async def _break_off() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
