"""Validation of Gemini requests.

Each check raises `ErrorResponse` for what Vertex AI or the model refuses.
"""

import re
from typing import Any

from emulator import signatures
from emulator.body_fields import decode_google_base64
from emulator.errors import google
from emulator.models import Model, Thinking
from emulator.world import Json

_TOP = frozenset(
    [
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "safetySettings",
        "cachedContent",
        "labels",
        "modelArmorConfig",
    ]
)
_CONFIG = frozenset(
    [
        "temperature",
        "topP",
        "topK",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "thinkingConfig",
        "presencePenalty",
        "frequencyPenalty",
        "seed",
        "responseLogprobs",
        "logprobs",
        "responseModalities",
        "mediaResolution",
        "audioTimestamp",
        "speechConfig",
        "routingConfig",
        "imageConfig",
    ]
)
_PART = {
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "executableCode",
    "codeExecutionResult",
    "mediaResolution",
}
_TOOL = {"functionDeclarations", "googleSearch", "codeExecution", "urlContext", "googleSearchRetrieval"}
_SEARCHES = {"googleSearch", "googleSearchRetrieval", "urlContext"}
_FUNCTION = {"name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema", "behavior"}
_SCHEMA = frozenset(
    [
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "items",
        "maxItems",
        "minItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
        "propertyOrdering",
        "default",
        "minimum",
        "maximum",
        "additionalProperties",
        "ref",
        "defs",
    ]
)
# Thinking budgets of Gemini 2.5 Pro, which always thinks, and 2.5 Flash.
_BUDGETS = {Thinking.ALWAYS: (128, 32_768), Thinking.BUDGET: (1, 24_576)}
_THINKING = {"includeThoughts", "thinkingBudget", "thinkingLevel"}
_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_MODES = ("AUTO", "ANY", "NONE", "VALIDATED")
_MIMES = re.compile(r"(image/(png|jpeg|webp|heic|heif)|application/pdf|text/[\w.+-]+|(audio|video)/[\w.+-]+)")
# Google's SDK for Python allows 128 characters, but models have been seen to refuse more than 64.
_FUNCTION_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_INVALID = "Invalid JSON payload received."


def check(model: Model, body: Json) -> None:
    """Refuse an invalid body of `:generateContent`, which must be normalized."""
    for key in body:
        if key not in _TOP:
            raise google(f'{_INVALID} Unknown name "{key}": Cannot find field.')
    _contents(model, body.get("contents"))
    declared = _tools(body.get("tools") or [])
    _calling(body, declared)
    _config(model, body.get("generationConfig") or {}, declared)


def _contents(model: Model, contents: Any) -> None:
    """Refuse an invalid conversation."""
    if not isinstance(contents, list) or not contents:
        raise google("Unable to submit request because at least one contents field is required.")
    for at, turn in enumerate(contents):
        _keys(turn, {"role", "parts"}, f"contents[{at}]")
        if turn.get("role", "user") not in ("user", "model", "function"):
            raise google("Please use a valid role: user, model.")
        if not turn.get("parts"):
            raise google("Unable to submit request because it must include at least one parts field.")
        for place, part in enumerate(turn["parts"]):
            _part(part, f"contents[{at}].parts[{place}]")
    _pairs(contents)
    if model.signs_calls:
        _signed(contents)


def _part(part: Json, path: str) -> None:
    """Refuse an invalid part."""
    _keys(part, _PART, path)
    if not part.keys() - {"thought", "thoughtSignature", "videoMetadata", "mediaResolution"}:
        raise google(f"Unable to submit request because {path} has no data. Set one of its fields.")
    if part.get("text") == "" and "thoughtSignature" not in part:
        raise google("Unable to submit request because it has an empty text parameter. Add a value to the parameter.")
    data = part.get("inlineData")
    if data is not None:
        _keys(data, {"mimeType", "data", "displayName"}, f"{path}.inline_data")
        if not _MIMES.fullmatch(str(data.get("mimeType"))):
            raise google(
                f"Unable to submit request because it has a mimeType parameter with value {data.get('mimeType')}"
            )
        if not decode_google_base64(data.get("data")):
            raise google(f"Invalid value at '{path}.inline_data.data' (TYPE_BYTES), Base64 decoding failed")
    if "functionCall" in part:
        _keys(part["functionCall"], {"name", "args"}, f"{path}.function_call")
    if "functionResponse" in part:
        _keys(part["functionResponse"], {"name", "response", "parts"}, f"{path}.function_response")
        if not isinstance(part["functionResponse"].get("response"), dict):
            raise google(
                f"Invalid value at '{path}.function_response.response' (type.googleapis.com/google.protobuf.Struct)"
            )


