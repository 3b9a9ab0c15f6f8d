"""The fields of OpenAI chat completions that each vendor's models accept; they refuse requests with other fields."""

from dialects.capabilities.models import ModelProfile, ThinkingStyle, Vendor
from dialects.core.conversation import JSON

_EVERYWHERE = frozenset(
    {
        "model",
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "n",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "top_logprobs",
        "response_format",
        "stream",
        "stream_options",
    }
)
# https://learn.microsoft.com/azure/ai-foundry/openai/reference: the fields of API versions up to 2025-01.
_AZURE = frozenset(
    {
        "audio",
        "function_call",
        "functions",
        "logit_bias",
        "metadata",
        "modalities",
        "prediction",
        "reasoning_effort",
        "store",
        "user",
        "verbosity",
    }
)
# https://docs.perplexity.ai/api-reference/chat-completions-post
_PERPLEXITY = frozenset(
    {
        "disable_search",
        "enable_search_classifier",
        "image_domain_filter",
        "image_format_filter",
        "language_preference",
        "last_updated_after_filter",
        "last_updated_before_filter",
        "reasoning_effort",
        "return_images",
        "return_related_questions",
        "search_after_date_filter",
        "search_before_date_filter",
        "search_domain_filter",
        "search_mode",
        "search_recency_filter",
        "top_k",
        "web_search_options",
    }
)
# https://docs.mistral.ai/api/
_MISTRAL = frozenset({"prediction", "prompt_mode", "random_seed", "safe_prompt"})
# https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
_OPEN = frozenset({"chat_template_kwargs", "logit_bias", "min_p", "repetition_penalty", "top_k", "user"})
_TAKEN = {
    Vendor.OPENAI: _EVERYWHERE | _AZURE,
    Vendor.PERPLEXITY: _EVERYWHERE | _PERPLEXITY,
    Vendor.MISTRAL: _EVERYWHERE | _MISTRAL,
    Vendor.OTHER: _EVERYWHERE | _OPEN,
}
_SAYS_NOTHING: tuple[object, ...] = (None, False, [], {})


def keep_known_fields(body: JSON, profile: ModelProfile, dropped: set[str]) -> JSON:
    """Keep the fields that the model accepts; add the names of the others to *dropped* if they have a value."""
    taken = _TAKEN.get(profile.vendor, _EVERYWHERE)
    refused = _refused(body, profile) if profile.vendor is Vendor.OPENAI else ()
    kept: JSON = {}
    for name, value in body.items():
        if name in taken and name not in refused:
            kept[name] = value
        elif value not in _SAYS_NOTHING:
            dropped.add(name)
    return kept


def _refused(body: JSON, profile: ModelProfile) -> list[str]:
    """Return the fields that OpenAI's models accept in general, but not this model, or not in this request."""
    taken = {
        "reasoning_effort": profile.thinking is ThinkingStyle.EFFORT,
        "verbosity": profile.verbosity,
        # Metadata goes on stored answers, and is refused if the answer is not stored.
        "metadata": body.get("store") is True,
    }
    return [name for name, is_taken in taken.items() if not is_taken]
