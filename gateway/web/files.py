"""The files of the web page."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

PAGE: Final = "index.html"
_FOLDER: Final = Path(__file__).with_name("static")
_CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEY_IS_NEEDED, _DEMO_KEY = "KEY_IS_NEEDED", "DEMO_KEY"
"""Placeholders in the HTML that are replaced by values which the page needs before its first request."""


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as it is served. Its *etag* is derived from its bytes."""

    body: bytes
    content_type: str
    etag: str


def load_files(*, key_is_needed: bool, demo_key: str = "") -> Mapping[str, WebFile]:
    """Load all files, by their paths relative to the folder. *demo_key* is the key of a demo, which is no secret."""
    values = {_KEY_IS_NEEDED: "yes" if key_is_needed else "no", _DEMO_KEY: escape(demo_key)}
    paths = (path for path in sorted(_FOLDER.rglob("*")) if path.suffix in _CONTENT_TYPES)
    return {path.relative_to(_FOLDER).as_posix(): _read(path, values) for path in paths}


def _read(path: Path, values: Mapping[str, str]) -> WebFile:
    body = path.read_bytes()
    if path.name == PAGE:
        for name, value in values.items():
            body = body.replace(name.encode(), value.encode())
    return WebFile(body, _CONTENT_TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:32])
