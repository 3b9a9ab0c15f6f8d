"""Hostile requests: what is wrong with each, and what has to come of it."""

import gzip
import json
import socket
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from random import Random

from tests.soak.served import MOST_BODY, SHORT, Served
from tests.support.talking import CHAT, MESSAGES

WRONG_KEY = "wrong key"
CLOSED = 0
"""The connection ends without an answer."""
_LONGEST = 40.0
_CHUNK = b"x" * 65_536
_AT_ONCE = 40


@dataclass(frozen=True)
class Attack:
    """One hostile request: which statuses may come of it, and how it is made."""

    name: str
    allowed: frozenset[int]
    make: "Callable[[Attacker], int]"
    weight: int = 4


@dataclass
class Attacker:
    """Makes hostile requests from one address."""

    served: Served
    rng: Random
    source: str

    def raw(self, *pieces: bytes, pause: float = 0.0, finish: bool = False) -> int:
        """Send pieces as they are; give the status of the answer, or `CLOSED`. A `TimeoutError` says nothing came."""
        with socket.create_connection(("127.0.0.1", self.served.port), _LONGEST, (self.source, 0)) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    if pause:
                        time.sleep(pause)
                if finish:
                    connection.shutdown(socket.SHUT_WR)
            except ConnectionError:
                pass  # what was answered before is read below
            return _status(connection)

    def post(self, path: str, body: bytes, *headers: str, key: str | None = None) -> int:
        key = self.key if key is None else key
        lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", "Content-Type: application/json"]
        lines += [f"Authorization: Bearer {key}"] if key else []
        return self.raw("\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body)

    def get(self, path: str, *headers: str, key: str | None = None) -> int:
        key = self.key if key is None else key
        lines = [f"GET {path} HTTP/1.1", "Host: x", *([f"Authorization: Bearer {key}"] if key else []), *headers]
        return self.raw("\r\n".join([*lines, "", ""]).encode("latin-1"))

    @property
    def key(self) -> str:
        return self.served.keys[self.rng.choice(("ada", "bob", "cyd", "dan"))]


def _status(connection: socket.socket) -> int:
    """Read the status of the answer, which need not be read to its end."""
    read = b""
    with suppress(ConnectionError):
        while b"\r\n" not in read and (more := connection.recv(4096)):
            read += more
    words = read.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/1.") else CLOSED


def _chat(text: object = "hi", **more: object) -> bytes:
    return json.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": text}], **more}).encode()


def _wrong_key(at: Attacker) -> int:
    """A key that nobody has, from one of two addresses, which are slowed down for it."""
    at.source = f"127.0.0.{at.rng.randrange(2, 4)}"
    return at.get("/v1/models", key=f"sk-{at.rng.getrandbits(64):x}")


def _drip(at: Attacker) -> int:
    """A head that comes letter by letter, and never whole."""
    head = b"GET /v1/models HTTP/1.1\r\nX-A: " + b"a" * 100
    return at.raw(*(head[index : index + 1] for index in range(len(head))), pause=SHORT / 8)


def _stalled_body(at: Attacker) -> int:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\nContent-Length: 1000\r\n\r\n"
    return at.raw(head.encode() + b'{"model": ')


def _endless_body(at: Attacker) -> int:
    """Chunks until the proxy has had enough."""
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (len(_CHUNK), _CHUNK)
    return at.raw(head.encode(), *[chunk] * (MOST_BODY // len(_CHUNK) + 20))


def _huge_length(at: Attacker) -> int:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\nContent-Length: 99999999999\r\n\r\n"
    return at.raw(head.encode() + b"{")


def _gzip_bomb(at: Attacker) -> int:
    return at.post(CHAT, gzip.compress(b"[" * (16 * MOST_BODY), 9), "Content-Encoding: gzip")


def _deflate_bomb(at: Attacker) -> int:
    return at.post(MESSAGES, zlib.compress(b" " * (16 * MOST_BODY), 9), "Content-Encoding: deflate")


def _two_lengths(at: Attacker) -> int:
    return at.raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabGET /")


def _smuggled(at: Attacker) -> int:
    head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
    return at.raw(head + b"5c\r\nGET /router/state HTTP/1.1\r\nHost: x\r\n\r\n0\r\n\r\n")


def _bad_chunk(at: Attacker) -> int:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return at.raw(head.encode() + b"zz\r\nhello\r\n0\r\n\r\n")


def _torn_head(at: Attacker) -> int:
    return at.raw(b"GET /v1/models HT", finish=True)


def _many_torn_heads(at: Attacker) -> int:
    """Connections that send nothing, or half of a head, all at once; the latter are closed in time."""
    with ExitStack() as stack:
        where = ("127.0.0.1", at.served.port)
        opened = [
            stack.enter_context(socket.create_connection(where, _LONGEST, (at.source, 0))) for _ in range(_AT_ONCE)
        ]
        for connection in opened[::2]:
            connection.sendall(b"GET /v1/models HTTP/1.1\r\nX-A: ")
        statuses = {_status(connection) for connection in opened[::2]}
    return max(statuses)


def _pipelined(at: Attacker) -> int:
    """Three requests at once; the last of the answers has to come as well."""
    head = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\n"
    wanted = f"{head}\r\n".encode() * 2 + f"{head}Connection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", at.served.port), _LONGEST, (at.source, 0)) as connection:
        connection.sendall(wanted)
        read = b"".join(iter(lambda: connection.recv(65_536), b""))
    return 200 if read.count(b"HTTP/1.1 200 ") == 3 else 500


def _torn_body(at: Attacker) -> int:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {at.key}\r\nContent-Length: 1000\r\n\r\n"
    return at.raw(head.encode() + b'{"model": ', finish=True)


def _garbage(at: Attacker) -> int:
    return at.raw(at.rng.randbytes(300) + b"\r\n\r\n", finish=True)


def _tls(at: Attacker) -> int:
    return at.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32), finish=True)


