"""An endpoint for teacher_http.yaml: answers {"probabilities": [...]} to {"image": base64 of a
PNG}, to who has the token. Serve it in one terminal, compile in another, with the same TOKEN:

    TOKEN=secret python examples/serve_teacher.py 8765
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from make_teachers import answers_to
from PIL import Image


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != f"Bearer {os.environ['TOKEN']}":
            self._answer(401, {"error": "who asks?"})
            return
        image = Image.open(io.BytesIO(base64.b64decode(json.loads(body)["image"]))).convert("L")
        grey = np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float32)
        small = np.divide(grey, np.float32(255))
        self._answer(200, {"probabilities": answers_to(small.reshape(1, 64))[0].tolist()})

    def _answer(self, code: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *values: object) -> None:
        pass


if __name__ == "__main__":
    answers_to(np.zeros((1, 64), np.float32))  # trains it, before anybody asks
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Endpoint)
    print(f"serving on port {server.server_port}", flush=True)
    server.serve_forever()
