"""Captured bytes, the files that say what becomes of them, and ways to cut them.

``tests/wire/<backend>/<scene>.sse`` (or ``.bin``) holds what a backend sent,
``<scene>.json`` the same answer in one piece where there is one, and
``<scene>.<client>.expected`` what a client must get. ``UPDATE_GOLDEN=1``
rewrites the expected files: read the diff.
"""

import json
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from dialects.core.events import Event, checked
from dialects.core.streams import EventReader

WIRE = Path(__file__).parent.parent / "wire"


def scenes(backend: str, suffix: str = ".sse") -> list[str]:
    """The names of a backend's captured streams."""
    return sorted(path.name.removesuffix(suffix) for path in (WIRE / backend).glob(f"*{suffix}"))


def wire(backend: str, scene: str, suffix: str = ".sse") -> bytes:
    """The bytes of one captured stream."""
    return (WIRE / backend / f"{scene}{suffix}").read_bytes()


def body(backend: str, scene: str) -> Any:
    """The same answer in one piece; None where none was captured."""
    path = WIRE / backend / f"{scene}.json"
    return json.loads(path.read_bytes()) if path.exists() else None


def matches(backend: str, scene: str, client: str, actual: bytes) -> None:
    """Insist that *actual* is what the reviewed file says a client gets."""
    path = WIRE / backend / f"{scene}.{client}.expected"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_bytes(actual)
    expected = path.read_bytes() if path.exists() else b"(no such file: run once with UPDATE_GOLDEN=1)"

    assert actual == expected, f"{path.name} differs"


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut *data* at these places."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def byte_by_byte(data: bytes) -> list[bytes]:
    """Cut *data* everywhere."""
    return [data[index : index + 1] for index in range(len(data))]


def read(reader: EventReader, chunks: Iterable[bytes]) -> list[Event]:
    """Feed *chunks* to the end, insisting on grammar."""
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return list(checked([*events, *reader.finish()]))


places = st.lists(st.integers(0, 100_000), max_size=30)
"""Where to cut."""


def junk(words: Sequence[str]) -> st.SearchStrategy[Any]:
    """Any JSON at all, with the keys and strings of a dialect scattered in it."""
    word = st.sampled_from(list(words))
    leaves = st.none() | st.booleans() | st.integers(-2, 10) | st.floats(allow_nan=False) | st.text(max_size=4) | word
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(word, inner, max_size=4),
        max_leaves=15,
    )


def noise(words: Sequence[str]) -> st.SearchStrategy[list[bytes]]:
    """Chunks of bytes that now and then look like frames of a dialect."""
    framed = junk(words).map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")
    return st.lists(st.binary(max_size=30) | framed, max_size=8)