def _pairs(contents: list[Json]) -> None:
    """Refuse function calls whose results do not follow in the next turn."""
    pending = 0
    for at, turn in enumerate(contents):
        calls = sum("functionCall" in part for part in turn["parts"])
        answers = sum("functionResponse" in part for part in turn["parts"])
        if answers != pending:
            raise google(
                "Please ensure that the number of function response parts is equal to the number of function "
                "call parts "
                "of the function call turn."
            )
        if calls and (at == 0 or contents[at - 1].get("role", "user") == "model"):
            raise google(
                "Please ensure that function call turn comes immediately after a user turn or after a "
                "function response "
                "turn."
            )
        pending = calls


def _signed(contents: list[Json]) -> None:
    """Refuse a function call of the current turn without its signature."""
    starts = [at for at, turn in enumerate(contents) if _begins(turn)]
    for at, turn in enumerate(contents):
        calls = [(place, part) for place, part in enumerate(turn["parts"]) if "functionCall" in part]
        if not calls or at < max(starts, default=0):
            continue
        place, part = calls[0]
        given = part.get("thoughtSignature")
        if given is None:
            raise google(
                "Function call is missing a thought_signature in functionCall parts. This is required for "
                "tools to work "
                "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
                f"function call `default_api:{part['functionCall'].get('name')}` , position {at + 1}."
            )
        if not signatures.made("gemini", _standard(given)) and not signatures.skips(given):
            raise google(f"Thought signature is not valid. (contents[{at}].parts[{place}])")


def _begins(turn: Json) -> bool:
    """Return whether a turn is a new one of the user, not only the result of a function."""
    return turn.get("role", "user") == "user" and any("functionResponse" not in part for part in turn["parts"])


def _standard(given: Any) -> Any:
    """Convert base64 to its standard alphabet."""
    return given.replace("-", "+").replace("_", "/") if isinstance(given, str) else given


def _tools(tools: list[Json]) -> set[str]:
    """Refuse invalid declarations; return the names of the declared functions."""
    names: list[str] = []
    for at, tool in enumerate(tools):
        _keys(tool, _TOOL, f"tools[{at}]")
        for place, function in enumerate(tool.get("functionDeclarations") or []):
            path = f"tools[{at}].function_declarations[{place}]"
            _keys(function, _FUNCTION, path)
            if not _FUNCTION_NAME.fullmatch(str(function.get("name", ""))):
                raise google(
                    f"The GenerateContentRequest proto is invalid:\n  * {path}.name: [FIELD_INVALID] Invalid function "
                    "name. Must start with a letter or an underscore. Must be a-z, A-Z, 0-9, or contain underscores "
                    "(_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
                )
            if "parameters" in function and "parametersJsonSchema" in function:
                raise google(f"Only one of parameters and parameters_json_schema may be set at {path}.")
            if "parameters" in function:
                _schema(function["parameters"], f"{path}.parameters")
            names.append(function["name"])
    if names and any(tool.keys() & _SEARCHES for tool in tools):
        raise google("Multiple tools are supported only when they are all search tools.")
    if len(set(names)) < len(names):
        raise google("Duplicate function declaration found.")
    return set(names)


