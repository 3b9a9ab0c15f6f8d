"""The profiles of models, which say what each model accepts and refuses.

Renderers read these profiles, and no other code decides by a model's name. The patterns are tried in order against the
normalised name (in lower case, with dashes for dots, without the vendor prefix), and the first that matches decides.
"""

import re
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from dialects.capabilities.azure_versions import FULL_VERSION, PLAIN_VERSION


class Vendor(Enum):
    """The vendor of a model."""

    CLAUDE = "claude"
    NOVA = "nova"
    TITAN = "titan"
    GEMINI = "gemini"
    OPENAI = "openai"
    MISTRAL = "mistral"
    PERPLEXITY = "perplexity"
    COHERE = "cohere"
    NVIDIA = "nvidia"
    OTHER = "other"


class ThinkingStyle(Enum):
    """The way in which a request asks a model to think."""

    NONE = "none"
    BUDGET = "budget"
    """By a number of tokens (Claude up to 4.5, Gemini 2.5)."""
    ADAPTIVE = "adaptive"
    """The model decides how much to think, guided by an effort (Claude from 4.7 on)."""
    EITHER = "either"
    """By a number of tokens, or as in `ADAPTIVE` (Claude 4.6)."""
    EFFORT = "effort"
    """By an effort such as "low" (GPT-5, the o series)."""
    LEVEL = "level"
    """By a level such as "HIGH" (Gemini 3)."""


ODD_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
"""Characters that the name of a tool must not contain at OpenAI, Anthropic, Converse and Mistral."""


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """The features and limits of one model. *name* is the name of the deployed model, as SAP writes it."""

    name: str
    vendor: Vendor = Vendor.OTHER
    images: bool = True
    documents: bool = True
    audio: bool = False
    tools: bool = True
    odd_in_names: re.Pattern[str] = ODD_IN_NAMES
    """Characters that the name of a tool must not contain. Names are limited to 64 characters, too."""
    odd_in_keys: re.Pattern[str] | None = None
    """Characters that a property key in a schema must not contain. Keys are limited to 64 characters, too.

    None if every key is accepted.
    """
    thinking: ThinkingStyle = ThinkingStyle.NONE
    thinks_in_silence: bool = False
    """Whether the model may send nothing for minutes while it thinks."""
    temperature: bool = True
    top_p: bool = True
    top_p_with_temperature: bool = True
    """Whether temperature and top_p may both be given."""
    penalties: bool = True
    stops: int | None = None
    """The largest number of stop sequences in a chat completions request to a GPT; None is unlimited."""
    thinking_budget: tuple[int, int] = (1, 32768)
    """The smallest and the largest thinking budget of a Gemini model, in tokens."""
    thinking_stops: bool = True
    """Whether thinking can be turned off, for a Gemini model."""
    thinking_levels: tuple[str, ...] = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
    """The thinking levels that a Gemini 3 model accepts, in ascending order."""
    schema_with_tools: bool = True
    """Whether a request may have both an output schema and functions."""
    embeds: bool = False
    """Whether it is an embedding model, and not a chat model."""
    embed_content: bool = False
    """Whether embeddings are requested by `embedContent` (Gemini 2) instead of `predict`."""
    max_output: int | None = None
    """The largest answer length in tokens that a request may ask for; None if no limit is enforced."""
    default_output: int = 8192
    """The answer length in tokens if the model requires one and the client sets none."""
    max_completion_tokens: bool = False
    """Whether the field for the answer length is `max_completion_tokens` (reasoning models on Azure)."""
    efforts: tuple[str, ...] = ("low", "medium", "high")
    """The efforts that it accepts if `thinking` is `EFFORT`, in ascending order."""
    effort: bool = False
    """Whether a Claude model accepts `output_config.effort`."""
    native_schema: bool = True
    """Whether it supports an output schema. If not, a forced tool call is used instead."""
    json_object: bool = True
    """Whether it supports a JSON answer without a schema."""
    object_root: bool = True
    """Whether the root of an output schema must be an object."""
    mid_system: bool = False
    """Whether a system message may come after other messages."""
    model_in_body: bool = False
    """Whether the request body must name the model, because the deployment does not imply it."""
    betas: frozenset[str] = frozenset()
    """The `anthropic_beta` flags that Bedrock is known to accept for this model."""
    verbosity: bool = False
    """Whether a GPT model accepts a verbosity."""
    choice_at_root: bool = False
    """Whether Responses accepts a choice such as `anyOf` at the root of a tool schema. Chat completions never does."""
    responses_only: bool = False
    responses_for_tools: bool = False
    """Whether chat completions refuses requests with both functions and reasoning."""
    choice_through_orchestration: bool = True
    """Whether orchestration accepts a tool choice for it."""
    api_version: str = PLAIN_VERSION
    """The oldest of Azure's API versions that supports the model."""


