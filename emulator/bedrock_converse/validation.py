"""Validation of Converse requests, for Claude and Nova.

Each check raises `ErrorResponse` for what Bedrock or the model refuses.
"""

import re
from typing import Any

from emulator.body_fields import decode_base64, is_blank
from emulator.claude_invoke.signatures import is_redacted, is_signed
from emulator.claude_invoke.validation import as_model_error, betas, check_schema, sampling
from emulator.errors import ErrorResponse, bedrock
from emulator.models import Family, Model
from emulator.world import Json

_TOP = frozenset(
    [
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "guardrailConfig",
        "additionalModelRequestFields",
        "promptVariables",
        "additionalModelResponseFieldPaths",
        "requestMetadata",
        "performanceConfig",
        "serviceTier",
        "outputConfig",
    ]
)
_INFERENCE = {"maxTokens", "temperature", "topP", "stopSequences"}
_EXTRA = {
    Family.CLAUDE: {"thinking", "top_k", "anthropic_beta", "tool_choice", "output_config", "anthropic_version"},
    Family.NOVA: {"inferenceConfig"},
}
_CONTENT = {"text", "image", "document", "toolUse", "toolResult", "reasoningContent", "cachePoint"}
_RESULT = {"text", "json", "image", "document"}
_SYSTEM = {"text", "cachePoint"}
_IMAGES = ("png", "jpeg", "gif", "webp")
_DOCUMENTS = ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")
_DOCUMENT_NAME = re.compile(r"[A-Za-z0-9()\[\]-]+(?: [A-Za-z0-9()\[\]-]+)*")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_LONGEST_NAME = 64
_MARKS = 4


def check(model: Model, body: Json) -> None:
    """Refuse an invalid body of a Converse request."""
    for key in body:
        if key not in _TOP:
            raise bedrock(f"Malformed input request: #: extraneous key [{key}] is not permitted, please reformat")
    _uncontrolled(body)
    _keys(body.get("inferenceConfig") or {}, _INFERENCE, "inferenceConfig")
    for at, block in enumerate(body.get("system") or []):
        _one(block, _SYSTEM, f"system.{at}")
        _check_text(block, "SystemContentBlock", f"system.{at}")
    _tools(body)
    _messages(model, body)
    if str(body).count("'cachePoint':") > _MARKS:
        raise bedrock(f"The maximum number of cachePoint blocks is {_MARKS}. Remove some and try again.")
    _model(model, body)


def _uncontrolled(value: Any) -> None:
    """Refuse Anthropic's cache marks, except inside tool inputs and schemas."""
    match value:
        case dict():
            if isinstance(value.get("cache_control"), dict):
                raise bedrock("Malformed input request: #: extraneous key [cache_control] is not permitted")
            for key, item in value.items():
                if key not in ("input", "inputSchema", "json"):
                    _uncontrolled(item)
        case list():
            for item in value:
                _uncontrolled(item)
        case _:
            pass


def _tools(body: Json) -> None:
    """Refuse invalid tools and tool choices."""
    config = body.get("toolConfig")
    if config is None:
        return
    _keys(config, {"tools", "toolChoice"}, "toolConfig")
    tools = config.get("tools")
    if not tools:
        raise bedrock("1 validation error detected: Value at 'toolConfig.tools' must have length at least 1")
    names = []
    for at, entry in enumerate(tools):
        _one(entry, {"toolSpec", "cachePoint"}, f"toolConfig.tools.{at}")
        if "toolSpec" in entry:
            names.append(_spec(entry["toolSpec"], f"toolConfig.tools.{at}.toolSpec"))
    if len(set(names)) < len(names):
        raise bedrock("The toolConfig.tools field contains duplicate tool names.")
    choice = config.get("toolChoice")
    if choice is None:
        return
    _one(choice, {"auto", "any", "tool"}, "toolConfig.toolChoice")
    if "tool" in choice and choice["tool"].get("name") not in names:
        raise bedrock(f"The tool {choice['tool'].get('name')} is not defined in toolConfig.tools.")


def _spec(spec: Json, path: str) -> str:
    """Refuse a tool without a valid name or schema; return its name."""
    _keys(spec, {"name", "description", "inputSchema", "strict"}, path)
    name = str(spec.get("name", ""))
    _named(name, f"{path}.name")
    if "description" in spec and is_blank(spec["description"]):
        raise bedrock(f"1 validation error detected: Value at '{path}.description' must have length at least 1")
    schema = (spec.get("inputSchema") or {}).get("json")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise bedrock(f"The value at {path}.inputSchema.json.type must be one of the following: object.")
    return name


