"""Fields and settings of a request that Vertex AI or a Gemini model refuses.

https://ai.google.dev/gemini-api/docs/thinking describes how much each model can be asked to think.
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/projects.locations.publishers.models/generateContent
"""

from collections.abc import Mapping
from typing import Any

from dialects.capabilities.models import ModelProfile, ThinkingStyle
from dialects.core.conversation import JSON, Effort
from dialects.gemini.vocabulary import BUDGETS, EFFORTS, LEVELS, camel

_TURN = frozenset({"role", "parts"})
_PART = frozenset(
    {
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "mediaResolution",
        "text",
        "thought",
        "thoughtSignature",
        "videoMetadata",
    }
)
FIELDS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        {
            "cachedContent",
            "contents",
            "generationConfig",
            "labels",
            "modelArmorConfig",
            "safetySettings",
            "systemInstruction",
            "toolConfig",
            "tools",
        }
    ),
    "contents": _TURN,
    "contents.parts": _PART,
    "contents.parts.fileData": frozenset({"mimeType", "fileUri", "displayName"}),
    "contents.parts.functionCall": frozenset({"id", "name", "args"}),
    "contents.parts.functionResponse": frozenset({"id", "name", "response", "parts"}),
    "contents.parts.inlineData": frozenset({"mimeType", "data", "displayName"}),
    "systemInstruction": _TURN,
    "systemInstruction.parts": _PART,
    "generationConfig": frozenset(
        {
            "audioTimestamp",
            "candidateCount",
            "enableAffectiveDialog",
            "frequencyPenalty",
            "imageConfig",
            "logprobs",
            "maxOutputTokens",
            "mediaResolution",
            "modelConfig",
            "presencePenalty",
            "responseJsonSchema",
            "responseLogprobs",
            "responseMimeType",
            "responseModalities",
            "responseSchema",
            "routingConfig",
            "seed",
            "speechConfig",
            "stopSequences",
            "temperature",
            "thinkingConfig",
            "topK",
            "topP",
        }
    ),
    "generationConfig.thinkingConfig": frozenset({"includeThoughts", "thinkingBudget", "thinkingLevel"}),
    "toolConfig": frozenset({"functionCallingConfig", "retrievalConfig"}),
    "toolConfig.functionCallingConfig": frozenset({"allowedFunctionNames", "mode", "streamFunctionCallArguments"}),
}
"""The known fields of each object, by the path of the object. Objects at other paths pass unchanged."""
LISTS = frozenset({"contents", "parts"})
"""Fields that hold lists. One object may stand for a list of one."""
_OTHER_NAMES = {"_responseJsonSchema": "responseJsonSchema"}
"""Names that only Google's Gemini API uses, and Vertex AI's names for them."""
_ORDER = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_MAX_STOPS = 5


_BUDGET, _LEVEL = "thinkingBudget", "thinkingLevel"


_DYNAMIC = -1
"""The budget that lets the model decide how much to think."""


def keep_known_fields(body: JSON, dropped: set[str]) -> JSON:
    """Leave out the fields of *body* that Vertex AI does not know; add the names of those with a value to *dropped*."""
    kept: JSON = _keep_known(body, "", "", dropped)
    return kept


def is_known(path: str) -> bool:
    """Return whether Vertex AI knows the field at *path*, such as ``generationConfig.topK``."""
    place, _, name = path.rpartition(".")
    return name in FIELDS.get(place, ())


def _keep_known(value: Any, table: str, place: str, dropped: set[str]) -> Any:
    if isinstance(value, list):
        return [_keep_known(item, table, place, dropped) if isinstance(item, dict) else item for item in value]
    if not isinstance(value, dict) or table not in FIELDS:
        return value
    kept = {}
    for name, inner in value.items():
        spelled = _OTHER_NAMES.get(name) or camel(name)
        there = f"{place}.{spelled}".removeprefix(".")
        if spelled in FIELDS[table]:
            within = f"{table}.{spelled}".removeprefix(".")
            there += "[]" if spelled in LISTS else ""
            kept[_OTHER_NAMES.get(name, name)] = _keep_known(inner, within, there, dropped)
        elif inner:
            dropped.add(there)
    return kept


def fit_generation_config(config: JSON, profile: ModelProfile) -> tuple[JSON, set[str]]:
    """Change only what the model refuses in a ``generationConfig`` in camel case; return it and the changed names."""
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


def fit_thinking_config(config: JSON, profile: ModelProfile) -> tuple[JSON, set[str]]:
    """Change only what the model refuses in a ``thinkingConfig`` in camel case; return it and the changed names."""
    if profile.thinking is ThinkingStyle.NONE:
        return {}, {name for name, value in config.items() if value}
    kept = {name: value for name, value in config.items() if name not in (_BUDGET, _LEVEL)}
    budget, level = config.get(_BUDGET), config.get(_LEVEL)
    effort = EFFORTS.get(level.upper()) if isinstance(level, str) else None
    in_levels = profile.thinking is ThinkingStyle.LEVEL
    if in_levels and level is not None:
        fit = nearest_level(effort, profile) if effort else level
        kept[_LEVEL] = level if EFFORTS.get(fit) is effort else fit
    elif in_levels and budget == 0:
        kept[_LEVEL] = nearest_level(Effort.NONE, profile)
    elif budget is not None:
        kept[_BUDGET] = nearest_budget(budget, profile)
    elif effort is not None:
        # The model takes no level, so it gets the budget for that level.
        return {**kept, _BUDGET: nearest_budget(BUDGETS[effort], profile)}, set()
    return kept, {name for name, value in config.items() if value is not None and value != kept.get(name)}


def nearest_level(effort: Effort, profile: ModelProfile) -> str:
    """Return the lowest level of the model that is at least *effort*, or its highest."""
    enough = _ORDER.index(LEVELS[effort])
    levels = profile.thinking_levels
    return next((level for level in levels if _ORDER.index(level) >= enough), levels[-1])


def nearest_budget(budget: int, profile: ModelProfile) -> int:
    """Return the budget nearest to *budget* that the model accepts.

    Models that think in levels accept every budget except 0.
    """
    if budget < 0:
        return _DYNAMIC
    if profile.thinking is ThinkingStyle.LEVEL:
        return min(budget, max(BUDGETS.values()))
    least, most = profile.thinking_budget
    return 0 if budget == 0 and profile.thinking_stops else min(max(budget, least), most)
