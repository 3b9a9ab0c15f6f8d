"""The models that can be deployed, and how each differs from its family."""

from dataclasses import dataclass
from enum import Enum


class Family(Enum):
    """The families of models, each with its own format of bodies and errors."""

    CLAUDE = "claude"
    NOVA = "nova"
    TITAN = "titan"
    GEMINI = "gemini"
    GEMINI_EMBEDDING = "gemini-embedding"
    GPT = "gpt"
    AZURE_EMBEDDING = "azure-embedding"
    NVIDIA = "nvidia"
    ORCHESTRATION = "orchestration"


class Thinking(Enum):
    """The ways in which a model can be asked to think."""

    NEVER = "never"
    BUDGET = "budget"
    EITHER = "either"
    ADAPTIVE = "adaptive"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue, with the traits that validation depends on."""

    name: str
    family: Family
    executable: str
    provider: str
    version: str
    answers_as: str
    context: int
    thinking: Thinking = Thinking.NEVER
    one_sampler: bool = False
    no_samplers: bool = False
    output_config: bool = False
    effort: bool = False
    prefill: bool = True
    signs_calls: bool = False
    chat: bool = True
    responses: bool = False
    tools_need_responses: bool = False
    computer: str = ""
    """The version of the computer tool that a Claude model knows, as a date."""
    dimensions: int = 0

    @property
    def embeds(self) -> bool:
        """Whether the model returns embeddings."""
        return self.dimensions > 0


def _claude(name: str, dated: str, context: int = 200_000, **traits: bool | str | Thinking) -> Model:
    """Describe a Claude model on Bedrock."""
    return Model(name, Family.CLAUDE, "aws-bedrock", "Anthropic", "1", dated, context, **traits)  # type: ignore[arg-type]  # the traits are keyword fields


def _gemini(name: str, **traits: bool | Thinking) -> Model:
    """Describe a Gemini model on Vertex AI."""
    return Model(name, Family.GEMINI, "gcp-vertexai", "Google", "001", name, 1_048_576, **traits)  # type: ignore[arg-type]  # the traits are keyword fields


def _gpt(name: str, version: str, context: int, **traits: bool | Thinking) -> Model:
    """Describe a GPT model on Azure."""
    return Model(name, Family.GPT, "azure-openai", "OpenAI", version, f"{name}-{version}", context, **traits)  # type: ignore[arg-type]  # the traits are keyword fields


_MODELS = (
    _claude("anthropic--claude-3.5-sonnet", "claude-3-5-sonnet-20241022"),
    _claude("anthropic--claude-4-sonnet", "claude-sonnet-4-20250514", computer="2025-01-24", thinking=Thinking.BUDGET),
    _claude(
        "anthropic--claude-4.5-sonnet",
        "claude-sonnet-4-5-20250929",
        computer="2025-01-24",
        thinking=Thinking.BUDGET,
        one_sampler=True,
        output_config=True,
    ),
    _claude(
        "anthropic--claude-4.5-haiku",
        "claude-haiku-4-5-20251001",
        computer="2025-01-24",
        thinking=Thinking.BUDGET,
        one_sampler=True,
        output_config=True,
    ),
    _claude(
        "anthropic--claude-4.6-sonnet",
        "claude-sonnet-4-6",
        1_000_000,
        computer="2025-11-24",
        thinking=Thinking.EITHER,
        one_sampler=True,
        output_config=True,
        effort=True,
    ),
    _claude(
        "anthropic--claude-4.8-opus",
        "claude-opus-4-8",
        1_000_000,
        computer="2025-11-24",
        thinking=Thinking.ADAPTIVE,
        no_samplers=True,
        output_config=True,
        effort=True,
        prefill=False,
    ),
    Model("amazon--nova-pro", Family.NOVA, "aws-bedrock", "Amazon", "1", "nova-pro", 300_000),
    Model(
        "amazon--titan-embed-text",
        Family.TITAN,
        "aws-bedrock",
        "Amazon",
        "2",
        "titan-embed-text",
        8_192,
        dimensions=1024,
    ),
    _gemini("gemini-2.5-pro", thinking=Thinking.ALWAYS),
    _gemini("gemini-2.5-flash", thinking=Thinking.BUDGET),
    _gemini("gemini-2.5-flash-lite", thinking=Thinking.BUDGET),
    _gemini("gemini-3.5-flash", thinking=Thinking.ADAPTIVE, signs_calls=True),
    _gemini("gemini-3.5-flash-lite", thinking=Thinking.ADAPTIVE, signs_calls=True),
    _gemini("gemini-3.1-flash-lite", thinking=Thinking.ADAPTIVE, signs_calls=True),
    Model(
        "gemini-embedding",
        Family.GEMINI_EMBEDDING,
        "gcp-vertexai",
        "Google",
        "001",
        "gemini-embedding-001",
        2_048,
        dimensions=3072,
    ),
    Model(
        "gemini-embedding-2",
        Family.GEMINI_EMBEDDING,
        "gcp-vertexai",
        "Google",
        "2",
        "gemini-embedding-2",
        8_192,
        dimensions=3072,
    ),
    _gpt("gpt-4o", "2024-11-20", 128_000),
    _gpt("gpt-4.1", "2025-04-14", 1_047_576),
    _gpt("gpt-5", "2025-08-07", 400_000, thinking=Thinking.ALWAYS, responses=True),
    _gpt("gpt-5-mini", "2025-08-07", 400_000, thinking=Thinking.ALWAYS, responses=True),
    _gpt("gpt-5.3-codex", "2026-02-24", 400_000, thinking=Thinking.ALWAYS, responses=True, chat=False),
    _gpt("gpt-5.5", "2026-04-24", 1_050_000, thinking=Thinking.ALWAYS, responses=True, tools_need_responses=True),
    _gpt("gpt-5.6-sol", "2026-07-09", 1_050_000, thinking=Thinking.ALWAYS, responses=True, tools_need_responses=True),
    _gpt("gpt-5.6-terra", "2026-07-09", 1_050_000, thinking=Thinking.ALWAYS, responses=True, tools_need_responses=True),
    _gpt("gpt-5.6-luna", "2026-07-09", 1_050_000, thinking=Thinking.ALWAYS, responses=True, tools_need_responses=True),
    Model(
        "text-embedding-3-small",
        Family.AZURE_EMBEDDING,
        "azure-openai",
        "OpenAI",
        "1",
        "text-embedding-3-small",
        8_191,
        dimensions=1536,
    ),
    Model(
        "nvidia--llama-3.2-nv-embedqa-1b",
        Family.NVIDIA,
        "aicore-nvidia",
        "NVIDIA",
        "latest",
        "nvidia/llama-3.2-nv-embedqa-1b-v2",
        8_192,
        dimensions=2048,
    ),
)

MODELS_BY_NAME = {model.name: model for model in _MODELS}

ORCHESTRATION = Model("orchestration", Family.ORCHESTRATION, "orchestration", "SAP", "latest", "orchestration", 0)
