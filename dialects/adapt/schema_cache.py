"""What is made of schemas, cached: an agent declares the same tools in every request.

Adapted schemas are cached as text, and whoever asks gets a copy of their own: nobody can change what another is given.
Entries are found by all of a schema's content, and are few and small, so that no caller can make them take much memory.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from dialects.adapt.schemas import Adapted, keys_of_properties
from dialects.framing.json_text import dumps_or_nothing, loads

_MOST = 512
"""How many schemas are cached, of each kind."""
_LARGEST = 8 * 1024
"""How many bytes a schema has that is cached, at most."""
_REFERENCE = b'"$ref"'


def cached(adapt: Callable[..., Adapted], schema: Mapping[str, Any], *about: Any) -> Adapted:
    """Adapt a schema, or copy what *adapt* has made of it before.

    One that refers to others is adapted each time, and *about* is what *adapt* is given beside it: each request pays
    for what it has written out.
    """
    text = _text_of(schema)
    if not text or _REFERENCE in text:
        return adapt(schema, *about)
    adapted, dropped = _adapted(adapt, text)
    return Adapted(loads(adapted), dropped) if adapted else adapt(schema, *about)


def cached_keys(schema: Mapping[str, Any]) -> frozenset[str]:
    """Give the keys of all properties in a schema, and in those within it."""
    text = _text_of(schema)
    return _keys(text) if text else frozenset(keys_of_properties([schema]))


def _text_of(schema: Mapping[str, Any]) -> bytes:
    """Write a schema that may be cached as text; empty for any other."""
    text = dumps_or_nothing(schema)
    return text if len(text) <= _LARGEST else b""


@lru_cache(_MOST)
def _adapted(adapt: Callable[..., Adapted], schema: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Adapt a schema that is given as text; gives a text as well."""
    adapted = adapt(loads(schema))
    return dumps_or_nothing(adapted.schema), adapted.dropped


@lru_cache(_MOST)
def _keys(schema: bytes) -> frozenset[str]:
    return frozenset(keys_of_properties([loads(schema)]))
