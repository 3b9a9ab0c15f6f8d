"""Amazon's binary event stream, as bytes in and frames out. No sockets.

https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html; the events
are those of the ``bedrock-runtime`` service model in botocore::

    total length, headers length   two big-endian 32-bit numbers
    crc32 of these eight bytes
    headers                        name, type, value
    payload
    crc32 of everything before
"""

import base64
import json
import struct
from collections.abc import Iterator
from zlib import crc32

from dialects.framing.json_text import glance
from dialects.framing.sse import Frame, FrameDecoder, SSEDecoder

MEDIA_TYPE = "application/vnd.amazon.eventstream"
MAX_MESSAGE = 24 * 1024 * 1024
"""The longest message taken, in bytes; Amazon sends at most 16 MiB of payload and 128 KiB of headers."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CRC.size
# Header types by number: the size of the value, None for those that say their own.
_SIZES: dict[int, int | None] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: None, 7: None, 8: 8, 9: 16}


class EventStreamDecoder:
    """Cuts an event stream into frames.

    A frame's event is the event's type, or the exception's, or ``error``; its
    data is JSON: an ``invoke`` chunk is unpacked. Every checksum is verified.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken: ValueError | None = None
        self._written = b""
        self._headers: dict[str, str] = {}

    @property
    def separator(self) -> bytes:
        """Nothing: a checksum stands behind each frame."""
        return b""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, cut anywhere; give the frames they complete."""
        if self._broken:
            raise self._broken
        self._buffer += data
        frames: list[Frame] = []
        try:
            frames.extend(self._frame(message) for message in self._messages())
        except ValueError as error:
            # What came whole before the damage is said first, however the bytes were cut.
            self._broken = error
            if not frames:
                raise
        return frames

    def finish(self) -> list[Frame]:
        """Check, when the connection has closed, that no message was left unfinished."""
        if self._broken:
            raise self._broken
        if self._buffer:
            raise ValueError("the last message is cut off")
        return []

    def _messages(self) -> Iterator[bytes]:
        """Take whole messages, verified, from the buffer."""
        while len(self._buffer) >= _PRELUDE.size:
            total, headers, checksum = _PRELUDE.unpack_from(self._buffer)
            if checksum != crc32(self._buffer[: _PRELUDE.size - _CRC.size]):
                raise ValueError("the checksum of a prelude is wrong")
            if not _OVERHEAD + headers <= total <= MAX_MESSAGE:
                raise ValueError(f"a message of {total} bytes with {headers} bytes of headers")
            if len(self._buffer) < total:
                return
            message = bytes(self._buffer[:total])
            del self._buffer[:total]
            if _CRC.unpack(message[-_CRC.size :])[0] != crc32(message[: -_CRC.size]):
                raise ValueError("the checksum of a message is wrong")
            yield message

    def _frame(self, message: bytes) -> Frame:
        start = _PRELUDE.size
        size = _PRELUDE.unpack_from(message)[1]
        written = message[start : start + size]
        if written != self._written:
            # Nearly all messages of a stream have the same headers.
            self._headers, self._written = dict(_headers(written)), written
        headers = self._headers
        payload = message[start + size : -_CRC.size].decode()
        match headers.get(":message-type"):
            case "exception":
                return Frame(payload or "{}", headers.get(":exception-type", "error"))
            case "error":
                said = {"code": headers.get(":error-code", ""), "message": headers.get(":error-message", "")}
                return Frame(json.dumps(said, ensure_ascii=False), "error")
            case _:
                event = headers.get(":event-type")
                return Frame(_unpacked(payload) if event == "chunk" else payload, event)


def decoder_for(content_type: str) -> FrameDecoder:
    """Choose the framing by the content type of an answer."""
    return EventStreamDecoder() if content_type.strip().lower().startswith(MEDIA_TYPE) else SSEDecoder()


def _unpacked(payload: str) -> str:
    """Take an ``invoke`` chunk out of its envelope, ``{"bytes": "<base64>"}``."""
    match glance(payload) or json.loads(payload):
        case {"bytes": str(packed)}:
            return base64.b64decode(packed, validate=True).decode()
        case _:
            raise ValueError("a chunk without bytes")


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """Read the headers that are text; the others are skipped."""
    position = 0
    try:
        while position < len(data):
            end = position + 1 + data[position]
            name, kind = data[position + 1 : end].decode(), data[end]
            size, start = _SIZES.get(kind, -1), end + 1
            if size == -1:
                raise ValueError(f"a header of unknown type {kind}")
            if size is None:
                size, start = int.from_bytes(data[start : start + 2]), start + 2
            position = start + size
            if position > len(data):
                raise ValueError("a header is cut off")
            if kind == 7:
                yield name, data[start:position].decode()
    except IndexError as error:
        raise ValueError("a header is cut off") from error
