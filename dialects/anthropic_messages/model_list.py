"""Lists of models in the form that Anthropic's clients read.

https://docs.claude.com/en/api/models-list
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from dialects.capabilities.model_info import ModelInfo
from dialects.capabilities.models import ModelProfile, ThinkingStyle, Vendor
from dialects.core.conversation import JSON

_NOW_AND_THEN = frozenset({ThinkingStyle.ADAPTIVE, ThinkingStyle.EITHER})
_BUDGET = frozenset({ThinkingStyle.BUDGET, ThinkingStyle.EITHER})


def render_model(model: ModelInfo, created: int) -> JSON:
    """Describe one model. *created* is in seconds since the epoch.

    A model past its end of life is shown as deprecated, not as retired, because it is still served.
    """
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": _moment(datetime.fromtimestamp(created, UTC)),
        "max_input_tokens": model.max_input,
        "max_tokens": model.max_output,
        "capabilities": _capabilities(model),
        "lifecycle": "deprecated" if model.deprecated or model.ends else "active",
        "deprecated_at": None,
        "retires_at": _moment(datetime.combine(model.ends, time(), UTC)) if isinstance(model.ends, date) else None,
        "line": _line(model),
    }


def render_models(models: Sequence[ModelInfo], created: int) -> JSON:
    """List all models, on a single page."""
    edges = {"first_id": models[0].name if models else None, "last_id": models[-1].name if models else None}
    return {"data": [render_model(model, created) for model in models], "has_more": False, **edges}


def _capabilities(model: ModelInfo) -> JSON:
    """Return what a model supports on this path, including what another vendor's model supports in its own form."""
    profile = model.profile
    thinks = profile.thinking is not ThinkingStyle.NONE
    claude = profile.vendor is Vendor.CLAUDE
    searches = profile.vendor is Vendor.GEMINI and profile.tools
    return {
        "batch": _support(False),
        "citations": _support(claude),
        "code_execution": _support(False),
        "context_management": {
            **_support(False),
            "clear_thinking_20251015": None,
            "clear_tool_uses_20250919": None,
            "compact_20260112": None,
        },
        "effort": _effort(profile),
        "image_input": _support("image" in model.input_types),
        "pdf_input": _support("file" in model.input_types),
        "server_tools": {
            **_support(searches),
            "code_execution": _support(False),
            "web_search": _support(searches),
        },
        "structured_outputs": _support(profile.native_schema or profile.tools),
        "thinking": {
            **_support(thinks),
            "types": {
                "adaptive": _support(profile.thinking in _NOW_AND_THEN if claude else thinks),
                "between_tools": _support(False),
                "disabled": _support(True),
                "enabled": _support(profile.thinking in _BUDGET if claude else thinks),
            },
        },
    }


def _effort(profile: ModelProfile) -> JSON:
    """Return the supported effort levels: by version for Claude, by their own levels for other models that think."""
    if profile.vendor is Vendor.CLAUDE:
        supported, xhigh = profile.effort, profile.effort and profile.thinking is ThinkingStyle.ADAPTIVE
    else:
        supported, xhigh = profile.thinking is not ThinkingStyle.NONE, "xhigh" in profile.efforts
    most = profile.effort and profile.thinking in _NOW_AND_THEN
    levels = {"low": supported, "medium": supported, "high": supported, "xhigh": xhigh, "max": most}
    return {**_support(supported), **{level: _support(is_known) for level, is_known in levels.items()}}


def _line(model: ModelInfo) -> str | None:
    """Return the line of a Claude model (opus, sonnet or haiku), or None."""
    if model.profile.vendor is not Vendor.CLAUDE:
        return None
    return next((line for line in ("opus", "sonnet", "haiku") if line in model.profile.name.lower()), None)


def _support(supported: bool) -> JSON:
    return {"supported": supported}


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