_ODD_IN_IDENTIFIERS = re.compile(r"^[0-9]|[^a-zA-Z0-9_]")
"""Characters that the name of a tool must not contain at Nova and Cohere, which require an identifier."""
# https://docs.claude.com/en/docs/about-claude/models/overview has the answer length of each model, and
# .../agents-and-tools/tool-use/computer-use-tool the computer use tool that each model supports.
_BETAS = frozenset({"context-1m-2025-08-07", "interleaved-thinking-2025-05-14"})
_COMPUTER, _NEW_COMPUTER = "computer-use-2025-01-24", "computer-use-2025-11-24"
_ODD_IN_KEYS = re.compile(r"[^a-zA-Z0-9_.-]")
_CLAUDE = ModelProfile(
    "", Vendor.CLAUDE, odd_in_keys=_ODD_IN_KEYS, default_output=8192, native_schema=False, json_object=False
)
_CLAUDE_4 = replace(
    _CLAUDE,
    thinking=ThinkingStyle.BUDGET,
    max_output=64_000,
    default_output=16384,
    betas=_BETAS | {_COMPUTER},
)
_CLAUDE_45 = replace(_CLAUDE_4, top_p_with_temperature=False, native_schema=True)
_CLAUDE_46 = replace(
    _CLAUDE_45,
    thinking=ThinkingStyle.EITHER,
    effort=True,
    max_output=128_000,
    betas=_BETAS | {_NEW_COMPUTER},
)
_CLAUDE_47 = replace(
    _CLAUDE_46, thinking=ThinkingStyle.ADAPTIVE, thinks_in_silence=True, temperature=False, top_p=False
)
# Converse accepts hyphens, but Nova cannot call such a tool: the model "produced invalid sequence as part of ToolUse".
_NOVA = ModelProfile("", Vendor.NOVA, odd_in_names=_ODD_IN_IDENTIFIERS, native_schema=False, json_object=False)
_GPT = ModelProfile("", Vendor.OPENAI, mid_system=True, stops=4)
_GPT_REASONING = replace(
    _GPT,
    thinking=ThinkingStyle.EFFORT,
    thinks_in_silence=True,
    temperature=False,
    top_p=False,
    penalties=False,
    stops=0,
    max_completion_tokens=True,
    max_output=128_000,
    api_version=FULL_VERSION,
)
_GPT_5 = replace(_GPT_REASONING, verbosity=True, choice_at_root=True, efforts=("minimal", "low", "medium", "high"))
_GPT_51 = replace(_GPT_5, efforts=("none", "low", "medium", "high"))
_GPT_52 = replace(_GPT_5, efforts=("none", "low", "medium", "high", "xhigh"))
_CODEX = replace(_GPT_5, responses_only=True, efforts=("low", "medium", "high"))
# https://ai.google.dev/gemini-api/docs/thinking has the budgets, the levels, and the models that always think.
# https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Tool#FunctionDeclaration has the characters of
# names. It allows a colon, but Gemini removes what comes before a colon.
_GEMINI_25 = ModelProfile(
    "",
    Vendor.GEMINI,
    odd_in_names=re.compile(r"^[0-9.-]|[^a-zA-Z0-9_.-]"),
    audio=True,
    thinking=ThinkingStyle.BUDGET,
    thinking_budget=(1, 24576),
    schema_with_tools=False,
    object_root=False,
    max_output=65535,
)
_GEMINI_3 = replace(_GEMINI_25, thinking=ThinkingStyle.LEVEL, thinking_stops=False, schema_with_tools=True)
_GEMINI_IMAGE = replace(
    _GEMINI_25,
    thinking=ThinkingStyle.NONE,
    tools=False,
    native_schema=False,
    json_object=False,
    max_output=32768,
)
_CHAT = ModelProfile("", documents=False)

