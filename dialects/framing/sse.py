"""A decoder of server-sent events, from bytes to frames. It uses no sockets.

It follows https://html.spec.whatwg.org/multipage/server-sent-events.html, with one exception: every ``data:`` line is a
frame of its own. SAP AI Core writes each JSON document on one line, and separates them by one, two or three newlines.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from dialects.framing.json_text import glance, loads_like_stdlib

MAX_LINE = 64 * 1024 * 1024
"""The longest accepted line, in bytes. It has room for an inline image."""

BLANK_LINES = b"\n\n"
"""Blank lines, which keep a connection alive. Even readers that do not know comments ignore them."""

_SEPARATOR = re.compile(rb"(?:\r?\n){1,6}\Z")
_LONGEST_SEPARATOR = 6
"""The longest separator after a frame, in bytes."""

_UNREAD = object()


@dataclass(slots=True)
class Frame:
    """One event as it was received. It is not frozen, because creating a frozen one takes three times as long."""

    data: str
    event: str | None = None
    _glance: Any = field(default=_UNREAD, init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """Render the frame as bytes."""
        return encoded(self.data, self.event)

    def glance(self) -> Any:
        """Parse the data with `json_text.glance`, only once for each frame."""
        if self._glance is _UNREAD:
            self._glance = glance(self.data)
        return self._glance

    def loads(self) -> Any:
        """Parse the data as the standard library does, reusing the result of `glance`. Raises `ValueError`."""
        return loads_like_stdlib(self.data, self.glance())


def encoded(data: str, event: str | None = None) -> bytes:
    """Render a frame as bytes."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data}\n\n".encode("utf-8", "replace")


class FrameDecoder(Protocol):
    """Splits bytes into frames. Its methods raise `ValueError` for bytes that cannot be decoded."""

    @property
    def separator(self) -> bytes:
        """The line ends after the last frame; empty while the decoder holds a part of the next frame.

        It is always empty in a format in which a frame is more than a line of data.
        """
        ...

    def feed(self, data: bytes) -> list[Frame]:
        """Read more bytes, which may end anywhere in a frame, and return the frames that they complete."""
        ...

    def finish(self) -> list[Frame]:
        """Return the last frame, if any, after the connection has closed."""
        ...


class SSEDecoder:
    """Splits server-sent events into frames, and keeps an incomplete line for the next call."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._event: str | None = None
        self._end = b""

    @property
    def separator(self) -> bytes:
        """The line ends after the last frame; empty while the decoder holds a part of the next frame."""
        is_between = not self._buffer and self._event is None
        found = _SEPARATOR.search(self._end) if is_between else None
        return found[0] if found else b""

    def feed(self, data: bytes) -> list[Frame]:
        """Read more bytes, which may end anywhere in a frame, and return the frames that they complete."""
        self._end = data[-_LONGEST_SEPARATOR:]
        end = data.rfind(b"\n") + 1
        frames: list[Frame] = []
        if end:
            lines = data[:end]
            if self._buffer:
                lines = bytes(self._buffer) + lines
                self._buffer.clear()
            frames = self._lines(lines)
        if end < len(data):
            self._buffer += data[end:]
        if len(self._buffer) > MAX_LINE and not frames:
            # Complete frames are returned first; the next call raises the error.
            raise ValueError(f"a line of more than {MAX_LINE} bytes")
        return frames

    def finish(self) -> list[Frame]:
        """Return the last frame, if any, after the connection has closed."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        if len(rest) > MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE} bytes")
        return self._lines(rest + b"\n")

    def _lines(self, data: bytes) -> list[Frame]:
        """Return the frames of complete lines, each with its newline."""
        # Invalid UTF-8 never swallows a newline, so all lines can be decoded at once.
        text = data.decode("utf-8", "replace")
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        frames: list[Frame] = []
        for line in text[:-1].split("\n"):
            if line.startswith("data:"):
                frames.append(Frame(line[6:] if line.startswith(" ", 5) else line[5:], self._event))
                self._event = None
            elif not line:
                self._event = None
            elif line.startswith("event:"):
                self._event = line[6:].strip()
            elif line == "data":
                frames.append(Frame("", self._event))
                self._event = None
            elif line == "event":
                self._event = ""
        return frames


def comment(text: str) -> bytes:
    """Render a comment, which readers ignore, to keep a connection alive."""
    return f": {text}\n\n".encode()
