"""What the name of a model says: its family, version and kind, however it is written."""

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
"""The family of a name, by the first pattern that matches. What does more or less than chat has none."""

LONGEST_NAME = 200
"""How many characters a model's name may have."""

_DATE = r"-20\d{6}|-20\d\d-\d\d-\d\d|-latest"
_SUFFIXES: Mapping[str, re.Pattern[str]] = {
    "claude": re.compile(rf"{_DATE}|-v\d+"),
    "gemini": re.compile(rf"{_DATE}|-\d\d\d|-preview(?:-\d\d-\d\d(?:\d\d)?)?|-exp"),
    "gpt": re.compile(rf"{_DATE}|-(?:0[1-9]|1[0-2])[0-3]\d"),
    "nova": re.compile(rf"{_DATE}|-v\d+"),
    "embedding": re.compile(rf"{_DATE}|(?<=gemini-embedding)-001"),
    "": re.compile(_DATE),
}
"""What the vendors hang on a name, once or more often, to say when a model was made, by how the name begins;
of an embedding model, by its kind.

Another revision of an embedding model makes other vectors: only the one that SAP AI Core runs has no number."""
_BEDROCK = re.compile(r"^(?:[a-z]+(?:-gov)?\.)?(?:anthropic|amazon|meta|mistral|cohere|deepseek|openai)\.")
"""Bedrock's vendor, and the region before it."""
_TAIL = re.compile(r"(?:\[[^\[\]]*\]|@[^@]*|:\d+(?::\d+k)?|:\w+content)$")
"""The size of the context, Vertex's date, Bedrock's revision, Google's verb."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a name says once vendor, region, date and spelling are taken off it."""

    family: str
    version: tuple[str, ...]
    variant: tuple[str, ...]


def may_name_a_model(name: object) -> bool:
    """Whether a model can have this name: a text of at most 200 characters, and no control character among them."""
    return (
        isinstance(name, str)
        and len(name) <= LONGEST_NAME
        and (name.isprintable() or not any(unicodedata.category(letter) == "Cc" for letter in name))
    )


@lru_cache(maxsize=1024)
def identity(name: str) -> Identity:
    """Take a name apart: two names with equal parts mean one model."""
    text = _undated(bare(name))
    words = [word for word in re.split(r"[-_.\s]+", text) if word and word != "claude"]
    numbers = [word for word in words if word.isdigit()]
    while len(numbers) > 1 and numbers[-1] == "0":
        numbers.pop()
    return Identity(_family(text), tuple(numbers), tuple(word for word in words if not word.isdigit()))


class Kind(NamedTuple):
    """What models of different versions have in common, such as Opus, or GPT mini."""

    family: str
    words: tuple[str, ...]


NO_KIND = Kind("", ())
"""That of a model which makes embeddings, or is of no family."""


def kind_of(name: str) -> Kind:
    """Say of which kind a model is; `NO_KIND` if it makes embeddings, or is of no family."""
    parts = identity(name)
    if parts.family in ("", "embedding"):
        return NO_KIND
    words = (re.sub(r"\d+", "", word) for word in parts.variant)
    return Kind(parts.family, tuple(sorted(word for word in words if word)))


def version_of(name: str) -> tuple[int, ...]:
    """Read the version of a model, also one within a word: 4 of `o4-mini`."""
    parts = identity(name)
    within = (digits for word in parts.variant for digits in re.findall(r"\d+", word))
    return tuple(int(digits) for digits in (*parts.version, *within))


def bare(name: str) -> str:
    """Take off what stands around a name: path, vendor, region, and what follows it."""
    text = name.strip().lower().rpartition("/")[2].rpartition("--")[2]
    return _TAIL.sub("", _TAIL.sub("", _BEDROCK.sub("", text)))


def _undated(text: str) -> str:
    """Take off when the model was made; dots become dashes."""
    dashed = text.replace(".", "-").replace("_", "-")
    if embeds(dashed):
        begin = "embedding"
    elif _is_claude(dashed):
        begin = "claude"
    else:
        begin = next(key for key in _SUFFIXES if dashed.startswith(key))
    start = end = 0
    for found in _SUFFIXES[begin].finditer(dashed):
        # Suffixes that touch are one run; only a run that ends the name is taken off.
        start, end = (start if found.start() == end else found.start()), found.end()
    return dashed[:start] if end == len(dashed) else dashed


def _family(text: str) -> str:
    """Find the family of a name; empty for none."""
    found = next((family for pattern, family in _FAMILIES if re.search(pattern, text)), None)
    if found is None:
        return "claude" if _is_claude(text) else ""
    return found


def embeds(name: str) -> bool:
    """Whether a model makes embeddings, by its name."""
    return "embed" in name.lower()


def _is_claude(name: str) -> bool:
    return profile_for(name).vendor is Vendor.CLAUDE
