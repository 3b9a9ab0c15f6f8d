"""What Vertex AI knows of a request, field by field: it refuses a body with any other.

https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/projects.locations.publishers.models/generateContent
"""

from collections.abc import Mapping
from typing import Any

from dialects.core.conversation import JSON
from dialects.gemini.vocabulary import camel

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
"""The fields there are, by where they stand; what stands elsewhere is passed as it is."""
LISTS = frozenset({"contents", "parts"})
"""Fields that hold lists, where one object may stand for a list of one."""
_OTHER_NAMES = {"_responseJsonSchema": "responseJsonSchema"}
"""What Google's own API calls otherwise, too."""


def known(body: JSON, dropped: set[str]) -> JSON:
    """Leave out of *body* what Vertex AI does not know, and name what says something."""
    kept: JSON = _known(body, "", "", dropped)
    return kept


def is_known(path: str) -> bool:
    """Whether there is a field at *path*, names of objects and then its own, with dots between."""
    place, _, name = path.rpartition(".")
    return name in FIELDS.get(place, ())


def _known(value: Any, table: str, place: str, dropped: set[str]) -> Any:
    if isinstance(value, list):
        return [_known(item, table, place, dropped) if isinstance(item, dict) else item for item in value]
    if not isinstance(value, dict) or table not in FIELDS:
        return value
    kept = {}
    for name, inner in value.items():
        spelled = _OTHER_NAMES.get(name) or camel(name)
        there = f"{place}.{spelled}".removeprefix(".")
        if spelled in FIELDS[table]:
            within = f"{table}.{spelled}".removeprefix(".")
            there += "[]" if spelled in LISTS else ""
            kept[_OTHER_NAMES.get(name, name)] = _known(inner, within, there, dropped)
        elif inner:
            dropped.add(there)
    return kept