def _named(name: str, path: str) -> None:
    """Refuse a tool name that is too long or has invalid characters."""
    constraint = "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+"
    if len(name) > _LONGEST_NAME:
        constraint = f"Member must have length less than or equal to {_LONGEST_NAME}"
    elif _TOOL_NAME.fullmatch(name):
        return
    raise bedrock(f"1 validation error detected: Value '{name}' at '{path}' failed to satisfy constraint: {constraint}")


def _messages(model: Model, body: Json) -> None:
    """Refuse a conversation whose turns are not in a valid order."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise bedrock("1 validation error detected: Value at 'messages' must have length at least 1")
    if messages[0].get("role") != "user":
        raise bedrock(
            "A conversation must start with a user message. Try again with a conversation that starts with a "
            "user message."
        )
    for at, message in enumerate(messages):
        _keys(message, {"role", "content"}, f"messages.{at}")
        if message.get("role") != ("user", "assistant")[at % 2]:
            raise bedrock(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates "
                "between user and assistant roles and try again."
            )
        _content(f"messages.{at}", message)
    _pairs(messages, tools="toolConfig" in body)
    if messages[-1]["role"] == "assistant" and not model.prefill:
        raise as_model_error(bedrock("This model does not support assistant message prefill."))
    last = messages[-1]["content"][-1].get("text", "") if messages[-1]["role"] == "assistant" else ""
    if model.family is Family.CLAUDE and last != last.rstrip():
        raise as_model_error(bedrock("messages: final assistant content cannot end with trailing whitespace"))


def _content(path: str, message: Json) -> None:
    """Refuse invalid content of a message."""
    content = message.get("content")
    if not isinstance(content, list) or not content:
        raise bedrock(
            f"The content field in the Message object at {path} is empty. Add a ContentBlock object to the "
            "content field "
            "and try again."
        )
    for place, block in enumerate(content):
        _one(block, _CONTENT, f"{path}.content.{place}")
        _block(f"{path}.content.{place}", block)
    kinds = [next(iter(block)) for block in content]
    if "document" in kinds and "text" not in kinds:
        raise bedrock(f"The content field in {path} with a document must also contain a text block.")
    results = kinds.count("toolResult")
    if any(kind != "toolResult" for kind in kinds[:results]):
        raise bedrock(f"The toolResult blocks at {path}.content must come before other content.")
    user_only, assistant_only = {"image", "document", "toolResult"}, {"toolUse", "reasoningContent"}
    wrong = set(kinds) & (assistant_only if message["role"] == "user" else user_only)
    if wrong:
        raise bedrock(f"The {min(wrong)} block at {path} is not supported for the {message['role']} role.")


def _block(path: str, block: Json) -> None:
    """Refuse an invalid block."""
    match block:
        case {"text": _}:
            _check_text(block, "ContentBlock", path)
        case {"image": image}:
            _media(image, _IMAGES, f"{path}.image")
        case {"document": document}:
            _media(document, _DOCUMENTS, f"{path}.document")
            if not _DOCUMENT_NAME.fullmatch(str(document.get("name", ""))):
                raise bedrock(
                    "The file name may only contain alphanumeric characters, whitespace characters, hyphens, "
                    "parentheses, "
                    "and square brackets. The name can't contain more than one consecutive whitespace character."
                )
        case {"toolUse": call}:
            _keys(call, {"toolUseId", "name", "input"}, f"{path}.toolUse")
            _named(str(call.get("name", "")), f"{path}.toolUse.name")
            if not isinstance(call.get("input"), dict):
                raise bedrock(f"The format of the value at {path}.toolUse.input is invalid. Provide a json object.")
        case {"toolResult": result}:
            _keys(result, {"toolUseId", "content", "status"}, f"{path}.toolResult")
            for place, item in enumerate(result.get("content") or []):
                _one(item, _RESULT, f"{path}.toolResult.content.{place}")
                _check_text(item, "ToolResultContentBlock", f"{path}.toolResult.content.{place}")
        case {"reasoningContent": thought}:
            _thought(thought, path)
        case _:
            pass


def _thought(thought: Json, path: str) -> None:
    """Refuse a thought that has no valid signature."""
    _one(thought, {"reasoningText", "redactedContent"}, f"{path}.reasoningContent")
    if "reasoningText" in thought and not is_signed(thought["reasoningText"].get("signature")):
        raise as_model_error(bedrock(f"{path}: Invalid `signature` in `thinking` block"))
    if "redactedContent" in thought and not is_redacted(thought["redactedContent"]):
        raise as_model_error(bedrock(f"{path}: Invalid `data` in `redacted_thinking` block"))


def _media(media: Json, formats: tuple[str, ...], path: str) -> None:
    """Refuse media in an unknown format, or without valid bytes."""
    if media.get("format") not in formats:
        raise bedrock(
            f"1 validation error detected: Value '{media.get('format')}' at '{path}.format' failed to satisfy "
            "constraint: "
            f"Member must satisfy enum value set: [{', '.join(formats)}]"
        )
    source = media.get("source") or {}
    if "text" not in source and not decode_base64(source.get("bytes")):
        raise bedrock(f"The value at {path}.source.bytes is not valid base64.")


def _check_text(block: Json, kind: str, path: str) -> None:
    """Refuse a blank text."""
    if "text" in block and is_blank(block["text"]):
        raise bedrock(
            f"The text field in the {kind} object at {path} is blank. Add text to the text field, and try again."
        )


def _pairs(messages: list[Json], *, tools: bool) -> None:
    """Refuse calls without results, results without calls, and either of them without tools."""
    calls: list[str] = []
    for at, message in enumerate(messages):
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        missing = [call for call in calls if call not in results]
        if missing:
            raise bedrock(
                f"Expected toolResult blocks at messages.{at}.content for the following Ids: {', '.join(missing)}"
            )
        if len(results) > len(calls):
            raise bedrock(
                f"The number of toolResult blocks at messages.{at}.content exceeds the number of toolUse blocks of "
                "previous turn."
            )
        calls = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        if (calls or results) and not tools:
            raise bedrock("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    if calls:
        raise bedrock(
            f"Expected toolResult blocks at messages.{len(messages)}.content for the following Ids: {', '.join(calls)}"
        )


def _model(model: Model, body: Json) -> None:
    """Refuse settings that the model itself refuses."""
    extra = body.get("additionalModelRequestFields") or {}
    for key in extra:
        if key not in _EXTRA.get(model.family, set()):
            raise as_model_error(bedrock(f"{key}: Extra inputs are not permitted"))
    config = body.get("inferenceConfig") or {}
    limit = config.get("maxTokens")
    if limit is not None and limit < 1:
        raise bedrock("1 validation error detected: Value at 'inferenceConfig.maxTokens' must be at least 1")
    tools = body.get("toolConfig") or {}
    choice = tools.get("toolChoice") or {}
    if model.family is Family.NOVA:
        _novas_schemas(tools.get("tools") or [])
    if model.family is Family.NOVA and "-" in (choice.get("tool") or {}).get("name", ""):
        raise bedrock(
            "Model produced invalid sequence as part of ToolUse. Please refer to the model tool use troubleshooting "
            "guide.",
            424,
        )
    if model.family is not Family.CLAUDE:
        return
    given = {
        "temperature": config.get("temperature"),
        "top_p": config.get("topP"),
        "top_k": extra.get("top_k"),
        "stop_sequences": config.get("stopSequences"),
        "tool_choice": {"type": next(iter(choice), "auto")},
    }
    _choice(extra.get("tool_choice"), choice)
    specs = [tool["toolSpec"] for tool in tools.get("tools") or [] if "toolSpec" in tool]
    try:
        for at, spec in enumerate(specs):
            check_schema(spec["inputSchema"]["json"], at)
        betas(extra.get("anthropic_beta"))
        sampling(model, given, extra.get("thinking"), limit)
    except ErrorResponse as refusal:
        raise as_model_error(refusal) from None


def _choice(own: Json | None, choice: Json) -> None:
    """Refuse a tool choice among Claude's own fields that repeats `toolChoice`, or that lacks a type without it."""
    if own is None:
        return
    if choice and "type" in own:
        where = f"toolConfig.toolChoice.{next(iter(choice))}"
        raise bedrock(
            f"The additional field tool_choice/type conflicts with the existing field {where}. Remove tool_choice/type "
            "and try again."
        )
    if not choice and "type" not in own:
        raise as_model_error(bedrock("tool_choice.type: Field required"))


def _novas_schemas(tools: list[Json]) -> None:
    """Refuse keywords at the top of a schema that Nova does not know."""
    for at, tool in enumerate(tools):
        schema = tool["toolSpec"]["inputSchema"]["json"] if "toolSpec" in tool else {}
        for key in schema:
            if key not in ("type", "properties", "required"):
                message = (
                    f"Malformed input request: #/toolConfig/tools/{at}/toolSpec/inputSchema/json: extraneous key "
                    f"[{key}] is not permitted, please reformat your input and try again."
                )
                raise as_model_error(bedrock(message))


def _keys(value: Any, allowed: set[str], path: str) -> None:
    """Refuse a value that is not an object, or has unknown keys."""
    if not isinstance(value, dict):
        raise bedrock(f"The format of the value at {path} is invalid. Provide a json object.")
    for key in value:
        if key not in allowed:
            raise bedrock(f"Malformed input request: #/{path}: extraneous key [{key}] is not permitted")


def _one(value: Any, allowed: set[str], path: str) -> None:
    """Refuse a union that does not have exactly one known member."""
    _keys(value, allowed, path)
    if len(value) != 1:
        raise bedrock(f"The value at {path} must set exactly one of: {', '.join(sorted(allowed))}.")
