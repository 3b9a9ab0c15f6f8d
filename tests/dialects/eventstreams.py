"""Event streams, written by hand: what an endpoint in Amazon's cloud would send."""

import base64
import json
import struct
from typing import Any
from zlib import crc32


def encode(headers: dict[str, str], payload: bytes) -> bytes:
    """Write one message, as a client of a real endpoint would receive it."""
    written = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(written) + len(payload), len(written))
    message = prelude + struct.pack(">I", crc32(prelude)) + written + payload
    return message + struct.pack(">I", crc32(message))


def event(kind: str, body: Any) -> bytes:
    """Write one event of ``converse-stream``."""
    return encode(
        {":event-type": kind, ":content-type": "application/json", ":message-type": "event"},
        json.dumps(body, ensure_ascii=False).encode(),
    )


def chunk(body: Any) -> bytes:
    """Write one event of ``invoke-with-response-stream``."""
    packed = base64.b64encode(json.dumps(body, ensure_ascii=False).encode()).decode()
    return event("chunk", {"bytes": packed, "p": "abcdefg"})


def exception(kind: str, message: str) -> bytes:
    """Write a failure that the service model knows."""
    return encode(
        {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"},
        json.dumps({"message": message}).encode(),
    )
