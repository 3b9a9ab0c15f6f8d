"""The settings of a request, made to fit a Gemini model.

https://ai.google.dev/gemini-api/docs/thinking says who can be told how hard to think, and in which words.
"""

from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import JSON, Effort
from dialects.gemini.vocabulary import BUDGETS, EFFORTS, LEVELS

_ORDER = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_MAX_STOPS = 5
_BUDGET, _LEVEL = "thinkingBudget", "thinkingLevel"
_DYNAMIC = -1
"""A budget that leaves the amount to the model."""


def fitted(config: JSON, profile: ModelProfile) -> tuple[JSON, set[str]]:
    """Change of a ``generationConfig`` in camel case only what the model refuses, and name what changed."""
    refused = {
        "temperature": not profile.temperature,
        "topP": not profile.top_p,
        "presencePenalty": not profile.penalties,
        "frequencyPenalty": not profile.penalties,
    }
    fit = {name: value for name, value in config.items() if not refused.get(name)}
    stops, length = fit.get("stopSequences"), fit.get("maxOutputTokens")
    if isinstance(stops, list):
        fit["stopSequences"] = stops[:_MAX_STOPS]
    if profile.max_output is not None and isinstance(length, int | float):
        fit["maxOutputTokens"] = min(length, profile.max_output)
    return fit, {name for name, value in config.items() if value is not None and value != fit.get(name)}


def fitted_thinking(config: JSON, profile: ModelProfile) -> tuple[JSON, set[str]]:
    """Change of a ``thinkingConfig`` in camel case only what the model refuses, and name what changed."""
    if profile.thinking is ThinkingStyle.NONE:
        return {}, {name for name, value in config.items() if value}
    told = {name: value for name, value in config.items() if name not in (_BUDGET, _LEVEL)}
    budget, level = config.get(_BUDGET), config.get(_LEVEL)
    effort = EFFORTS.get(level.upper()) if isinstance(level, str) else None
    in_levels = profile.thinking is ThinkingStyle.LEVEL
    if in_levels and level is not None:
        fit = fitted_level(effort, profile) if effort else level
        told[_LEVEL] = level if EFFORTS.get(fit) is effort else fit
    elif in_levels and budget == 0:
        told[_LEVEL] = fitted_level(Effort.NONE, profile)
    elif budget is not None:
        told[_BUDGET] = fitted_budget(budget, profile)
    elif effort is not None:
        # The same in other words.
        return {**told, _BUDGET: fitted_budget(BUDGETS[effort], profile)}, set()
    return told, {name for name, value in config.items() if value is not None and value != told.get(name)}


def fitted_level(effort: Effort, profile: ModelProfile) -> str:
    """Choose the least level the model has that is enough."""
    enough = _ORDER.index(LEVELS[effort])
    levels = profile.thinking_levels
    return next((level for level in levels if _ORDER.index(level) >= enough), levels[-1])


def fitted_budget(budget: int, profile: ModelProfile) -> int:
    """Choose the budget the model takes that is nearest; models told in levels take any but none."""
    if budget < 0:
        return _DYNAMIC
    if profile.thinking is ThinkingStyle.LEVEL:
        return min(budget, max(BUDGETS.values()))
    least, most = profile.thinking_budget
    return 0 if budget == 0 and profile.thinking_stops else min(max(budget, least), most)
