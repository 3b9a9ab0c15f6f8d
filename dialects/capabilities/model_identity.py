"""The family, version and kind of a model, read from any spelling of its name."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from dialects.capabilities.models import Vendor, profile_for

_FAMILIES: tuple[tuple[str, str], ...] = (
    (r"embed", "embedding"),
    (r"realtime|image|audio|transcribe|tts|whisper|rerank|moderation", ""),
    (r"opus", "claude-opus"),
    (r"haiku", "claude-haiku"),
    (r"gemini", "gemini"),
    (r"^(?:chat)?gpt|^o\d(?!\w)|codex", "gpt"),
)
"""The family of a name, by the first pattern that matches. Models that are not for chat or embeddings have none."""

LONGEST_NAME = 200
"""The longest name of a model, in characters."""

_DATE = r"-20\d{6}|-20\d\d-\d\d-\d\d|-latest"
_SUFFIXES: Mapping[str, re.Pattern[str]] = {
    "claude": re.compile(rf"{_DATE}|-v\d+"),
    "gemini": re.compile(rf"{_DATE}|-\d\d\d|-preview(?:-\d\d-\d\d(?:\d\d)?)?|-exp"),
    "gpt": re.compile(rf"{_DATE}|-(?:0[1-9]|1[0-2])[0-3]\d"),
    "nova": re.compile(rf"{_DATE}|-v\d+"),
    "embedding": re.compile(rf"{_DATE}|(?<=gemini-embedding)-001"),
    "": re.compile(_DATE),
}
"""The suffixes with which vendors mark a model's release date, by the beginning of the name.

A name may have several of them. For an embedding model the key is "embedding". Revisions of embedding models make
different vectors, so they stay different names, except for the revision that SAP AI Core runs without a number."""
_BEDROCK = re.compile(r"^(?:[a-z]+(?:-gov)?\.)?(?:anthropic|amazon|meta|mistral|cohere|deepseek|openai)\.")
"""The vendor at the beginning of a Bedrock name, with an optional region before it."""
_TAIL = re.compile(r"(?:\[[^\[\]]*\]|@[^@]*|:\d+(?::\d+k)?|:\w+content)$")
"""The end of a name that is not part of it: a context size, Vertex's date, Bedrock's revision or Google's verb."""

_NUMBER = re.compile(r"[0-9]{1,18}")
"""A number in a name. Other characters that Unicode calls digits, such as ², and longer numbers are plain text."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The parts of a model's name, without vendor, region, date and differences of spelling.

    *version* has the numbers in the name, *variant* the other words.
    """

    family: str
    version: tuple[str, ...]
    variant: tuple[str, ...]


def may_name_a_model(name: object) -> bool:
    """Return whether *name* is a possible name of a model: at most 200 characters, and no control characters."""
    return (
        isinstance(name, str)
        and len(name) <= LONGEST_NAME
        and (name.isprintable() or not any(unicodedata.category(letter) == "Cc" for letter in name))
    )


@lru_cache(maxsize=1024)
def identity(name: str) -> Identity:
    """Split a name into its parts. Names with equal parts mean the same model."""
    text = _undated(bare(name))
    words = [word for word in re.split(r"[-_.\s]+", text) if word and word != "claude"]
    numbers = [word for word in words if _NUMBER.fullmatch(word)]
    while len(numbers) > 1 and numbers[-1] == "0":
        numbers.pop()
    return Identity(_family(text), tuple(numbers), tuple(word for word in words if not _NUMBER.fullmatch(word)))


class Kind(NamedTuple):
    """A line of models of different versions, such as Claude Opus or GPT mini."""

    family: str
    words: tuple[str, ...]


NO_KIND = Kind("", ())
"""The kind of embedding models, and of models without a family."""


def kind_of(name: str) -> Kind:
    """Return the kind of a model; `NO_KIND` for embedding models and for models without a family."""
    parts = identity(name)
    if parts.family in ("", "embedding"):
        return NO_KIND
    words = (re.sub(r"\d+", "", word) for word in parts.variant)
    return Kind(parts.family, tuple(sorted(word for word in words if word)))


def version_of(name: str) -> tuple[int, ...]:
    """Return the numbers of a model's version, including those inside a word, such as 4 in `o4-mini`."""
    parts = identity(name)
    within = (digits for word in parts.variant for digits in _NUMBER.findall(word))
    return tuple(int(digits) for digits in (*parts.version, *within))


def bare(name: str) -> str:
    """Return a name in lower case without path, vendor and region before it, and without the suffixes of `_TAIL`."""
    text = name.strip().lower().rpartition("/")[2].rpartition("--")[2]
    return _TAIL.sub("", _TAIL.sub("", _BEDROCK.sub("", text)))


def _undated(text: str) -> str:
    """Return a name without its release date, and with dashes for dots."""
    dashed = text.replace(".", "-").replace("_", "-")
    if embeds(dashed):
        begin = "embedding"
    elif _is_claude(dashed):
        begin = "claude"
    else:
        begin = next(key for key in _SUFFIXES if dashed.startswith(key))
    start = end = 0
    for found in _SUFFIXES[begin].finditer(dashed):
        # Adjacent suffixes are one run. Only a run at the end of the name is removed.
        start, end = (start if found.start() == end else found.start()), found.end()
    return dashed[:start] if end == len(dashed) else dashed


def _family(text: str) -> str:
    """Return the family of a name; empty for none."""
    found = next((family for pattern, family in _FAMILIES if re.search(pattern, text)), None)
    if found is None:
        return "claude" if _is_claude(text) else ""
    return found


def embeds(name: str) -> bool:
    """Return whether a model makes embeddings, by its name."""
    return "embed" in name.lower()


def _is_claude(name: str) -> bool:
    return profile_for(name).vendor is Vendor.CLAUDE
