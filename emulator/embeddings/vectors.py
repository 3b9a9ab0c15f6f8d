"""The vectors that all embedding models return."""

import hashlib
import math
import struct


def vector(text: str, dimensions: int) -> list[float]:
    """Return the unit vector of a text. Equal texts have equal vectors."""
    seed = text.encode("utf-8", "surrogatepass")
    raw = b""
    while len(raw) < dimensions * 4:
        raw += hashlib.sha512(len(raw).to_bytes(8, "big") + seed).digest()
    values = [number / 2**31 - 1 for number in struct.unpack_from(f">{dimensions}I", raw)]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]