def _schema(schema: Any, path: str) -> None:
    """Refuse JSON Schema outside the subset that Google supports."""
    _keys(schema, set(_SCHEMA), path)
    if isinstance(schema.get("type"), list):
        raise google(f"{_INVALID} Unknown name \"type\" at '{path}': Proto field is not repeating, cannot start list.")
    for at, value in enumerate(schema.get("enum") or []):
        if not isinstance(value, str):
            raise google(f"Invalid value at '{path}.enum[{at}]' (TYPE_STRING), {str(value).lower()}")
    for key, value in (schema.get("properties") or {}).items():
        _schema(value, f"{path}.properties[{key}]")
    if "items" in schema:
        _schema(schema["items"], f"{path}.items")
    for at, value in enumerate(schema.get("anyOf") or []):
        _schema(value, f"{path}.any_of[{at}]")


def _calling(body: Json, declared: set[str]) -> None:
    """Refuse an invalid function calling mode."""
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig")
    if calling is None:
        return
    _keys(
        calling, {"mode", "allowedFunctionNames", "streamFunctionCallArguments"}, "tool_config.function_calling_config"
    )
    mode = str(calling.get("mode", "AUTO")).upper()
    if mode not in _MODES:
        raise google(f"Invalid value at 'tool_config.function_calling_config.mode', \"{mode}\"")
    allowed = calling.get("allowedFunctionNames") or []
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise google("Function calling config is set with allowed_function_names but the mode is not ANY.")
    if set(allowed) - declared:
        raise google("allowed_function_names must be a subset of the declared function names.")
    if mode == "ANY" and not declared:
        raise google("Function calling config is set without function_declarations.")


def _config(model: Model, config: Json, declared: set[str]) -> None:
    """Refuse settings that are unknown, out of range or in conflict."""
    _keys(config, set(_CONFIG), "generation_config")
    if "responseSchema" in config and "responseJsonSchema" in config:
        raise google("Only one of response_schema and response_json_schema may be set.")
    if "responseSchema" in config:
        _schema(config["responseSchema"], "generation_config.response_schema")
    wants_json = config.get("responseMimeType") == "application/json"
    if ("responseSchema" in config or "responseJsonSchema" in config) and not wants_json:
        raise google("Unable to submit request because response_schema requires response_mime_type application/json.")
    if wants_json and declared and not model.signs_calls:
        raise google("Function calling with a response mime type: 'application/json' is unsupported")
    limit = config.get("maxOutputTokens")
    if limit is not None and not 1 <= limit <= 65_536:
        raise google(
            f"Unable to submit request because it has a maxOutputTokens value of {limit} but the supported "
            "range is from 1 (inclusive) to 65537 (exclusive)."
        )
    if len(config.get("stopSequences") or []) > 5:
        raise google("Unable to submit request because it has more than 5 stop sequences.")
    if not 0 <= config.get("temperature", 1) <= 2:
        raise google("Unable to submit request because the supported range of temperature is from 0 to 2.")
    _thinking(model, config.get("thinkingConfig") or {})


def _thinking(model: Model, thinking: Json) -> None:
    """Refuse a way of thinking that the model does not support."""
    _keys(thinking, _THINKING, "generation_config.thinking_config")
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if budget is not None and level is not None:
        raise google("You can only set only one of thinking budget and thinking level.")
    if level is not None and not model.signs_calls:
        raise google("Thinking level is not supported for this model.")
    if level is not None and str(level).upper() not in _LEVELS:
        raise google(f"Invalid value at 'generation_config.thinking_config.thinking_level', \"{level}\"")
    if budget == 0 and model.thinking is Thinking.ALWAYS:
        raise google("Budget 0 is invalid. This model only works in thinking mode.")
    least, most = _BUDGETS.get(model.thinking, (1, 32_768))
    if budget not in (None, -1, 0) and not least <= budget <= most:
        raise google(f"The thinking budget {budget} is invalid. Please choose a value between {least} and {most}.")


def _keys(value: Any, allowed: set[str], path: str) -> None:
    """Refuse a value that is not an object, or has keys without a field in the protocol buffer."""
    if not isinstance(value, dict):
        raise google(f"Invalid value at '{path}'")
    for key in value:
        if key not in allowed:
            raise google(f"{_INVALID} Unknown name \"{key}\" at '{path}': Cannot find field.")
