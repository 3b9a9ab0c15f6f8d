"""The application without a server of its own: requests are WSGI environments."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask

from gateway.config.loader import load
from gateway.gateway import Gateway
from proxy_server import create_app
from tests.support.running import KEY


class Answer:
    """What an application answers; its body is closed with `close`."""

    def __init__(self, app: Flask, environ: dict[str, Any]) -> None:
        self.headers: dict[str, str] = {}
        self.pieces = app.wsgi_app(environ, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], _: object = None) -> None:
        self.status = int(status[:3])
        self.headers = {name.lower(): value for name, value in headers}

    def close(self) -> None:
        self.pieces.close()

    def read(self) -> bytes:
        """Read the rest, and close."""
        said = b"".join(self.pieces)
        self.close()
        return said

    @property
    def json(self) -> Any:
        return json.loads(self.read())


class Served:
    """An application whose memory can be looked at."""

    def __init__(self, app: Flask, gateway: Gateway) -> None:
        self.app = app
        self.gateway = gateway

    @property
    def used(self) -> int:
        return self.gateway.memory.used

    def ask(self, method: str, path: str, body: bytes | io.IOBase, length: int | None = None, **more: Any) -> Answer:
        if isinstance(body, bytes):
            body, length = io.BytesIO(body), len(body) if length is None else length
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": body,
            "wsgi.input_terminated": True,
            "CONTENT_TYPE": "application/json",
            "HTTP_AUTHORIZATION": f"Bearer {KEY}",
            **({"CONTENT_LENGTH": str(length)} if length is not None else {}),
            **more,
        }
        return Answer(self.app, environ)


@contextmanager
def served_with(config: dict[str, Any], folder: Path) -> Iterator[Served]:
    """Build an application with this content of the config file."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    settings = load(file, {}, folder)
    gateway = Gateway(settings)
    try:
        yield Served(create_app(settings, gateway), gateway)
    finally:
        gateway.close()
