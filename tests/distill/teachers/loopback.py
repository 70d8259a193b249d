"""An endpoint on this machine, for the HTTP teacher: it answers, and fails or lies when told to."""

from __future__ import annotations

import base64
import io
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Asked:
    """A request. image: (height, width) or (height, width, 3), uint8; at: monotonic seconds."""

    number: int
    image: Pixels
    headers: Mapping[str, str]
    at: float


@dataclass(frozen=True)
class Reply:
    """What a request gets. Without a body, a 200 is the true answer, and any other is empty."""

    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    late: float = 0.0
    """Seconds."""
    cut: bool = False
    """Close the connection without a word."""


def first(*replies: Reply) -> Callable[[Asked], Reply]:
    """`replies` for the first requests, the true answer for all later ones."""
    return lambda asked: replies[asked.number] if asked.number < len(replies) else Reply()


def of_three(image: Pixels) -> list[float]:
    """Probabilities of three classes, other ones for each value of the first pixel."""
    share = 0.1 + 0.5 * float(image.flat[0]) / 255
    return [share, 0.7 - share, 0.3]


class Endpoint(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, answer: Callable[[Pixels], Any], reply: Callable[[Asked], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/predict"
        self.shown = f"http://127.0.0.1:{self.server_port}/..."
        """The address as messages have it."""
        self.answer, self.reply = answer, reply
        self.asked: list[Asked] = []
        self.answers: Counter[str] = Counter()
        """How many answers (200) were given to each Idempotency-Key."""
        self.at_once = self.most_at_once = 0
        self.lock, self.closing = Lock(), Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the client is free to go
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet: a body that waits for the headers' acknowledgement is 40 ms late
    server: Endpoint

    def do_POST(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] == "application/json":
            body = base64.b64decode(json.loads(body)["image"], validate=True)
        image = np.asarray(Image.open(io.BytesIO(body), formats=["PNG"]))
        with server.lock:
            asked = Asked(len(server.asked), image, dict(self.headers), time.monotonic())
            server.asked.append(asked)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        reply = server.reply(asked)
        server.closing.wait(reply.late)
        with server.lock:
            server.at_once -= 1
            if reply.status == 200 and not reply.cut:
                server.answers[asked.headers["Idempotency-Key"]] += 1
        if reply.cut:
            self.close_connection = True
            return
        content = reply.body
        if content is None:
            content = json.dumps(server.answer(image)).encode() if reply.status == 200 else b""
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *values: Any) -> None:
        pass


@contextmanager
def serve(
    answer: Callable[[Pixels], Any] = of_three,
    reply: Callable[[Asked], Reply] = lambda asked: Reply(),
) -> Iterator[Endpoint]:
    """An endpoint on a free port. `answer(image)` gives the JSON document of a true answer."""
    with Endpoint(answer, reply) as endpoint:
        thread = Thread(target=endpoint.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.closing.set()
            endpoint.shutdown()
            thread.join()


@contextmanager
def serve_bytes(answer: Callable[[bytes], Iterator[bytes]]) -> Iterator[str]:
    """The address of an endpoint that speaks no HTTP but what `answer` makes of a request's head:
    its pieces are sent one by one, and the connection is closed."""

    def converse(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += connection.recv(65536)
            head, _, body = asked.partition(b"\r\n\r\n")
            left = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
            while left > 0:
                left -= len(connection.recv(65536))
            for piece in answer(head):
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                Thread(target=converse, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        thread = Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/predict"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
