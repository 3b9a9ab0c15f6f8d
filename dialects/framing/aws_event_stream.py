"""A decoder of Amazon's binary event stream, from bytes to frames. It uses no sockets.

The format is documented at https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html, the events are those of
the ``bedrock-runtime`` service model in botocore. A message consists of::

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
"""The longest accepted message, in bytes. Amazon sends at most 16 MiB of payload and 128 KiB of headers."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CRC.size
# The size of a header's value in bytes, by the number of its type. None means that the size comes before the value.
_SIZES: dict[int, int | None] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: None, 7: None, 8: 8, 9: 16}


class EventStreamDecoder:
    """Splits an event stream into frames, and verifies every checksum.

    The event of a frame is the type of the event or of the exception, or ``error``. Its data is JSON; the chunks of
    ``invoke`` are decoded to the JSON inside.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken: ValueError | None = None
        self._written = b""
        self._headers: dict[str, str] = {}

    @property
    def separator(self) -> bytes:
        """Always empty, because a message is more than a line of data."""
        return b""

    def feed(self, data: bytes) -> list[Frame]:
        """Read more bytes, which may end anywhere in a message, and return the frames that they complete.

        Raises `ValueError` if the bytes are damaged.
        """
        if self._broken:
            raise self._broken
        self._buffer += data
        frames: list[Frame] = []
        try:
            frames.extend(self._frame(message) for message in self._messages())
        except ValueError as error:
            # The frames before the damage are returned first; the next call raises the error.
            self._broken = error
            if not frames:
                raise
        return frames

    def finish(self) -> list[Frame]:
        """Raise `ValueError` if the connection has closed within a message; otherwise return no frames."""
        if self._broken:
            raise self._broken
        if self._buffer:
            raise ValueError("the last message is cut off")
        return []

    def _messages(self) -> Iterator[bytes]:
        """Verify the complete messages in the buffer, and yield and remove them."""
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
            # Nearly all messages of a stream have the same headers, so the last ones are kept.
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
    """Return a decoder for the content type of an answer."""
    return EventStreamDecoder() if content_type.strip().lower().startswith(MEDIA_TYPE) else SSEDecoder()


def _unpacked(payload: str) -> str:
    """Decode a chunk of ``invoke``, which is wrapped as ``{"bytes": "<base64>"}``."""
    match glance(payload) or json.loads(payload):
        case {"bytes": str(packed)}:
            return base64.b64decode(packed, validate=True).decode()
        case _:
            raise ValueError("a chunk without bytes")


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the headers that are text."""
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
