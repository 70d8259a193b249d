"""A teacher behind an HTTP endpoint, sent one image, or one window of sound, a request."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar
from itertools import islice
from queue import SimpleQueue
from threading import current_thread
from typing import Any

import httpx
import numpy as np

from edgedistill.artifact import text_digest
from edgedistill.distill.teachers import (
    Floats,
    Images,
    Predictions,
    Teacher,
    TeacherBatch,
    TeacherContext,
    Waves,
    body,
    sending,
)
from edgedistill.distill.teachers.fingerprint import fingerprint
from edgedistill.distill.teachers.remembered import Remembered
from edgedistill.distill.teachers.response import find, logits_of
from edgedistill.distill.teachers.secrets import Secrets
from edgedistill.distill.teachers.session import THREAD, session
from edgedistill.errors import UserError
from edgedistill.families.endpoint import shown_url
from edgedistill.recipe import HttpTeacher

FIRST_WAIT = 1.0
"""Seconds before the first retry, at most; doubles with each."""
LONGEST_WAIT = 120.0
"""Seconds, also where Retry-After asks for more."""
LONGEST_TOLD = 600
"""Characters: an endpoint's words end up in messages."""

KEPT = "the answers so far are kept; run again to go on"


class _NoCookies(CookieJar):
    """Keeps none: an image's answer is not to depend on the images before it, and an endpoint may
    not make the requests grow."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        pass


def _is_not_ours(record: logging.LogRecord) -> bool:
    return current_thread().name != THREAD


for _name in ("httpx", "httpcore.http11"):
    # They write whole addresses and an endpoint's headers into the log.
    logging.getLogger(_name).addFilter(_is_not_ours)


class _Stopped(Exception):
    """No request may begin any more: a sample has failed, or `max_requests` is used up."""


class EndpointTeacher:
    """Raises UserError when opened: `url`, `at` or a header is no such thing, or the environment
    lacks what they name."""

    def __init__(
        self,
        config: HttpTeacher,
        classes: Sequence[str],
        sent: Counter[str] | None = None,
        rate: int | None = None,
    ) -> None:
        """rate: samples a second, where it is asked about sound."""
        if not re.fullmatch(r"(/([^/~]|~[01])*)*", config.at):
            raise UserError(
                f"teacher: `at: {config.at}` is not a JSON pointer (RFC 6901)",
                "each step begins with `/`, such as `/predictions/0`",
            )
        self._shown = shown_url(config.url)
        self._config, self._classes, self._rate = config, classes, rate
        self._secrets = Secrets(config)
        self._most = body.most(len(classes))
        self._sent: Counter[str] = Counter() if sent is None else sent
        self._answered = 0
        self._free_at = 0.0
        """When the next request may begin, on the monotonic clock."""

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """At most `concurrency` requests are under way or wait to be taken. Closed early, it
        breaks them off. When a sample fails, none begins any more, and those under way are still
        yielded before the error is raised: they are paid for."""
        samples, places = batch.integers, iter(range(len(batch.ids)))
        under_way: dict[Future[Floats], int] = {}
        done: SimpleQueue[Future[Floats]] = SimpleQueue()
        failure: UserError | None = None
        stopped, stop = False, asyncio.Event()
        client = self._client()
        with session(client) as loop:
            while True:
                free = self._config.concurrency - len(under_way)
                for place in islice(places, 0 if failure or stopped else free):
                    answer = self._answer(client, stop, samples[place])
                    future = asyncio.run_coroutine_threadsafe(answer, loop)
                    under_way[future] = place
                    future.add_done_callback(done.put)
                if not under_way:
                    break
                future = done.get()
                place = under_way.pop(future)
                try:
                    logits = future.result()
                except _Stopped:
                    stopped = True
                except UserError as error:
                    failure = failure or self._about(batch, place, error)
                else:
                    self._answered += 1
                    yield Predictions(np.array([place]), logits[None])
        if failure:
            raise failure
        if stopped:
            raise UserError(
                f"teacher: `max_requests: {self._config.max_requests}` is used up; "
                f"{self._answered} answers are kept",
                "raise `max_requests`, or just run again to go on with as many more",
            )

    def _client(self) -> httpx.AsyncClient:
        count = self._config.concurrency
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
        headers, cookies = self._secrets.headers, _NoCookies()
        try:
            return httpx.AsyncClient(headers=headers, cookies=cookies, limits=limits, timeout=None)
        except Exception as error:  # its words may hold a proxy's password
            raise UserError(
                "teacher: the environment's proxy or certificates cannot be used "
                f"({type(error).__name__})",
                "mend HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE or SSL_CERT_DIR",
            ) from None

    async def _answer(
        self, client: httpx.AsyncClient, stop: asyncio.Event, sample: Images | Waves
    ) -> Floats:
        """Logits (classes,) for an image (height, width, channels), or a window (length,)."""
        try:
            return self._read(await self._fetch(client, stop, sample))
        except UserError:
            stop.set()
            raise

    async def _fetch(
        self, client: httpx.AsyncClient, stop: asyncio.Event, sample: Images | Waves
    ) -> bytes:
        """The body of the response, after as many retries as it takes and `retries` allows."""
        config, sent = self._config, sending.body(sample, self._config.send, self._rate)
        # Of the pixels, since the bytes of a PNG depend on who wrote it.
        key = hashlib.sha256(config.url.encode() + sample.tobytes()).hexdigest()
        wait, longest, trouble, hint = 0.0, FIRST_WAIT, "", ""
        for _ in range(config.retries + 1):
            await self._begin(stop, wait)
            # Full jitter: Brooker 2015, "Exponential Backoff And Jitter".
            wait, longest = random.uniform(0, longest), min(2 * longest, LONGEST_WAIT)
            hint = "is it up, and can this machine reach it?"
            try:
                async with asyncio.timeout(config.timeout):
                    response, content = await self._post(client, sent, key)
            except TimeoutError:
                trouble = f"has not answered within {config.timeout:g} s"
                hint = "raise `timeout`, or lower `concurrency`"
            except (UserError, MemoryError):
                raise
            # Whatever a library is led to by what an endpoint sends, or by its name.
            except Exception as error:
                trouble = f"fails with {type(error).__name__}: {self._secrets.echo(str(error))}"
            else:
                if response.is_success:
                    return content
                reason = self._secrets.echo(response.reason_phrase)
                trouble = f"answers {response.status_code} {reason}".rstrip()
                if content:
                    trouble += f": {self._excerpt(content)}"
                if response.status_code == 429:
                    hint = "set `per_second`, or lower `concurrency`"
                elif response.status_code < 500:
                    raise UserError(f"{self._shown} {trouble}", "check `url`, `send` and `headers`")
                asked = _retry_after(response.headers.get("Retry-After", ""))
                if asked is not None:
                    wait = min(asked, LONGEST_WAIT)
                    # It is meant for whoever asks, not for this one image.
                    self._free_at = max(self._free_at, time.monotonic() + wait)
        raise UserError(f"{self._shown} {trouble} (retries: {config.retries})", hint)

    async def _post(
        self, client: httpx.AsyncClient, sent: bytes, key: str
    ) -> tuple[httpx.Response, bytes]:
        """The response and its body; of an error's, the beginning."""
        request = client.stream(
            "POST", self._secrets.url, content=sent, headers={"Idempotency-Key": key}
        )
        async with request as response:
            if not response.is_success:
                return response, await body.beginning(response)
            try:
                return response, await body.whole(response, self._most)
            except UserError as error:
                raise UserError(f"{self._shown} {error.message}", error.hint) from None

    async def _begin(self, stop: asyncio.Event, wait: float) -> None:
        """Return when a request may begin, in `wait` seconds at the earliest.

        Raises _Stopped.
        """
        earliest = time.monotonic() + wait
        while True:
            most = self._config.max_requests
            if most is not None and self._sent[self._config.url] >= most:
                stop.set()
            if stop.is_set():
                raise _Stopped
            now = time.monotonic()
            pause = max(earliest, self._free_at) - now
            if pause <= 0:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
        self._sent[self._config.url] += 1
        if self._config.per_second is not None:
            self._free_at = now + 1 / self._config.per_second

    def _read(self, content: bytes) -> Floats:
        """Logits (classes,) of a response."""
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise UserError(
                f"{self._shown} answers what is not JSON: {self._excerpt(content)}", "check `url`"
            ) from None
        return logits_of(find(document, self._config.at), self._config.answer, self._classes)

    def _excerpt(self, content: bytes) -> str:
        """The first 200 characters."""
        text = content[: body.MOST_OF_AN_ERROR].decode("utf-8", "replace")
        return repr(self._secrets.echo(text)[:200])

    def _about(self, batch: TeacherBatch, place: int, error: UserError) -> UserError:
        which = f"{'test ' if batch.of_test else ''}sample {batch.samples[place]}"
        told = self._secrets.masked(error.message)
        short = told if len(told) <= LONGEST_TOLD else f"{told[:LONGEST_TOLD]}..."
        return UserError(f"{which}: {short}", f"{error.hint} ({KEPT})")


def open_(config: HttpTeacher, context: TeacherContext) -> Teacher:
    """One that remembers its answers, where the context has a place for them."""
    sending.check_sendable(config, context)
    endpoint = EndpointTeacher(config, context.classes, context.sent, context.rate)
    if context.answers is None:
        return endpoint
    heard = {} if context.rate is None else {"rate": context.rate}
    asked = {"teacher": fingerprint(config), "classes": list(context.classes), **heard}
    name = text_digest(asked)[:24]
    return Remembered(endpoint, context.answers / name, len(context.classes))


def _retry_after(value: str) -> float | None:
    """Seconds from now, from seconds or a date (RFC 9110, 10.2.3); None if it is neither."""
    if re.fullmatch(r"[0-9]{1,300}", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value[:100])
        left = date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)
    except Exception:  # of more kinds than are documented
        return None
    return max(0.0, left.total_seconds())
