"""A cache of adapted schemas, because an agent declares the same tools in every request.

Adapted schemas are cached as text, and each caller gets a copy of its own, which it may change. The key is the whole
text of the schema. The number and the size of entries are limited, so that no request can use up the memory.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from dialects.adapt.schemas import Adapted, keys_of_properties
from dialects.framing.json_text import dumps_or_nothing, loads

_MOST = 512
"""The number of entries in each cache."""
_LARGEST = 8 * 1024
"""The largest schema that is cached, in bytes."""
_REFERENCE = b'"$ref"'


def cached(adapt: Callable[..., Adapted], schema: Mapping[str, Any], *about: Any) -> Adapted:
    """Return `adapt(schema, *about)`, from the cache if possible.

    A schema with references is adapted anew each time, because each request must spend its own schema budget for them.
    """
    text = _text_of(schema)
    if not text or _REFERENCE in text:
        return adapt(schema, *about)
    adapted, dropped = _adapted(adapt, text)
    return Adapted(loads(adapted), dropped) if adapted else adapt(schema, *about)


def cached_keys(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of all properties in a schema, at any depth."""
    text = _text_of(schema)
    return _keys(text) if text else frozenset(keys_of_properties([schema]))


def _text_of(schema: Mapping[str, Any]) -> bytes:
    """Return the JSON text of a schema that may be cached; empty for any other."""
    text = dumps_or_nothing(schema)
    return text if len(text) <= _LARGEST else b""


@lru_cache(_MOST)
def _adapted(adapt: Callable[..., Adapted], schema: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Adapt a schema given as text. Return the adapted schema as text, and the names of dropped keywords."""
    adapted = adapt(loads(schema))
    return dumps_or_nothing(adapted.schema), adapted.dropped


@lru_cache(_MOST)
def _keys(schema: bytes) -> frozenset[str]:
    return frozenset(keys_of_properties([loads(schema)]))
