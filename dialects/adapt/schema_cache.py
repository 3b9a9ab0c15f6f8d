"""Adapted schemas, cached: an agent declares the same tools in every request.

What is cached is text, and whoever asks gets a copy of their own: nobody can change what another is given. Entries are
found by all of a schema's content, and are few and small, so that no caller can make them take much memory.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from dialects.adapt.schemas import Adapted
from dialects.framing.json_text import loads, quote

_MOST = 512
"""How many schemas are cached."""
_LARGEST = 8 * 1024
"""How many bytes a schema has that is cached, at most."""
_REFERENCE = b'"$ref"'


def cached(adapt: Callable[..., Adapted], schema: Mapping[str, Any], *about: Any) -> Adapted:
    """Adapt a schema, or copy what *adapt* has made of it before.

    One that refers to others is adapted each time, and *about* is what *adapt* is given beside it: each request pays
    for what it has written out.
    """
    text = quote(schema)
    if not text or len(text) > _LARGEST or _REFERENCE in text:
        return adapt(schema, *about)
    adapted, dropped = _adapted(adapt, text)
    return Adapted(loads(adapted), dropped) if adapted else adapt(schema, *about)


@lru_cache(_MOST)
def _adapted(adapt: Callable[..., Adapted], schema: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Adapt a schema that is given as text; gives a text as well."""
    adapted = adapt(loads(schema))
    return quote(adapted.schema), adapted.dropped
