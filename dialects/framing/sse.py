"""Server-sent events, as bytes in and frames out. No sockets.

https://html.spec.whatwg.org/multipage/server-sent-events.html, but for one
thing: every ``data:`` line is a frame of its own. SAP AI Core puts each JSON
document on one line and separates them by one, two or three newlines.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from dialects.framing.json_text import glance, loads_like_stdlib

MAX_LINE = 64 * 1024 * 1024
"""The longest line taken, in bytes: an inline image fits, an endless line does not."""

BLANK_LINES = b"\n\n"
"""Says nothing, in fewer bytes than a comment: even readers that know no comments skip it."""

_SEPARATOR = re.compile(rb"(?:\r?\n){1,6}\Z")
_LONGEST_SEPARATOR = 6
"""How many bytes of line ends behind a frame are looked at."""

_UNREAD = object()


@dataclass(slots=True)
class Frame:
    """One event as it was received. It is not frozen, as creating a frozen one takes three times as long."""

    data: str
    event: str | None = None
    _glance: Any = field(default=_UNREAD, init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """Render as bytes."""
        return encoded(self.data, self.event)

    def glance(self) -> Any:
        """Parse the data with `json_text.glance`, once per frame."""
        if self._glance is _UNREAD:
            self._glance = glance(self.data)
        return self._glance

    def loads(self) -> Any:
        """Parse the data as the standard library does, and not once more if it was glanced at; raises `ValueError`."""
        return loads_like_stdlib(self.data, self.glance())


def encoded(data: str, event: str | None = None) -> bytes:
    """Render a frame as bytes."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data}\n\n".encode("utf-8", "replace")


class FrameDecoder(Protocol):
    """Cuts bytes into frames; raises `ValueError` for bytes that can hold none."""

    @property
    def separator(self) -> bytes:
        """The line ends behind the frame that came last; empty while a part of the next one is held.

        It is always empty where a frame is more than a line of data.
        """
        ...

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, cut anywhere; give the frames they complete."""
        ...

    def finish(self) -> list[Frame]:
        """Give the frame that is left when the connection has closed, if any."""
        ...


class SSEDecoder:
    """Cuts server-sent events into frames; holds what is not yet a line."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._event: str | None = None
        self._end = b""

    @property
    def separator(self) -> bytes:
        """The line ends behind the frame that came last; empty while a part of the next one is held."""
        is_between = not self._buffer and self._event is None
        found = _SEPARATOR.search(self._end) if is_between else None
        return found[0] if found else b""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, cut anywhere; give the frames they complete."""
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
            # Frames that came whole are given first; the next bytes, or the end, bring it up again.
            raise ValueError(f"a line of more than {MAX_LINE} bytes")
        return frames

    def finish(self) -> list[Frame]:
        """Give the frame that is left when the connection has closed, if any."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        if len(rest) > MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE} bytes")
        return self._lines(rest + b"\n")

    def _lines(self, data: bytes) -> list[Frame]:
        """Read whole lines, each with its newline."""
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
    """Render a comment: readers skip it, but it keeps a quiet connection alive."""
    return f": {text}\n\n".encode()
