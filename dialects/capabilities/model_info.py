"""The description of a model in lists of models: its limits, its input types and its retirement."""

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
    """One model in a list of models.

    *name* is its name for clients, *profile* is what the deployed model accepts. *deprecated* is whether the model is
    deprecated or has been retired.
    """

    name: str
    profile: ModelProfile
    context_length: int | None = None
    """The most tokens of a request, or of request and answer together; None if it is not known."""
    max_output: int | None = None
    """The most tokens of an answer; None if it is not known."""
    input_types: tuple[str, ...] = ("text",)
    """The kinds of input that it accepts: "text", "image", "file" and "audio"."""
    deprecated: bool = False
    ends: date | None = None
    """The day of its retirement, in the past or future; None if none is planned."""
    successors: tuple[str, ...] = ()
    """The models to use instead, the best first."""

    @property
    def max_input(self) -> int | None:
        """The most tokens of a request. For a GPT-5 the longest possible answer is part of the context length."""
        if self.context_length is None:
            return None
        apart = self.context_length - (self.max_output or 0)
        counts_both = self.profile.vendor is Vendor.OPENAI and self.profile.thinking is ThinkingStyle.EFFORT
        return apart if counts_both and apart >= _GPT_5_INPUT else self.context_length

    @property
    def advice(self) -> str:
        """A sentence about its retirement and the model to use instead; empty if no retirement is planned."""
        if self.ends is None:
            return ""
        return f"Ends on {self.ends.isoformat()}" + (f"; use {self.successors[0]}." if self.successors else ".")


@dataclass(frozen=True, slots=True)
class Retirement:
    """The day on which a model was retired, and the models that replace it, the best first."""

    on: date
    successors: tuple[str, ...]


_GPT_5_INPUT: Final = 272_000
"""The smallest limit of a GPT-5's request, in tokens.

If less would remain of a context length without the answer, that length is the limit of the request alone.
"""

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
"""The context length of each model in tokens. The first pattern that matches the normalised name decides."""

_MINI = ("gpt-5.4-mini", "gpt-5-mini")
_NANO = ("gpt-5.4-nano", "gpt-5-nano")
_GPT = ("gpt-5.5", "gpt-5.4", "gpt-5")
# https://me.sap.com/notes/3437766 lists the models that SAP AI Core offers, and their retirement dates.
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
"""Models that have been retired, for descriptions of models when SAP AI Core's catalogue cannot be read."""


@lru_cache(maxsize=1024)
def context_length(model: str) -> int | None:
    """Return the context length of *model* in tokens; None if it is not known."""
    name = canonical(model)
    return next((length for pattern, length in CONTEXT_LENGTHS if re.match(pattern, name)), None)


@lru_cache(maxsize=1024)
def input_types(model: str) -> tuple[str, ...]:
    """Return the kinds of input that *model* accepts."""
    profile = profile_for(model)
    reads = {"text": True, "image": profile.images, "file": profile.documents, "audio": profile.audio}
    return tuple(name for name, is_read in reads.items() if is_read)


def built_in(name: str, model: str = "") -> ModelInfo:
    """Describe the deployed *model*, which clients call *name*, without SAP AI Core's catalogue."""
    model = model or name
    profile = profile_for(model)
    known = context_length(model), profile.max_output, input_types(model)
    retired = _retirements().get(identity(model))
    if retired is None:
        return ModelInfo(name, profile, *known)
    return ModelInfo(name, profile, *known, deprecated=True, ends=retired.on, successors=retired.successors)


@cache
def _retirements() -> Mapping[Identity, Retirement]:
    """Return the retired models by their identity."""
    return {identity(name): retirement for name, retirement in RETIREMENTS.items()}
