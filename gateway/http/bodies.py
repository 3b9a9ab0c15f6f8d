"""Reader of request bodies. It decompresses them, and limits their size and the memory that they take."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from dialects.core.faults import Fault, FaultError, FaultKind, invalid
from gateway.requests.memory_budget import COPIES, MemoryShare, unlimited_share

SMALL_BODY: Final = 64 * 1024
"""The maximum size in bytes of a body for a path that is not in `BODY_LIMITS`, and that needs no body."""
BODY_LIMITS: Final[Mapping[str, int | None]] = {
    # the view            the maximum size in bytes; None is `server.max_body_bytes`
    "chat_completions": None,
    "responses": None,
    "compact": None,
    "embeddings": None,
    "messages": None,
    "messages_count_tokens": None,
    "gemini_verb": None,
    "event_logging": None,  # the body is not read
    "router_actions": 16 * 1024,
}
"""The limits of the paths with bodies, by the name of the view in `proxy_server` or `router_operations`."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_MOST_DIGITS: Final = 18
"""The maximum number of digits in a Content-Length."""
_MOST_ENCODINGS: Final = 3
"""The maximum number of encodings that are applied to one body."""


def body_limit(view: str | None, most: int) -> int:
    """Return the maximum size in bytes of a body for a *view*, which is None for an unknown path.

    *most* is `server.max_body_bytes`.
    """
    limit = BODY_LIMITS.get(view, SMALL_BODY) if view is not None else SMALL_BODY
    return most if limit is None else min(most, limit)


def declared_length(environ: Mapping[str, Any], limit: int) -> int | None:
    """Return the length of a body as its headers give it, or None. Raises `FaultError` if it is more than *limit*."""
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal():
        return None
    if len(length) > _MOST_DIGITS or int(length) > limit:
        raise _too_large(limit)
    return int(length)


def read_body(environ: Mapping[str, Any], limit: int, memory: MemoryShare | None = None) -> bytes:
    """Read the body of a request from its WSGI environment, and reserve its *memory* before.

    A long body is reserved as it arrives, so that a client that sends nothing keeps no memory from others. Raises
    `FaultError`: 413 for more than *limit* bytes, 400 for a body that ended early, and those of `MemoryShare.take`.
    """
    source, length, memory = environ["wsgi.input"], declared_length(environ, limit), memory or unlimited_share()
    if length is None and not environ.get("wsgi.input_terminated"):
        # Without a length, the body can be read only if the server marks its end.
        return b""
    if length is not None and length > _BLOCK:
        memory.expect(COPIES * length)
    left = limit + 1 if length is None else length
    blocks: list[bytes] = []
    while left > 0:
        size = min(left, _BLOCK)
        memory.take(COPIES * size)
        block = source.read(size)
        blocks.append(block)
        left -= len(block)
        if len(block) < size:
            memory.give_back(COPIES * (size - len(block)))
            break
    if length is not None and left:
        raise invalid("The body ended early.")
    if length is None and not left:
        raise _too_large(limit)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def decoded(body: bytes, encodings: str, limit: int, memory: MemoryShare | None = None) -> bytes:
    """Decode the *encodings* in a Content-Encoding header, and remove a byte order mark.

    Raises `FaultError`: 415 for an unsupported encoding, 413 for more than *limit* bytes, 400 for a body that does not
    match its header, and those of `MemoryShare.take`.
    """
    names = [name for each in encodings.lower().split(",") if (name := each.strip()) and name != "identity"]
    unknown = [name for name in names if name not in _DECODERS]
    if unknown or len(names) > _MOST_ENCODINGS:
        known = ", ".join(_DECODERS)
        said = unknown[0][:50] if unknown else f"a list of {len(names)}"
        message = (
            f"Content-Encoding {said!r} is not supported: send the body uncompressed, or compressed as one of {known}."
        )
        raise FaultError(Fault(FaultKind.INVALID_REQUEST, message, 415))
    output = _Output(limit, memory or unlimited_share())
    for name in reversed(names):
        body = _DECODERS[name](body, output)
    return body.removeprefix(_BYTE_ORDER_MARK)


