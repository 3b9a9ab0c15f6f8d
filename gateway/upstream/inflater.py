"""Bodies that come compressed although nobody asked for it."""

import zlib
from typing import Final

_MOST_AT_ONCE: Final = 1024 * 1024
"""How many bytes are unpacked at once."""


class Inflater:
    """Unpacks a compressed body, no more than so much at once; what was not unpacked waits."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as it turns out to be
        self._empty = True
        self.has_more = False
        """Whether there may be more to unpack although nothing new has come."""

    def unpack(self, data: bytes) -> bytes:
        """Unpack what has arrived; raises `ValueError`."""
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
        """Raise `ValueError` if what was unpacked is not the whole."""
        if not (self._empty or self._unpacker.eof):
            raise ValueError("less than what was packed")
