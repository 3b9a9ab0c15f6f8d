"""The vocabulary of SAP AI Core's orchestration: its name, the place of answers, and token counts."""

from dataclasses import replace
from typing import Any

from dialects.capabilities.models import Vendor, profile_for
from dialects.core.conversation import JSON, Family, Usage, token_count
from dialects.openai_common.vocabulary import parse_usage

DIALECT = "orchestration"
_FAMILIES = {Vendor.CLAUDE: Family.CLAUDE, Vendor.GEMINI: Family.GEMINI, Vendor.OPENAI: Family.OPENAI}
_RESULTS = ("final_result", "orchestration_result")
"""The fields for the answer. The second name is that of the first version of the API."""
_ONE_HOUR = "ephemeral_1h_input_tokens"
_PERIODS = ("ephemeral_5m_input_tokens", _ONE_HOUR)


def family_of(model: str) -> Family | None:
    """Return the family of the signatures that a model writes; None if it writes none."""
    return _FAMILIES.get(profile_for(model).vendor)


def result_in(message: JSON) -> JSON:
    """Return the answer, or a chunk of it, from the results of the modules; empty if there is none.

    The other results are ignored, because they repeat the prompt. Raises `TypeError` if the answer is not an object.
    """
    found: object = next((message[name] for name in _RESULTS if message.get(name)), {})
    if not isinstance(found, dict):
        raise TypeError("a result that is not an object")
    return found


def usage_of(usage: Any, model: str) -> Usage:
    """Parse token counts.

    For Claude, the count of the prompt excludes tokens that were read from or written to a cache. For other models it
    includes them, as in OpenAI's API, unless there are more cached tokens than prompt tokens.
    """
    counted = parse_usage(usage, "prompt", "completion")
    if not isinstance(usage, dict):
        return counted
    details = usage.get("prompt_tokens_details")
    periods = details.get("cache_creation_token_details") if isinstance(details, dict) else None
    written = {name: token_count(periods.get(name)) for name in _PERIODS} if isinstance(periods, dict) else {}
    counted = replace(
        counted,
        cache_write=max(counted.cache_write, sum(written.values())),
        cache_write_1h=min(written.get(_ONE_HOUR, 0), max(counted.cache_write, sum(written.values()))),
    )
    prompt, cached = token_count(usage.get("prompt_tokens")), counted.cache_read + counted.cache_write
    excluded = profile_for(model).vendor is Vendor.CLAUDE or cached > prompt
    return replace(counted, fresh_input=prompt if excluded else prompt - cached)