class _Output(NamedTuple):
    """The limits of decompressed bytes: their number, and the memory of the request."""

    limit: int
    memory: MemoryShare

    def append(self, out: bytearray, piece: bytes) -> None:
        """Append *piece* to *out*; raises `FaultError` if it is more than the limits allow."""
        if len(out) + len(piece) > self.limit:
            raise _too_large(self.limit)
        self.memory.take(COPIES * len(piece))
        out += piece


def _inflated(body: bytes, output: _Output, window: int) -> bytes:
    """Decompress gzip or zlib data. A gzip body may consist of several members."""
    out, place, members = bytearray(), 0, 0
    while place < len(body):
        members = _counted(members)
        place = _member_end(body, place, out, output, window)
        if window != _GZIP:
            break
    return bytes(out)


def _member_end(body: bytes, place: int, out: bytearray, output: _Output, window: int) -> int:
    """Add the member at *place* to *out*, and return the place after it."""
    decoder, size = zlib.decompressobj(window), _PIECE
    while not decoder.eof and place < len(body):
        # The rest of a piece is copied at the end of a member, so pieces begin small: a body may have many members.
        piece = body[place : place + size]
        place, size = place + len(piece), min(2 * size, _LARGEST_PIECE)
        try:
            while unpacked := decoder.decompress(piece, _BLOCK):
                output.append(out, unpacked)
                piece = decoder.unconsumed_tail
        except zlib.error:
            raise _garbled() from None
    if not decoder.eof:
        raise _garbled()
    return place - len(decoder.unused_data)


def _deflated(body: bytes, output: _Output) -> bytes:
    """Decompress `deflate`: zlib's format, which some senders leave out (RFC 9110, 8.4.1.2)."""
    try:
        return _inflated(body, output, _ZLIB)
    except FaultError as error:
        if error.fault.kind is not FaultKind.INVALID_REQUEST:
            raise
    return _inflated(body, output, _BARE)


def _unzstd(body: bytes, output: _Output) -> bytes:
    """Decompress zstd data, which may consist of several frames."""
    import zstandard  # noqa: PLC0415 - few clients compress their requests with it

    out, place, members = bytearray(), 0, 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    try:
        while place < len(body):
            members = _counted(members)
            frame = decompressor.decompressobj()
            while not frame.eof:
                if place == len(body):
                    raise _garbled()
                piece = body[place : place + _PIECE]
                output.append(out, frame.decompress(piece))
                place += len(piece)
            place -= len(frame.unused_data)
    except zstandard.ZstdError:
        raise _garbled() from None
    return bytes(out)


def _counted(members: int) -> int:
    """Return the number of members with another one. Each takes time even if it is empty, so they are limited."""
    if members == _MOST_MEMBERS:
        raise invalid(f"The compressed body has more than {_MOST_MEMBERS} members: send it as one.")
    return members + 1


def _too_large(limit: int) -> FaultError:
    return FaultError(Fault(FaultKind.TOO_LARGE, f"The body is larger than {limit} bytes.", 413))


def _garbled() -> FaultError:
    return invalid("The body is not compressed as its Content-Encoding says, or it ended early.")


_GZIP, _ZLIB, _BARE = 31, 15, -15
"""The values of zlib's `wbits` for the three formats."""
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
"""The maximum window in bytes, as RFC 9659 limits it for HTTP."""
_BLOCK: Final = 64 * 1024
"""The maximum number of bytes that are read or decompressed at once. A shorter body is read in one step."""
_MOST_MEMBERS: Final = 10_000
"""The maximum number of gzip members or zstd frames in a body."""
_PIECE: Final = 512
"""The number of compressed bytes between checks of the limit. They expand to about 16 MiB of zstd at most."""
_LARGEST_PIECE: Final = 64 * 1024
"""The maximum number of compressed bytes that are given to zlib at once."""

_DECODERS: Final[dict[str, Callable[[bytes, _Output], bytes]]] = {
    "gzip": lambda body, output: _inflated(body, output, _GZIP),
    "x-gzip": lambda body, output: _inflated(body, output, _GZIP),
    "deflate": _deflated,
    "zstd": _unzstd,
}