PROFILES: tuple[tuple[str, ModelProfile], ...] = (
    (r"claude-(opus|fable|mythos)?-?(4-[78]|[5-9])|claude-4-[78]|claude-[5-9]", _CLAUDE_47),
    (r"claude-4-6|claude-(sonnet|opus|haiku)-4-6", _CLAUDE_46),
    (
        r"claude-4-5-opus|claude-opus-4-5",
        replace(_CLAUDE_45, effort=True, betas=_BETAS | {_NEW_COMPUTER, "effort-2025-11-24"}),
    ),
    (r"claude-4-5|claude-(sonnet|haiku)-4-5", _CLAUDE_45),
    (r"claude-4(-1)?-opus|claude-opus-4", replace(_CLAUDE_4, max_output=32_000)),
    (r"claude-4|claude-sonnet-4", _CLAUDE_4),
    (r"claude-3-7|claude-(sonnet|opus|haiku)-3-7", _CLAUDE_4),
    (r"claude-3-5|claude-(sonnet|opus|haiku)-3-5", replace(_CLAUDE, max_output=8192)),
    (r"claude-3|claude-(sonnet|opus|haiku)-3", replace(_CLAUDE, max_output=4096, default_output=4096)),
    (r"claude", replace(_CLAUDE_45, max_output=None)),
    # https://docs.aws.amazon.com/nova/latest/userguide/what-is-nova.html
    (r"nova-micro", replace(_NOVA, images=False, documents=False, max_output=10_000)),
    (r"nova-pro", replace(_NOVA, max_output=10_000)),
    (r"nova", _NOVA),
    (r"titan-embed-text", ModelProfile("", Vendor.TITAN, images=False, documents=False, tools=False, embeds=True)),
    (r"titan-embed", ModelProfile("", Vendor.TITAN, documents=False, tools=False, embeds=True)),
    (r"titan", ModelProfile("", Vendor.TITAN, documents=False, tools=False)),
    (r"gemini-embedding-2", ModelProfile("", Vendor.GEMINI, tools=False, embeds=True, embed_content=True)),
    (r"gemini-embedding", ModelProfile("", Vendor.GEMINI, images=False, documents=False, tools=False, embeds=True)),
    (r"gemini-.*-image", _GEMINI_IMAGE),
    (r"gemini-3-pro", replace(_GEMINI_3, thinking_levels=("LOW", "HIGH"))),
    (r"gemini-[3-9](-\d)?-pro", replace(_GEMINI_3, thinking_levels=("LOW", "MEDIUM", "HIGH"))),
    # https://ai.google.dev/gemini-api/docs/models: Gemini 3.5 and later models refuse penalties.
    (r"gemini-(3-[5-9]|[4-9])", replace(_GEMINI_3, penalties=False)),
    (r"gemini-3", _GEMINI_3),
    (r"gemini-2-0", replace(_GEMINI_25, thinking=ThinkingStyle.NONE, max_output=8192)),
    (r"gemini-2-5-pro", replace(_GEMINI_25, thinking_budget=(128, 32768), thinking_stops=False)),
    (r"gemini-2-5-flash-lite", replace(_GEMINI_25, thinking_budget=(512, 24576))),
    (r"gemini", _GEMINI_25),
    (r"gpt-5-[2-9]-codex", replace(_CODEX, efforts=("low", "medium", "high", "xhigh"))),
    (r"gpt-5-\d+-codex|gpt-5-codex", _CODEX),
    (r"gpt-5-[6-9]", replace(_GPT_52, responses_for_tools=True, choice_through_orchestration=False)),
    (r"gpt-5-[45]", replace(_GPT_52, responses_for_tools=True)),
    (r"gpt-5-[23]", _GPT_52),
    (r"gpt-5-1", _GPT_51),
    (r"gpt-[5-9]", _GPT_5),
    (r"o\d(-|$)", replace(_GPT_REASONING, max_output=100_000)),
    (r"gpt-4o", replace(_GPT, max_output=16384)),
    (r"gpt-4-1", replace(_GPT, max_output=32768)),
    (r"text-embedding", replace(_GPT, tools=False, embeds=True)),
    (r"gpt", _GPT),
    (r"mistral", replace(_CHAT, vendor=Vendor.MISTRAL, model_in_body=True)),
    # https://docs.perplexity.ai/guides/structured-outputs: JSON can be requested with a schema only.
    (r"sonar", replace(_CHAT, vendor=Vendor.PERPLEXITY, model_in_body=True, tools=False, json_object=False)),
    (r"command|cohere", replace(_CHAT, vendor=Vendor.COHERE, odd_in_names=_ODD_IN_IDENTIFIERS, model_in_body=True)),
    (r".*nv-embed|nvidia", replace(_CHAT, vendor=Vendor.NVIDIA, model_in_body=True, embeds=True)),
    (r"", _CHAT),
)


_FAMILY = re.compile(r"(?:(?<!\d)\d{1,2}-){0,2}(?:clau|(?<![a-z])(?:sonn|haiku|opus))|gemini|gpt")
"""A part of a name that identifies Claude, Gemini or GPT. Before those of Claude there may be a version."""


def normalised(model: str) -> str:
    """Return a model's name in lower case, without the vendor prefix and with dashes for dots."""
    return model.lower().replace(".", "-").replace("_", "-").rpartition("--")[2].strip()


@lru_cache(maxsize=1024)
def canonical(model: str) -> str:
    """Return a model's normalised name with its family first, without anything before it.

    The beginning of the name decides whether it is a Claude, a Gemini or a GPT model. Otherwise the first family that
    the name contains decides. For example, `4.5-sonnet`, `my-claude` and Bedrock's ids of Claude models are Claude.
    """
    name = normalised(model)
    if _row(name) is not _CHAT:
        return name
    dashed = model.lower().replace(".", "-").replace("_", "-")
    found = _FAMILY.search(dashed)
    if found is None:
        return name
    rest = dashed[found.start() :]
    return rest if rest.startswith(("claude", "gemini", "gpt")) else f"claude-{rest}"


@lru_cache(maxsize=1024)
def profile_for(model: str) -> ModelProfile:
    """Return the profile of *model*. An unknown model gets the profile of a plain chat model."""
    return replace(_row(canonical(model)), name=model)


def _row(name: str) -> ModelProfile:
    for pattern, profile in PROFILES:
        if re.match(pattern, name):
            return profile
    raise AssertionError("the last row matches everything")
