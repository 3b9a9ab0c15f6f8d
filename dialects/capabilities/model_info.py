"""What lists of models say of each: its limits, what it reads, and when it ends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Final

from dialects.capabilities.model_identity import Identity, identity
from dialects.capabilities.models import ModelProfile, ThinkingStyle, Vendor, canonical, profile_for


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model in a list of models. *name* is what clients call it, *profile* what the deployed model accepts."""

    name: str
    profile: ModelProfile
    context_length: int | None = None
    """The most tokens of a request, or of request and answer together; None where it is not known."""
    max_output: int | None = None
    """The most tokens of an answer; None where it is not known."""
    input_types: tuple[str, ...] = ("text",)
    """What it reads: "text", "image", "file", "audio"."""
    deprecated: bool = False
    ends: date | None = None
    """The day on which it ends or ended; None where none is planned."""
    successors: tuple[str, ...] = ()
    """The models to use instead, the best first."""

    @property
    def max_input(self) -> int | None:
        """The most tokens of a request: a GPT-5 counts the longest answer it may give as part of its context."""
        if self.context_length is None:
            return None
        apart = self.context_length - (self.max_output or 0)
        counts_both = self.profile.vendor is Vendor.OPENAI and self.profile.thinking is ThinkingStyle.EFFORT
        return apart if counts_both and apart >= _GPT_5_INPUT else self.context_length

    @property
    def advice(self) -> str:
        """When it ends and what to use instead, for people; empty where it does not."""
        if self.ends is None:
            return ""
        return f"Ends on {self.ends.isoformat()}" + (f"; use {self.successors[0]}." if self.successors else ".")


@dataclass(frozen=True, slots=True)
class Retirement:
    """The day on which a model ended, and what takes its place."""

    on: date
    successors: tuple[str, ...]


_GPT_5_INPUT: Final = 272_000
"""The least that a GPT-5 takes; a context from which less would remain is of the request alone."""

# https://docs.claude.com/en/docs/about-claude/models/overview, https://platform.openai.com/docs/models,
# https://ai.google.dev/gemini-api/docs/models, https://docs.aws.amazon.com/nova/latest/userguide/what-is-nova.html,
# https://docs.mistral.ai/getting-started/models, https://docs.cohere.com/docs/models
CONTEXT_LENGTHS: Final[tuple[tuple[str, int], ...]] = (
    (r"claude-4-6-(sonnet|opus)|claude-(sonnet|opus)-4-6", 1_000_000),
    (r"claude-(opus|fable|mythos|sonnet)?-?(4-[78]|[5-9])|claude-4-[78]", 1_000_000),
    (r"claude", 200_000),
    (r"nova-micro", 128_000),
    (r"nova-premier", 1_000_000),
    (r"nova", 300_000),
    (r"titan-embed-text|gemini-embedding-2", 8_192),
    (r"gemini-embedding", 2_048),
    (r"gemini-2-5-flash-image", 32_768),
    (r"gemini-\d(-\d)?-(pro|flash)-image", 65_536),
    (r"gemini", 1_048_576),
    (r"gpt-5-[4-9]-(mini|nano)", 400_000),
    (r"gpt-5-[4-9]", 1_050_000),
    (r"gpt-5", 400_000),
    (r"gpt-4-1", 1_047_576),
    (r"gpt-4o", 128_000),
    (r"o\d(-|$)", 200_000),
    (r"text-embedding", 8_191),
    (r"mistral-(large|medium|small)-instruct", 131_072),
    (r"command-a-reasoning", 256_000),
    (r"sonar-pro", 200_000),
    (r"sonar", 128_000),
)
"""How many tokens each model takes, by its normalised name; the first row that matches counts."""

_MINI = ("gpt-5.4-mini", "gpt-5-mini")
_NANO = ("gpt-5.4-nano", "gpt-5-nano")
_GPT = ("gpt-5.5", "gpt-5.4", "gpt-5")
# https://me.sap.com/notes/3437766: which models SAP AI Core offers, and until when.
RETIREMENTS: Final[Mapping[str, Retirement]] = {
    "amazon--nova-premier": Retirement(date(2026, 9, 10), ("amazon--nova-pro",)),
    "anthropic--claude-3-haiku": Retirement(date(2026, 9, 10), ("anthropic--claude-4.5-haiku",)),
    "anthropic--claude-4-sonnet": Retirement(
        date(2026, 10, 14), ("anthropic--claude-4.6-sonnet", "anthropic--claude-4.5-sonnet")
    ),
    "gemini-2.5-flash": Retirement(date(2026, 10, 16), ("gemini-3.5-flash",)),
    "gemini-2.5-pro": Retirement(date(2026, 10, 16), ("gemini-3.5-flash",)),
    "gpt-4.1": Retirement(date(2026, 10, 14), _GPT),
    "gpt-4.1-mini": Retirement(date(2026, 10, 14), _MINI),
    "gpt-4.1-nano": Retirement(date(2026, 10, 14), _NANO),
    "gpt-4o": Retirement(date(2026, 10, 1), _GPT),
    "gpt-4o-mini": Retirement(date(2026, 10, 1), _MINI),
    "o1": Retirement(date(2026, 7, 15), _GPT),
    "o3": Retirement(date(2026, 10, 16), _GPT),
    "o3-mini": Retirement(date(2026, 8, 2), _MINI),
    "o4-mini": Retirement(date(2026, 10, 16), _MINI),
}
"""What has ended, for saying so where SAP AI Core's own catalogue cannot be read; none of it is ever asked for."""


@lru_cache(maxsize=1024)
def context_length(model: str) -> int | None:
    """Look up how many tokens *model* takes; None for one that is not known."""
    name = canonical(model)
    return next((length for pattern, length in CONTEXT_LENGTHS if re.match(pattern, name)), None)


@lru_cache(maxsize=1024)
def input_types(model: str) -> tuple[str, ...]:
    """List what *model* reads."""
    profile = profile_for(model)
    reads = {"text": True, "image": profile.images, "file": profile.documents, "audio": profile.audio}
    return tuple(name for name, is_read in reads.items() if is_read)


def built_in(name: str, model: str = "") -> ModelInfo:
    """Describe the deployed *model* that clients call *name* by what is known without a catalogue."""
    model = model or name
    profile = profile_for(model)
    known = context_length(model), profile.max_output, input_types(model)
    retired = _retirements().get(identity(model))
    if retired is None:
        return ModelInfo(name, profile, *known)
    return ModelInfo(name, profile, *known, deprecated=True, ends=retired.on, successors=retired.successors)


@cache
def _retirements() -> Mapping[Identity, Retirement]:
    """Give what has ended, by its identity."""
    return {identity(name): retirement for name, retirement in RETIREMENTS.items()}
