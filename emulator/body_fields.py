"""Readers of fields in request bodies: base64, data URIs, content blocks, and the prompt segments made from them."""

import base64
import binascii
import json
import re
from typing import Any

from emulator.model_io import MEDIA_TOKENS, PromptSegment, count_tokens, digest
from emulator.world import Json

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,(.*)", re.DOTALL)
_LARGE = 20_000


def is_blank(text: object) -> bool:
    """Return whether *text* is not a string, or only white space."""
    return not isinstance(text, str) or not text.strip()


def decode_base64(data: object) -> bytes | None:
    """Decode base64 as strictly as the providers do; return None if it is invalid."""
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def decode_google_base64(data: object) -> bytes | None:
    """Decode base64 as Google does: with either alphabet, padded or not."""
    if not isinstance(data, str):
        return None
    bare = data.rstrip("=").replace("-", "+").replace("_", "/")
    return decode_base64(bare + "=" * (-len(bare) % 4))


def base64_size(data: object) -> int:
    """Return the number of bytes that *data* has when decoded."""
    return len(decode_base64(data) or b"")


def parse_data_uri(uri: object) -> tuple[str, str] | None:
    """Split a data URI into its type and its base64; return None for anything else."""
    found = _DATA_URI.fullmatch(uri) if isinstance(uri, str) else None
    return (found[1] or "application/octet-stream", found[2]) if found else None


def content_blocks(content: Any, key: str = "text", **fixed: str) -> list[Json]:
    """Return the blocks of content that may be a plain string."""
    if isinstance(content, str):
        return [{**fixed, key: content}]
    return [block for block in content or [] if isinstance(block, dict)]


def canonical(value: Any) -> str:
    """Serialise a value so that equal values give equal texts. Large strings are replaced by their digests."""
    return json.dumps(_shrunk(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def prompt_segment(
    label: str, value: Any, *, text: str | None = None, media: bool = False, ttl: float | None = None
) -> PromptSegment:
    """Build the prompt segment for a piece of a body. *ttl*, in seconds, is set if a cache mark ends the segment."""
    if text is not None:
        return PromptSegment(f"{label}:{text}", count_tokens(text), ttl)
    written = canonical(value)
    return PromptSegment(f"{label}:{written}", MEDIA_TOKENS if media else count_tokens(written), ttl)


def _shrunk(value: Any) -> Any:
    """Replace large strings in a value by their digests."""
    match value:
        case str() if len(value) > _LARGE:
            return digest(value)
        case dict():
            return {key: _shrunk(item) for key, item in value.items()}
        case list():
            return [_shrunk(item) for item in value]
        case _:
            return value
