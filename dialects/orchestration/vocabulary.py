"""SAP AI Core's orchestration: its name, whose models answer, and how it counts their tokens."""

from dataclasses import replace
from typing import Any

from dialects.capabilities.models import Vendor, profile_for
from dialects.core.conversation import JSON, Family, Usage
from dialects.openai_common.vocabulary import parse_usage

DIALECT = "orchestration"
_FAMILIES = {Vendor.CLAUDE: Family.CLAUDE, Vendor.GEMINI: Family.GEMINI, Vendor.OPENAI: Family.OPENAI}
_RESULTS = ("final_result", "orchestration_result")
"""Where an answer stands; the second name is that of the first version."""
_ONE_HOUR = "ephemeral_1h_input_tokens"
_PERIODS = ("ephemeral_5m_input_tokens", _ONE_HOUR)


def family_of(model: str) -> Family | None:
    """Whose signatures a model writes; None if it writes none."""
    return _FAMILIES.get(profile_for(model).vendor)


def result_in(message: JSON) -> JSON:
    """Find the answer, or a chunk of it, among the results of the modules; empty if there is none.

    The others are not looked at: they repeat the prompt.
    """
    found: object = next((message[name] for name in _RESULTS if message.get(name)), {})
    if not isinstance(found, dict):
        raise TypeError("a result that is not an object")
    return found


def usage_of(usage: Any, model: str) -> Usage:
    """Read token counts: with Claude the prompt's leave out what was read from a cache, or written to one.

    With the others they include it, as OpenAI's do; what is more than the whole cannot be a part of it.
    """
    counted = parse_usage(usage, "prompt", "completion")
    if not isinstance(usage, dict):
        return counted
    details = usage.get("prompt_tokens_details")
    periods = details.get("cache_creation_token_details") if isinstance(details, dict) else None
    written = {name: _count(periods.get(name)) for name in _PERIODS} if isinstance(periods, dict) else {}
    counted = replace(
        counted,
        cache_write=max(counted.cache_write, sum(written.values())),
        cache_write_1h=min(written.get(_ONE_HOUR, 0), max(counted.cache_write, sum(written.values()))),
    )
    prompt, cached = _count(usage.get("prompt_tokens")), counted.cache_read + counted.cache_write
    excluded = profile_for(model).vendor is Vendor.CLAUDE or cached > prompt
    return replace(counted, fresh_input=prompt if excluded else prompt - cached)


def _count(value: Any) -> int:
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else 0
