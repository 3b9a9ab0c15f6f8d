"""Reader of request bodies. It decompresses them and limits their size."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from dialects.core.faults import Fault, FaultError, FaultKind, invalid

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_MOST_DIGITS: Final = 18
"""The maximum number of digits in a Content-Length."""
_MOST_ENCODINGS: Final = 3
"""The maximum number of encodings that are applied to one body."""


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """Read the body of a request from its WSGI environment.

    Raises `FaultError`: 413 for more than *limit* bytes, 400 for a body that ended early.
    """
    source, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal():
        # Without a length, the body can be read only if the server marks its end.
        body: bytes = source.read(limit + 1) if environ.get("wsgi.input_terminated") else b""
        if len(body) > limit:
            raise _too_large(limit)
        return body
    if len(length) > _MOST_DIGITS or int(length) > limit:
        raise _too_large(limit)
    body = source.read(int(length))
    if len(body) < int(length):
        raise invalid("The body ended early.")
    return body


def decoded(body: bytes, encodings: str, limit: int) -> bytes:
    """Decode the *encodings* in a Content-Encoding header, and remove a byte order mark.

    Raises `FaultError`: 415 for an unsupported encoding, 413 for more than *limit* bytes, 400 for a body that does not
    match its header.
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
    for name in reversed(names):
        body = _DECODERS[name](body, limit)
    return body.removeprefix(_BYTE_ORDER_MARK)


def _inflated(body: bytes, limit: int, window: int) -> bytes:
    """Decompress gzip or zlib data. A gzip body may consist of several members."""
    out, place = bytearray(), 0
    while place < len(body):
        place = _member_end(body, place, out, limit, window)
        if window != _GZIP:
            break
    return bytes(out)


def _member_end(body: bytes, place: int, out: bytearray, limit: int, window: int) -> int:
    """Add the member at *place* to *out*, and return the place after it."""
    decoder, size = zlib.decompressobj(window), _PIECE
    while not decoder.eof and place < len(body):
        # The rest of a piece is copied at the end of a member, so pieces begin small: a body may have many members.
        piece = body[place : place + size]
        try:
            out += decoder.decompress(piece, limit + 1 - len(out))
        except zlib.error:
            raise _garbled() from None
        _check(out, limit)
        place, size = place + len(piece), 2 * size
    if not decoder.eof:
        raise _garbled()
    return place - len(decoder.unused_data)


def _deflated(body: bytes, limit: int) -> bytes:
    """Decompress `deflate`: zlib's format, which some senders leave out (RFC 9110, 8.4.1.2)."""
    try:
        return _inflated(body, limit, _ZLIB)
    except FaultError as error:
        if error.fault.kind is FaultKind.TOO_LARGE:
            raise
    return _inflated(body, limit, _BARE)


def _unzstd(body: bytes, limit: int) -> bytes:
    """Decompress zstd data, which may consist of several frames."""
    import zstandard  # noqa: PLC0415 - few clients compress their requests with it

    out, place = bytearray(), 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    try:
        while place < len(body):
            frame = decompressor.decompressobj()
            while not frame.eof:
                if place == len(body):
                    raise _garbled()
                piece = body[place : place + _PIECE]
                out += frame.decompress(piece)
                _check(out, limit)
                place += len(piece)
            place -= len(frame.unused_data)
    except zstandard.ZstdError:
        raise _garbled() from None
    return bytes(out)


def _check(out: bytearray, limit: int) -> None:
    if len(out) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> FaultError:
    return FaultError(Fault(FaultKind.TOO_LARGE, f"The body is larger than {limit} bytes.", 413))


def _garbled() -> FaultError:
    return invalid("The body is not compressed as its Content-Encoding says, or it ended early.")


_GZIP, _ZLIB, _BARE = 31, 15, -15
"""The values of zlib's `wbits` for the three formats."""
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
"""The maximum window in bytes, as RFC 9659 limits it for HTTP."""
_PIECE: Final = 512
"""The number of compressed bytes between checks of the limit. They expand to about 16 MiB of zstd at most."""

_DECODERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": lambda body, limit: _inflated(body, limit, _GZIP),
    "x-gzip": lambda body, limit: _inflated(body, limit, _GZIP),
    "deflate": _deflated,
    "zstd": _unzstd,
}
