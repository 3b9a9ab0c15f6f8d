"""Decompression of bodies that a server compresses although the proxy did not ask for it."""

import zlib
from typing import Final

_MOST_AT_ONCE: Final = 1024 * 1024
"""The maximum number of bytes that one call decompresses."""


class Inflater:
    """Decompresses a body in steps of limited size, to bound the memory that a small body can take."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # detects gzip or zlib
        self._empty = True
        self.has_more = False
        """Whether there may be more output although no new input has arrived."""

    def unpack(self, data: bytes) -> bytes:
        """Decompress *data* and return the output; raises `ValueError` if it is not valid."""
        self._empty = self._empty and not data
        try:
            unpacked = self._unpacker.decompress(self._unpacker.unconsumed_tail + data, _MOST_AT_ONCE)
        except zlib.error:
            raise ValueError("what cannot be unpacked") from None
        if self._unpacker.unused_data:
            raise ValueError("more than what was packed")
        self.has_more = len(unpacked) == _MOST_AT_ONCE
        return unpacked

    def check_end(self) -> None:
        """Raise `ValueError` if the compressed body is incomplete."""
        if not (self._empty or self._unpacker.eof):
            raise ValueError("less than what was packed")
