"""The fields of request bodies: base64, data URIs, content blocks, and the prompt segments they become."""

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
    """Whether this is no text, or one with nothing in it."""
    return not isinstance(text, str) or not text.strip()


def decode_base64(data: object) -> bytes | None:
    """Read base64 as strictly as the providers do."""
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def decode_google_base64(data: object) -> bytes | None:
    """Read base64 as Google does: in either alphabet, padded or not."""
    if not isinstance(data, str):
        return None
    bare = data.rstrip("=").replace("-", "+").replace("_", "/")
    return decode_base64(bare + "=" * (-len(bare) % 4))


def base64_size(data: object) -> int:
    """Count the bytes behind some base64."""
    return len(decode_base64(data) or b"")


def parse_data_uri(uri: object) -> tuple[str, str] | None:
    """Take a data URI apart: its type and its base64."""
    found = _DATA_URI.fullmatch(uri) if isinstance(uri, str) else None
    return (found[1] or "application/octet-stream", found[2]) if found else None


def content_blocks(content: Any, key: str = "text", **fixed: str) -> list[Json]:
    """Read content that may be a bare string as a list of blocks."""
    if isinstance(content, str):
        return [{**fixed, key: content}]
    return [block for block in content or [] if isinstance(block, dict)]


def canonical(value: Any) -> str:
    """Write a value so that equal values are equal texts; large strings by their digest."""
    return json.dumps(_shrunk(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def prompt_segment(
    label: str, value: Any, *, text: str | None = None, media: bool = False, ttl: float | None = None
) -> PromptSegment:
    """Make a stretch of the prompt from a piece of a body."""
    if text is not None:
        return PromptSegment(f"{label}:{text}", count_tokens(text), ttl)
    written = canonical(value)
    return PromptSegment(f"{label}:{written}", MEDIA_TOKENS if media else count_tokens(written), ttl)


def _shrunk(value: Any) -> Any:
    """Put a digest where a large string stands."""
    match value:
        case str() if len(value) > _LARGE:
            return digest(value)
        case dict():
            return {key: _shrunk(item) for key, item in value.items()}
        case list():
            return [_shrunk(item) for item in value]
        case _:
            return value
