"""Validation of orchestration requests: bodies, files and parameters.

Each check raises `ModuleFailure` for what the service refuses.
"""

import re
from typing import Any

from emulator.body_fields import content_blocks
from emulator.models import Family, Model, Thinking
from emulator.orchestration.failures import REQUEST_BODY, ModuleFailure
from emulator.orchestration.schema_check import find_problem
from emulator.world import Json

_COMMON = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "tool_choice",
        "parallel_tool_calls",
        "stream_options",
    }
)
_CHOICES = frozenset({"n", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"})
_TAKEN = {
    Family.GPT: _COMMON | _CHOICES | {"logit_bias", "user", "reasoning_effort", "verbosity"},
    Family.CLAUDE: _COMMON | {"reasoning_effort", "thinking", "output_config"},
    Family.GEMINI: _COMMON | _CHOICES | {"reasoning_effort", "thinking"},
    Family.NOVA: _COMMON - {"parallel_tool_calls"},
}
_PROVIDERS = {
    Family.GPT: "openai",
    Family.CLAUDE: "anthropic",
    Family.GEMINI: "vertex_ai",
    Family.NOVA: "bedrock",
}
_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+[;,]")


def check(body: Json, schema: Json) -> None:
    """Refuse a body that does not fit its schema."""
    problem = find_problem(body, schema)
    if problem is not None:
        raise ModuleFailure(str(problem), REQUEST_BODY)


def check_files(messages: list[Json]) -> None:
    """Refuse files whose data URI has no media type."""
    for message in messages:
        for part in content_blocks(message.get("content"), type="text"):
            data = part["file"]["file_data"] if "file" in part else ""
            if data.startswith("data:") and not _DATA_URI.match(data):
                raise ModuleFailure(
                    "Invalid file_data format. MIME type is required in data URI "
                    "(e.g., 'data:application/pdf;base64,...').",
                    REQUEST_BODY,
                )


def check_parameters(model: Model, params: Json) -> None:
    """Refuse parameters that the model does not support, in the wording of the service's own library."""
    taken = _TAKEN[model.family]
    if model.name.startswith("gpt-5.6"):
        taken = taken - {"tool_choice"}
    odd = [key for key in params if key not in taken]
    if odd:
        provider = _PROVIDERS[model.family]
        raise ModuleFailure(f"{provider} does not support parameters: {odd!r}, for model={model.name}")
    match model.family:
        case Family.GPT if model.thinking is Thinking.ALWAYS:
            _only_one(params, "gpt-5 models (including gpt-5-codex) don't support")
        case Family.CLAUDE:
            _claude_samplers(model, params)
        case _:
            pass


def _claude_samplers(model: Model, params: Json) -> None:
    """Refuse sampling settings that a Claude model does not support, or not together."""
    if model.no_samplers:
        _only_one(params, f"{model.answers_as} does not support")
        if params.get("top_p") is not None:
            raise ModuleFailure(f"{model.answers_as} does not support top_p={params['top_p']}.")
    if params.get("temperature") is not None and params.get("top_p") is not None:
        raise ModuleFailure("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")


def _only_one(params: Json, subject: str) -> None:
    """Refuse any temperature except the default."""
    temperature: Any = params.get("temperature")
    if temperature not in (None, 1):
        raise ModuleFailure(f"{subject} temperature={temperature}. Only temperature=1 is supported.")
