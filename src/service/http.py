"""An HTTP server beside other work in one event loop."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from service.settings import SettingError


class HttpServer(uvicorn.Server):
    """Uvicorn without its signal handlers: the process has its own, and ends more than the HTTP server."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(app: ASGIApp, **options: object) -> HttpServer:
    # The process's logging is configured already; uvicorn's access lines add nothing to ours.
    return HttpServer(uvicorn.Config(app, log_config=None, access_log=False, **options))  # type: ignore[arg-type]


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Bind before anything else is started. Raises SettingError, naming `setting`, when the address can't be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SettingError(f"{setting}: can't listen on {host}:{port}: {error.strerror}") from None
