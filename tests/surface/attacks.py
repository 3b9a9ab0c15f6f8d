"""Bytes that are no valid HTTP, or valid HTTP that servers often get wrong. Each function makes one kind."""

import json
from collections.abc import Callable
from random import Random

from tests.dialects import mangling
from tests.support.running import KEY
from tests.surface.case import Asked, Case, End, Sent

_BODY = json.dumps({"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}).encode()
_CHAT = "/v1/chat/completions"
_HEADERS = (("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json"))
_HEAD = f"POST {_CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n".encode()
_GET = Sent("GET", "/health", _HEADERS)
_SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
_BAD_REQUEST, _NOT_SUPPORTED, _EXPECTATION, _TOO_LONG, _TOO_LARGE = 400, 501, 417, 414, 431

Attack = Callable[[Random], Case]


def _chat(**more: object) -> Sent:
    return Sent("POST", _CHAT, _HEADERS, **{"body": _BODY, **more})  # type: ignore[arg-type]


def _refused(name: str, data: bytes, *statuses: int) -> Case:
    """Bytes that must be refused, and after which nothing more is read from the connection."""
    return Case(name, (data,), (), End.WAIT, statuses=statuses or (_BAD_REQUEST,))


def torn_request(rng: Random) -> Case:
    """A valid request with a few bytes changed, lost or doubled, anywhere."""
    sent = rng.choice(
        [_chat(), _chat(chunks=mangling.chopped(_BODY, rng)), _GET, Sent("GET", "/v1/models?a=b", _HEADERS)]
    )
    data = mangling.torn(sent.written(), rng)
    return Case("torn request", tuple(mangling.chopped(data, rng)), (), End.WAIT)


def cut_request(rng: Random) -> Case:
    """A request that ends too early, with its connection."""
    data = rng.choice([_chat(), _chat(chunks=[_BODY]), _GET]).written()
    end = rng.choice([End.HALF_CLOSE, End.LEAVE, End.RESET, End.WAIT])
    return Case("cut request", (data[: rng.randrange(1, len(data))],), (), end)


def random_bytes(rng: Random) -> Case:
    """Bytes of no meaning."""
    return Case("random bytes", (rng.randbytes(rng.choice([1, 10, 500, 5000])),), (), End.WAIT)


def bad_chunks(rng: Random) -> Case:
    """Chunks whose framing is wrong."""
    first = b"%x\r\n%b\r\n" % (len(_BODY), _BODY)
    framing = rng.choice(
        [
            *(
                b"-1\r\n",
                b"0x10\r\n",
                b"g\r\n",
                b"\r\n",
                b" 5\r\nhello\r\n",
                b"5 \r\nhello\r\n0\r\n\r\n",
                b"+5\r\nhello\r\n",
            ),
            *(b"fffffffffffffffffff\r\n", b"ffffffffffffffff\r\n", b"5\nhello\n0\n\n", b"5\r\nhelloX\r\n0\r\n\r\n"),
            *(
                b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
                b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
                b"\x00\r\n",
                b"5\rhello\r\n",
            ),
            *(first + b"-0\r\n\r\n", first + b"0\r\nX: \x00\r\n\r\n", first + b"0\r\n" + b"X: a\r\n" * 200 + b"\r\n"),
            *(first + b"0\r\nno colon\r\n\r\n", first + b"0\r\n", first + b"0", first[:-2] + b"0\r\n\r\n"),
        ]
    )
    data = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framing
    return Case("bad chunks", (data,), (), End.WAIT)


def smuggling(rng: Random) -> Case:
    """A body whose end two servers could see at different places."""
    length = rng.choice(
        [
            *(b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 4"),
            *(b"Content-Length: 4\r\nContent-Length: 5", b"Content-Length: 4, 5", b"Content-Length: +4"),
            *(b"Content-Length: -4", b"Content-Length: 4 4", b"Content-Length: 0x4", b"Content-Length: 4\x00"),
            *(
                b"Content-Length: 99999999999999999999999",
                b"Content-Length : 4",
                b"Content-Length: \xb2",
                b"Content-Length: 4.0",
            ),
            *(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding: xchunked"),
            *(
                b"Transfer-Encoding: chunked, identity",
                b"Transfer-Encoding: identity",
                b"Transfer-Encoding: gzip, chunked",
            ),
            *(b"Transfer-Encoding : chunked", b"Transfer-Encoding: chunked\x0b", b"Transfer-Encoding:\r\n chunked"),
            *(b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: ,chunked", b'Transfer-Encoding: "chunked"'),
            *(b"X: a\nTransfer-Encoding: chunked\r\nContent-Length: 4", b"Transfer-Encoding: chunked;q=1", b"\x00X: a"),
        ]
    )
    data = _HEAD + length + b"\r\n\r\n" + b"0\r\n\r\n" + _SMUGGLED
    return _refused("smuggling", data, _BAD_REQUEST, _NOT_SUPPORTED)


def underscored_length(rng: Random) -> Case:
    """Headers that WSGI would take for those with hyphens: they must not count, so two requests are answered."""
    name = rng.choice([b"Content_Length", b"Transfer_Encoding"])
    value = b"5" if name.startswith(b"Content") else b"chunked"
    data = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + name + b": " + value + b"\r\n\r\n"
    asked = (Asked("GET", "/health"),) * 2
    return Case("underscored length", (data * 2,), asked, End.READ, statuses=(200,))


def bad_head(rng: Random) -> Case:
    """A head that is no valid HTTP."""
    line = rng.choice(
        [
            *(b"GET /health HTTP/1.2", b"GET /health HTTP/2.0", b"GET /health HTTP/1.10", b"GET /health HTTP/0.9"),
            *(b"GET /health http/1.1", b"GET /health HTTP/1.1 x", b"GET\t/health\tHTTP/1.1", b"GET  HTTP/1.1"),
            *(b"get /health HTTP/1.1", b"FOO /health HTTP/1.1", b"G\x00T /health HTTP/1.1", b"GET /\x00 HTTP/1.1"),
            *(
                b"GET /a b HTTP/1.1",
                b"GET /\xff\xfe HTTP/1.1",
                b"GET health HTTP/1.1",
                b"GET \\health HTTP/1.1",
                b" GET / HTTP/1.1",
            ),
            *(b"POST", b"GET /", b"GET / HTTP", b"GET / RTSP/1.0", b"GET / ICE/1.0", b"\xef\xbb\xbfGET / HTTP/1.1"),
        ]
    )
    return Case("bad head", (line + b"\r\nHost: 127.0.0.1\r\n\r\n",), (), End.WAIT)


def bad_headers(rng: Random) -> Case:
    """Headers that are none, or that may not occur so."""
    line = rng.choice(
        [
            *(
                b"no colon",
                b": no name",
                b"X : a",
                b"X: \x00",
                b"X: a\rb",
                b"X: a\x7f",
                b"X\x00: a",
                b"X(: a",
                b"\xffX: a",
            ),
            *(
                b"X: a\r\n folded",
                b" X: folded at once",
                b"Host: other",
                b"Host: 127.0.0.1",
                b"Content-Type: a\r\nContent-Type: b",
            ),
            *(
                b"X: " + rng.randbytes(50),
                b"X: a\nY: b",
                b"Connection: close, keep-alive",
                b"Connection: x-api-key",
                b"X:",
            ),
            *(
                b"Host: [::1",
                b"Host: a b",
                b"Keep-Alive: timeout=-1",
                b"Authorization: Bearer \xff",
                b"x-api-key: \t" + KEY.encode(),
            ),
        ]
    )
    return Case("bad headers", (b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + line + b"\r\n\r\n",), (), End.WAIT)


def hosts(rng: Random) -> Case:
    """A host that is none, or another."""
    host = rng.choice(
        ["", "[", "[::1]", "a:b", "evil.example", "127.0.0.1:99999", "127.0.0.1, x", "%00", "é", "@", "x" * 300]
    )
    origin = rng.choice(
        ["null", "http://", "http://[", "evil", "http://evil.example", "file://", "http://127.0.0.1", "\xff"]
    )
    sent = f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    return Case("hosts", (sent.encode("latin-1"),), (), End.WAIT)


def too_much(rng: Random) -> Case:
    """A head that is larger than any should be."""
    match rng.randrange(6):
        case 0:
            return _refused("long target", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", _TOO_LONG)
        case 1:
            return _refused("long header", _HEAD + b"X: " + b"a" * 40_000 + b"\r\n\r\n", _TOO_LARGE)
        case 2:
            return _refused("long name", _HEAD + b"a" * 2000 + b": x\r\n\r\n", _TOO_LARGE)
        case 3:
            return _refused("many headers", _HEAD + b"X: a\r\n" * 150 + b"\r\n", _TOO_LARGE)
        case 4:
            return _refused("endless header", _HEAD + b"X: " + b"a" * 600_000, _TOO_LARGE)
        case _:
            return _refused("long method", b"A" * 70_000 + b" / HTTP/1.1\r\n\r\n")


def pipelined(rng: Random) -> Case:
    """Several requests at once, which are answered in their order."""
    sent = [rng.choice([_chat(), _GET, _chat(chunks=mangling.chopped(_BODY, rng)), Sent("GET", "/v1/models", _HEADERS)])
            for _ in range(rng.choice([2, 3, 8]))]  # fmt: skip
    data = b"".join(each.written() for each in sent)
    return Case("pipelined", tuple(mangling.chopped(data, rng)), tuple(each.asked for each in sent), End.READ)


def heads(rng: Random) -> Case:
    """A request for a head alone, also of what has no end, and another request behind it."""
    path = rng.choice(["/router/events", "/router/state", "/v1/models", "/metrics", "/v1/responses/resp_x", "/", _CHAT])
    sent = Sent("HEAD", path, _HEADERS)
    return Case("heads", (sent.written() + _GET.written(),), (sent.asked, _GET.asked), End.READ)


def pipelined_too_many(rng: Random) -> Case:
    """More requests at once than a server should hold."""
    return Case("pipelined too many", (_GET.written() * rng.choice([66, 200]),), (), End.WAIT)


def half_closed(rng: Random) -> Case:
    """A whole request whose client says that it sends nothing more, or leaves."""
    stream = b'{"stream": true, ' + _BODY[1:]
    sent = rng.choice([_chat(), _chat(body=stream), _GET])
    return Case("half-closed", (sent.written(),), (sent.asked,), rng.choice([End.HALF_CLOSE, End.LEAVE, End.RESET]))


def other_protocols(rng: Random) -> Case:
    """What clients of other protocols send first."""
    data = rng.choice(
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(300),
            b"GET /\r\n",
            b"GET /health\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            b"\r\n\x0d\x0a\x0d\x0a\x00\x0d\x0aQUIT\x0a",
            b"*1\r\n$4\r\nPING\r\n",
            b"\x05\x01\x00",
            b"EHLO x\r\n",
        ]
    )
    return Case("other protocols", (data,), (), End.WAIT)


def upgrades(rng: Random) -> Case:
    """An offer to change to another protocol, which is not taken: the request is answered as if there was none."""
    protocol = rng.choice(["websocket", "h2c", "TLS/1.0", "x"])
    headers = [
        *_HEADERS,
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", protocol),
        ("HTTP2-Settings", "AAMAAABk"),
    ]
    headers += [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]
    sent = rng.choice(
        [
            *(
                Sent("GET", "/v1/responses", headers),
                Sent("GET", "/health", headers),
                Sent("POST", _CHAT, headers, _BODY),
            ),
            Sent("POST", _CHAT, headers, chunks=mangling.chopped(_BODY, rng)),
        ]
    )
    return Case("upgrades", (sent.written() + _GET.written(),), (sent.asked, _GET.asked), End.READ)


def continued(rng: Random) -> Case:
    """A body that waits for a 100, or does not."""
    expected = rng.choice(["100-continue", "100-Continue", "200-ok", "", "100-continue, x"])
    sent = Sent("POST", _CHAT, [*_HEADERS, ("Expect", expected)], _BODY)
    known = expected.lower() == "100-continue"
    pieces = (sent.head(), sent.content()) if known or rng.random() < 0.5 else (sent.head(),)
    return Case("continued", pieces, (sent.asked,), End.READ if known else End.WAIT, pause=rng.choice([0.0, 0.02]))


def slow_bytes(rng: Random) -> Case:
    """A request that comes byte by byte."""
    sent = rng.choice([_chat(), _GET])
    data = sent.written()
    step = max(1, len(data) // 15)
    pieces = tuple(data[start : start + step] for start in range(0, len(data), step))
    return Case("slow bytes", pieces, (sent.asked,), End.READ, pause=0.005)


def forms_of_target(rng: Random) -> Case:
    """A target that is no path: of a proxy, of a tunnel, of a whole server."""
    sent = rng.choice(
        [
            *(Sent("GET", "http://127.0.0.1/health", _HEADERS), Sent("GET", "http://127.0.0.1", _HEADERS)),
            *(Sent("OPTIONS", "*", _HEADERS), Sent("GET", "*", _HEADERS), Sent("CONNECT", "example.com:443", _HEADERS)),
            *(
                Sent("CONNECT", "/health", _HEADERS),
                Sent("CONNECT", "[::1:443", _HEADERS),
                Sent("GET", "http://[", _HEADERS),
            ),
            *(
                Sent("GET", "http://evil.example/v1/models", _HEADERS),
                Sent("GET", "//evil.example/v1/models", _HEADERS),
            ),
            *(
                Sent("GET", "http:///v1/models", _HEADERS),
                Sent("GET", "ftp://127.0.0.1/x", _HEADERS),
                Sent("GET", "?a", _HEADERS),
            ),
            *(
                Sent("POST", f"https://127.0.0.1{_CHAT}?a=b#c", _HEADERS, _BODY),
                Sent("GET", "http://a:b@127.0.0.1/", _HEADERS),
            ),
        ]
    )
    return Case("forms of target", (sent.written(),), (), End.WAIT)


def old_versions(rng: Random) -> Case:
    """HTTP/1.0, with and without a connection that stays."""
    headers = [*_HEADERS, ("Connection", rng.choice(["keep-alive", "close", "x"]))]
    stream = rng.choice([_BODY, b'{"stream": true, ' + _BODY[1:]])
    sent = rng.choice(
        [
            Sent("GET", "/v1/models", headers, version="1.0"),
            Sent("POST", _CHAT, headers, stream, version="1.0"),
        ]
    )
    return Case("old versions", (sent.written(),), (sent.asked,), End.READ)


def trailers(rng: Random) -> Case:
    """Headers behind a body in chunks, which must not count."""
    names = rng.choice(
        [("Authorization", "Bearer sk-wrong"), ("Content-Length", "3"), ("Transfer-Encoding", "gzip"), ("X", "a")]
    )
    sent = Sent("POST", _CHAT, _HEADERS, chunks=mangling.chopped(_BODY, rng), trailers=[names])
    return Case("trailers", (sent.written() + _GET.written(),), (sent.asked, _GET.asked), End.READ, statuses=(200, 400))


def blank_lines(rng: Random) -> Case:
    """Empty lines before a request, which servers should skip."""
    return Case("blank lines", (b"\r\n" * rng.choice([1, 2, 100]) + _GET.written(),), (), End.WAIT)


def unread_body(rng: Random) -> Case:
    """A body that nobody reads, since its request is refused or needs none."""
    body = b"x" * rng.choice([1, 60_000, 300_000, 1_100_000])
    sent = rng.choice(
        [
            Sent("POST", "/nothing", _HEADERS, body),
            Sent("GET", "/health", _HEADERS, body),
            Sent("POST", _CHAT, (), body),
        ]
    )
    return Case("unread body", (sent.written(),), (sent.asked,), End.READ)


ATTACKS: dict[Attack, float] = {
    torn_request: 6,
    cut_request: 2,
    random_bytes: 1,
    bad_chunks: 2,
    smuggling: 2,
    underscored_length: 0.3,
    bad_head: 2,
    bad_headers: 2,
    hosts: 1,
    too_much: 1,
    pipelined: 2,
    heads: 0.5,
    pipelined_too_many: 0.2,
    half_closed: 2,
    other_protocols: 1,
    upgrades: 1,
    continued: 1,
    slow_bytes: 0.5,
    forms_of_target: 1,
    old_versions: 1,
    trailers: 1,
    blank_lines: 0.3,
    unread_body: 0.7,
}
"""Each kind, and how often it is made."""


def make(rng: Random) -> Case:
    """Make something that no client of a dialect sends."""
    [attack] = rng.choices([*ATTACKS], [*ATTACKS.values()])
    return attack(rng)
