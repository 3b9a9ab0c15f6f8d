"""Request bodies: compressed in the ways HTTP knows, and never larger than they may be."""

import gzip
import io
import zlib
from collections.abc import Callable

import pytest
import zstandard

from dialects.core.faults import FaultError, FaultKind
from gateway.http.bodies import decoded, read_body
from gateway.requests.memory_budget import MemoryBudget

BODY = b'{"model": "gpt-4.1", "messages": []}'
MARK = b"\xef\xbb\xbf"


def deflated(body: bytes) -> bytes:
    """Deflate without zlib's frame, as some senders write it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(body)


def refusal(body: bytes, encodings: str, limit: int = 1000) -> tuple[FaultKind, int | None]:
    with pytest.raises(FaultError) as refused:
        decoded(body, encodings, limit)
    return refused.value.fault.kind, refused.value.fault.status


@pytest.mark.parametrize(
    ("body", "encodings"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (MARK + BODY, ""),
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY), "X-GZIP"),
        (gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), "gzip"),
        (gzip.compress(MARK + BODY), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (deflated(BODY), "deflate"),
        (zstd(BODY), "zstd"),
        (zstd(BODY[:9]) + zstd(BODY[9:]), "zstd"),
        (gzip.compress(zlib.compress(BODY)), "deflate, identity, gzip"),
    ],
    ids=["plain", "identity", "mark", "gzip", "x-gzip", "members", "mark-in-gzip", "deflate", "bare", "zstd", "frames",
         "nested"],
)  # fmt: skip
def test_a_body_is_read_however_it_is_compressed(body: bytes, encodings: str) -> None:
    assert decoded(body, encodings, 1000) == BODY


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, deflated, zstd])
def test_a_body_is_as_large_as_it_is_when_it_is_unpacked(pack) -> None:
    encoding = {gzip.compress: "gzip", zstd: "zstd"}.get(pack, "deflate")

    assert decoded(pack(b"x" * 1000), encoding, 1000) == b"x" * 1000
    assert refusal(pack(b"x" * 1001), encoding) == (FaultKind.TOO_LARGE, 413)
    assert refusal(pack(b"x" * 50_000_000), encoding) == (FaultKind.TOO_LARGE, 413)


@pytest.mark.parametrize("encodings", ["br", "gzip, compress", "gzip, gzip, gzip, gzip"])
def test_an_encoding_that_is_not_known_is_named(encodings: str) -> None:
    with pytest.raises(
        FaultError, match=r"Content-Encoding .* send the body uncompressed, or compressed as one of gzip"
    ) as refused:
        decoded(BODY, encodings, 1000)

    assert (refused.value.fault.kind, refused.value.fault.status) == (FaultKind.INVALID_REQUEST, 415)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "garbled"])
def test_a_body_that_does_not_unpack_is_refused(encoding: str, cut: bool) -> None:
    whole = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd}[encoding](BODY * 10)
    body = whole[:-6] if cut else b"no such thing" + whole

    assert refusal(body, encoding) == (FaultKind.INVALID_REQUEST, 400)


def sent(body: bytes, **environ: object) -> dict[str, object]:
    return {"wsgi.input": io.BytesIO(body), **environ}


@pytest.mark.parametrize(
    ("environ", "body"),
    [
        (sent(b"abcNEXT", CONTENT_LENGTH="3"), b"abc"),
        (sent(b"abc", **{"wsgi.input_terminated": True}), b"abc"),
        (sent(b"NEXT"), b""),
        (sent(b"NEXT", CONTENT_LENGTH=""), b""),
    ],
    ids=["length", "marked-end", "neither", "empty-length"],
)
def test_a_body_is_read_as_far_as_it_goes(environ: dict[str, object], body: bytes) -> None:
    assert body == read_body(environ, 3)


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        (sent(b"abcd", CONTENT_LENGTH="4"), 413),
        (sent(b"abcd", CONTENT_LENGTH="9" * 5000), 413),
        (sent(b"abcd", **{"wsgi.input_terminated": True}), 413),
        (sent(b"ab", CONTENT_LENGTH="3"), 400),
    ],
    ids=["length", "absurd-length", "marked-end", "cut-short"],
)
def test_a_body_that_is_too_long_or_too_short_is_refused(environ: dict[str, object], status: int) -> None:
    with pytest.raises(FaultError) as refused:
        read_body(environ, 3)

    assert status == (refused.value.fault.status or 400)


def test_no_more_is_read_of_a_body_without_a_length_than_shows_that_it_is_too_long() -> None:
    source = io.BytesIO(b"x" * 1000)
    with pytest.raises(FaultError):
        read_body({"wsgi.input": source, "wsgi.input_terminated": True}, 3)

    assert source.tell() == 4


def test_a_body_without_a_length_keeps_the_memory_that_it_needs_and_no_more() -> None:
    share = MemoryBudget(400_000, 300_000).share()
    environ = {"wsgi.input": io.BytesIO(BODY), "wsgi.input_terminated": True}

    assert read_body(environ, 1_000_000, share) == BODY
    share.take(290_000)
    with pytest.raises(FaultError):
        share.take(100_000)


@pytest.mark.parametrize(("pack", "encoding"), [(gzip.compress, "gzip"), (zstd, "zstd")], ids=["gzip", "zstd"])
def test_a_body_of_very_many_members_is_refused_because_each_takes_time(
    pack: Callable[..., bytes], encoding: str
) -> None:
    empty = pack(b"")
    taken = decoded(empty * 9_999 + pack(BODY), encoding, 1000)

    assert taken == BODY
    assert refusal(empty * 10_001, encoding) == (FaultKind.INVALID_REQUEST, 400)
