"""Server-sent events, as bytes in and frames out. No sockets.

https://html.spec.whatwg.org/multipage/server-sent-events.html, but for one
thing: every ``data:`` line is a frame of its own. SAP AI Core puts each JSON
document on one line and separates them by one, two or three newlines.
"""

from dataclasses import dataclass
from typing import Protocol

MAX_LINE = 64 * 1024 * 1024
"""The longest line taken, in bytes: an inline image fits, an endless line does not."""

BLANK_LINES = b"\n\n"
"""Says nothing, in fewer words than a comment: even readers that know no comments skip it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it stood on the wire."""

    data: str
    event: str | None = None

    def encode(self) -> bytes:
        """Render for the wire."""
        head = f"event: {self.event}\n" if self.event else ""
        return f"{head}data: {self.data}\n\n".encode("utf-8", "replace")


class FrameDecoder(Protocol):
    """Cuts bytes into frames; raises `ValueError` for bytes that can hold none."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, cut anywhere; give the frames they complete."""
        ...

    def finish(self) -> list[Frame]:
        """The wire has closed: give the frame that was left, if any."""
        ...


class SSEDecoder:
    """Cuts server-sent events into frames; holds what is not yet a line."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._event: str | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, cut anywhere; give the frames they complete."""
        self._buffer += data
        frames: list[Frame] = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            frames += self._line(bytes(self._buffer[start:end]))
            start = end + 1
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if self._searched > MAX_LINE and not frames:
            # Frames that came whole are given first; the next bytes, or the end, bring it up again.
            raise ValueError(f"a line of more than {MAX_LINE} bytes")
        return frames

    def finish(self) -> list[Frame]:
        """The wire has closed: give the frame that was left, if any."""
        rest, self._buffer, self._searched = bytes(self._buffer), bytearray(), 0
        if len(rest) > MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE} bytes")
        return self._line(rest)

    def _line(self, line: bytes) -> list[Frame]:
        name, _, value = line.removesuffix(b"\r").decode("utf-8", "replace").partition(":")
        match name:
            case "data":
                event, self._event = self._event, None
                return [Frame(value.removeprefix(" "), event)]
            case "event":
                self._event = value.strip()
            case "" if not line.strip():
                self._event = None
        return []


def comment(text: str) -> bytes:
    """Render a comment: readers skip it, but it keeps a quiet connection alive."""
    return f": {text}\n\n".encode()
