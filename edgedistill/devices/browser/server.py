"""The page's own web server: on 127.0.0.1, and with no file but those it was given."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
HEADERS = {
    # Both make a page cross-origin isolated: threads, and a clock of 5 microseconds instead of 100.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_MOST = 1 << 31
"""Bytes that the page may send at once."""
_PART = 1 << 20


@contextmanager
def serving(given: Mapping[str, Path], taken: Mapping[str, Path]) -> Iterator[str]:
    """Serve files while the context is open; the address of the folder that they are in.

    given: files by their paths there. taken: files to which what is posted there is added. The
    folder's name cannot be guessed, so other users of the machine do not read the model.
    """
    secret = secrets.token_urlsafe(16)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.given = {f"/{secret}/{path}": file for path, file in given.items()}
    server.taken = {f"/{secret}/{path}": file for path, file in taken.items()}
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{secret}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    given: Mapping[str, Path]
    taken: Mapping[str, Path]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def do_GET(self) -> None:
        file = self.server.given.get(unquote(self.path))
        if file is None or not self._is_here():
            self._answer(404)
            return
        self._answer(200, file.stat().st_size, KINDS.get(file.suffix, "application/octet-stream"))
        with file.open("rb") as content:
            while part := content.read(_PART):
                self.wfile.write(part)

    def do_POST(self) -> None:
        file = self.server.taken.get(unquote(self.path))
        told = self.headers.get("Content-Length", "")
        if file is None or not self._is_here() or not told.isdecimal() or int(told) > _MOST:
            self.close_connection = True
            self._answer(404 if file is None else 400)
            return
        left = int(told)
        with file.open("ab") as content:
            while left and (part := self.rfile.read(min(left, _PART))):
                content.write(part)
                left -= len(part)
        self._answer(204)

    def _is_here(self) -> bool:
        """Whether it is the address that was asked for, and not a name that leads to it."""
        return self.headers.get("Host") == f"127.0.0.1:{self.server.server_port}"

    def _answer(self, code: int, size: int = 0, kind: str = "text/plain") -> None:
        self.send_response(code)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Not to the terminal."""
