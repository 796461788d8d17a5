"""A receiver of webhooks: a real HTTP server, on a thread or as a process that can be killed, which notes what it gets.

Its path says how it answers: /ok, /status/503, /slow/0.5 (seconds), /trickle (a byte now and then, for ever), /endless
(a body without an end), /redirect, /later/7 (429 with Retry-After), /mute (closes without an answer).
"""

import json
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    server: "Receiver"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.note({"path": self.path, "headers": headers, "body": body.decode()})
        _, way, *more = (*self.path.split("/"), "")
        with suppress(ConnectionError):
            getattr(self, f"do_{way}")(*more[:1])

    def answer(self, status: int, body: bytes = b"taken", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_ok(self, _: str) -> None:
        self.answer(204, b"")

    def do_status(self, status: str) -> None:
        self.answer(int(status), b"\x00 nein \xff \xe2\x82\xac")

    def do_slow(self, seconds: str) -> None:
        time.sleep(float(seconds))
        self.answer(200)

    def do_later(self, seconds: str) -> None:
        self.answer(429, Retry_After=seconds)

    def do_redirect(self, _: str) -> None:
        self.answer(307, Location="/ok")

    def do_mute(self, _: str) -> None:
        self.connection.close()

    def do_trickle(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b".")
            time.sleep(0.05)

    def do_endless(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def log_message(self, *told: object) -> None:
        """Nothing is told."""


class Receiver(ThreadingHTTPServer):
    """A receiver on a thread; `got` is what came, in order."""

    daemon_threads = True
    request_queue_size = 128  # or some of many callers wait a second for another try

    def __init__(self, port: int = 0, journal: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.got: list[dict[str, Any]] = []
        self._journal = journal
        self._lock = threading.Lock()

    def note(self, message: dict[str, Any]) -> None:
        with self._lock:
            self.got.append(message)
            if self._journal is not None:
                with self._journal.open("a") as file:
                    file.write(json.dumps(message) + "\n")

    def url(self, path: str = "ok") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def of(self, path: str) -> list[dict[str, Any]]:
        return [each for each in list(self.got) if each["path"] == f"/{path}"]


if __name__ == "__main__":
    Receiver(int(sys.argv[1]), Path(sys.argv[2])).serve_forever()
