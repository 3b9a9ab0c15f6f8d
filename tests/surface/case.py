"""One thing that is done to a proxy: bytes that are sent over a connection, and what must come back."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class End(StrEnum):
    """What the client does when it has sent everything."""

    READ = "read"
    """It reads one answer for each request, and then closes the connection."""
    WAIT = "wait"
    """It reads whatever comes. If that is nothing for a moment, it sends the end of the connection, and reads on."""
    HALF_CLOSE = "half-close"
    """It sends the end of the connection at once, and reads on."""
    LEAVE = "leave"
    """It closes the connection at once."""
    RESET = "reset"
    """It resets the connection at once, as a machine does that has lost it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is in the bytes: what to hold its answer against."""

    method: str
    target: str


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes for a proxy, piece by piece. *pause* is the time between two pieces, in seconds."""

    name: str
    pieces: tuple[bytes, ...]
    asked: tuple[Asked, ...] = ()
    end: End = End.READ
    pause: float = 0.0
    proxy: str = "keys"
    statuses: tuple[int, ...] = ()
    """The statuses that the first answer may have; empty for any."""

    def to(self, proxy: str) -> "Case":
        """The same for another proxy."""
        return replace(self, proxy=proxy)

    def written(self) -> str:
        """The case as JSON, from which `read_case` makes it again."""
        return json.dumps({**asdict(self), "pieces": [piece.decode("latin-1") for piece in self.pieces]}, indent=1)


def read_case(text: str) -> Case:
    """Read what `Case.written` wrote."""
    told: dict[str, Any] = json.loads(text)
    return Case(
        **{
            **told,
            "pieces": tuple(piece.encode("latin-1") for piece in told["pieces"]),
            "asked": tuple(Asked(**each) for each in told["asked"]),
            "end": End(told["end"]),
            "statuses": tuple(told["statuses"]),
        }
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it is written. Its *body* is framed by a length, or in *chunks* if there are any."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    chunks: Sequence[bytes] = field(default_factory=tuple)
    trailers: Sequence[tuple[str, str]] = ()
    version: str = "1.1"

    @property
    def asked(self) -> Asked:
        return Asked(self.method, self.target)

    def written(self) -> bytes:
        """Write the request as HTTP."""
        return self.head() + self.content()

    def head(self) -> bytes:
        """Write its head."""
        headers = [("Host", "127.0.0.1"), *self.headers]
        if self.chunks:
            headers.append(("Transfer-Encoding", "chunked"))
        elif self.body is not None:
            headers.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.method} {self.target} HTTP/{self.version}", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def content(self) -> bytes:
        """Write its body."""
        if not self.chunks:
            return self.body or b""
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in self.chunks if chunk)
        trailers = "".join(f"{name}: {value}\r\n" for name, value in self.trailers).encode("latin-1")
        return chunks + b"0\r\n" + trailers + b"\r\n"
