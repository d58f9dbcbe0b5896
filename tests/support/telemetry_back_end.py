"""A back end for telemetry: it records whatever is sent to it, or misbehaves as back ends do."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.serving import serving


class RecordingBackEnd(ThreadingHTTPServer):
    """OTLP over HTTP: takes everything, and keeps the raw bytes."""

    daemon_threads = True

    def __init__(self, port: int = 0, answer: int = 200, delay_seconds: float = 0.0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self.delay_seconds = delay_seconds
        self.received: list[tuple[str, bytes]] = []
        """Path and body of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def bodies(self, path: str) -> bytes:
        """All that came for this path."""
        return b"".join(body for where, body in list(self.received) if where == path)


class _Handler(BaseHTTPRequestHandler):
    server: RecordingBackEnd

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, body))
        time.sleep(self.server.delay_seconds)
        self.send_response(self.server.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def recording_back_end(port: int = 0, answer: int = 200, delay_seconds: float = 0.0) -> Iterator[RecordingBackEnd]:
    server = RecordingBackEnd(port, answer, delay_seconds)
    with serving(server):
        yield server


@contextmanager
def hanging_back_end(port: int = 0) -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", port), backlog=512) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