def _many_headers(at: Attacker) -> int:
    return at.get("/v1/models", *[f"X-{number}: y" for number in range(500)])


def _deep_json(at: Attacker) -> int:
    return at.post(at.rng.choice((CHAT, MESSAGES)), b"[" * 200_000)


def _deep_content(at: Attacker) -> int:
    deep = '{"a":' * 5_000 + "1" + "}" * 5_000
    body = b'{"model": "gpt-5", "messages": [{"role": "user", "content": %b}]}' % deep.encode()
    return at.post(CHAT, body)


def _private_image(at: Attacker) -> int:
    """A picture that lies on this machine, for a model that needs its bytes."""
    parts = [{"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{at.served.admin_port}/router/state"}}]
    return at.post(CHAT, _chat(parts, model="anthropic--claude-4.5-sonnet"))


def _anothers_answer(at: Attacker) -> int:
    return at.post("/v1/responses", b'{"model": "gpt-5", "input": "hi", "previous_response_id": "resp_sap1AAAAAAAA"}')


def _not_admin(at: Attacker) -> int:
    return at.get(at.rng.choice(("/metrics", "/router/state", "/router/events")))


def _no_operator(at: Attacker) -> int:
    return at.post("/router/actions", b'{"action": "drain", "subaccount": "eu", "deployment": "d"}')


def _injected_id(at: Attacker) -> int:
    return at.get("/v1/models", "X-Request-Id: \x1b[2J" + "a" * 300)


_BAD_BODIES = (
    b"{", b"[]", b"null", b"", b"\xff\xfe", b'{"model": NaN}', b'{"model": "gpt-5"}', b'{"messages": 7, "model": 7}',
    b'{"model": "gpt-5", "messages": []}', b'{"model": "gpt-5", "messages": [{"role": "user", "content": 1e999}]}',
    b'{"model": "gpt-5", "messages": [{"role": "nobody", "content": "\\ud800"}]}',
)  # fmt: skip


def _bad_body(at: Attacker) -> int:
    return at.post(at.rng.choice((CHAT, MESSAGES)), at.rng.choice(_BAD_BODIES))


def _bad_path(at: Attacker) -> int:
    return at.get(
        at.rng.choice(("/../../etc/passwd", "/v1/%00", "/v1/models/%2e%2e%2fx", "//x", "/v1/nothing", "/%ff"))
    )


def _is(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


ATTACKS = (
    Attack(WRONG_KEY, _is(401, 429), _wrong_key, 12),
    Attack("no key", _is(401), lambda at: at.get("/v1/models", key="")),
    Attack("head that drips", _is(408, CLOSED), _drip, 1),
    Attack("body that stalls", _is(408), _stalled_body, 1),
    Attack("torn head", _is(400, CLOSED), _torn_head),
    Attack("many torn heads", _is(408, CLOSED), _many_torn_heads, 1),
    Attack("three requests at once", _is(200), _pipelined),
    Attack("torn body", _is(400, 499, CLOSED), _torn_body),
    Attack("garbage", _is(400, CLOSED), _garbage),
    Attack("TLS", _is(400, CLOSED), _tls),
    Attack("gzip bomb", _is(413), _gzip_bomb, 2),
    Attack("deflate bomb", _is(413), _deflate_bomb, 2),
    Attack("deep JSON", _is(413), _deep_json, 2),
    Attack("deep content", _is(400), _deep_content, 2),
    Attack("huge length", _is(413), _huge_length),
    Attack("endless body", _is(413, CLOSED), _endless_body, 2),
    Attack("two lengths", _is(400), _two_lengths),
    Attack("smuggled request", _is(400), _smuggled),
    Attack("bad chunk", _is(400), _bad_chunk),
    Attack("long line", _is(414), lambda at: at.get("/v1/models?" + "x" * 40_000)),
    Attack("many headers", _is(431), _many_headers),
    Attack("bad body", _is(400, 404), _bad_body, 8),
    Attack("bad path", _is(400, 401, 404), _bad_path),
    Attack("unknown model", _is(404), lambda at: at.post(CHAT, _chat(model="no-such-model"))),
    Attack("private image", _is(400), _private_image),
    Attack("answer of another caller", _is(400), _anothers_answer),
    Attack("state without an admin key", _is(403), _not_admin),
    Attack("change without an admin key", _is(403), _no_operator),
    Attack("id that steers a terminal", _is(200, 400), _injected_id),
)
