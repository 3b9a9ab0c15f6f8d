"""Validation of requests to Claude on `/invoke`; some of it also applies on `/converse`.

Each check raises `ErrorResponse` for what Claude refuses.
"""

import re
from collections.abc import Iterator
from typing import Any

from emulator.body_fields import content_blocks, decode_base64, is_blank
from emulator.claude_invoke.signatures import is_redacted, is_signed, sign
from emulator.errors import ErrorResponse, bedrock
from emulator.json_schema import has_open_object, is_recursive, property_keys
from emulator.models import Model, Thinking
from emulator.world import Json

VERSION = "bedrock-2023-05-31"
BETAS = frozenset(
    {
        "claude-code-20250219",
        "mid-conversation-system-2026-04-07",
        "afk-mode-2026-01-31",
        "context-1m-2025-08-07",
        "interleaved-thinking-2025-05-14",
        "tool-search-tool-2025-10-19",
        "fine-grained-tool-streaming-2025-05-14",
        "token-efficient-tools-2025-02-19",
        "output-128k-2025-02-19",
        "computer-use-2024-10-22",
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        "context-management-2025-06-27",
        "effort-2025-11-24",
    }
)
_TOP = frozenset(
    [
        "anthropic_version",
        "anthropic_beta",
        "max_tokens",
        "messages",
        "system",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
    ]
)
_BLOCKS = {
    "text": {"text", "cache_control", "citations"},
    "image": {"source", "cache_control"},
    "document": {"source", "title", "context", "citations", "cache_control"},
    "tool_use": {"id", "name", "input", "cache_control"},
    "tool_result": {"tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "search_result": {"source", "title", "content", "citations", "cache_control"},
}
_ROLE_BLOCKS = {
    "user": {"text", "image", "document", "tool_result", "search_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
}
_TOOL_KEYS = {"type", "name", "description", "input_schema", "cache_control", "strict"}
_BUILT_IN = ("bash_20250124", "custom", "memory_20250818", "text_editor_20250728")
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_PROPERTY_KEY = re.compile(r"^[a-zA-Z0-9_.-]{1,64}$")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_CHOICES = ("auto", "any", "tool", "none")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_NO_SYSTEM = "role 'system' is not supported on this model"
_MARKS = 4
_LEAST_BUDGET = 1024


def check(model: Model, body: Json) -> None:
    """Refuse an invalid body of `/invoke`."""
    if "metadata" in body:
        raise bedrock(_NO_SYSTEM)  # Bedrock has been seen to answer so to this field
    for key in body:
        if key not in _TOP or (key == "output_config" and not model.output_config):
            raise bedrock(f"{key}: Extra inputs are not permitted")
    if "anthropic_version" not in body:
        raise bedrock("anthropic_version: Field required")
    if body["anthropic_version"] != VERSION:
        raise bedrock("Invalid API version: anthropic_version: Input should be 'bedrock-2023-05-31'")
    if "max_tokens" not in body:
        raise bedrock("max_tokens: Field required")
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        raise bedrock("max_tokens: Input should be greater than or equal to 1")
    betas(body.get("anthropic_beta"))
    _system(body.get("system"))
    _tools(model, body)
    _messages(model, body)
    _marks(body)
    _output(model, body.get("output_config"))
    sampling(model, body, body.get("thinking"), body["max_tokens"])


def betas(given: Any) -> None:
    """Refuse unknown beta flags. The error does not name them."""
    if given is not None and (not isinstance(given, list) or not BETAS.issuperset(map(str, given))):
        raise bedrock("invalid beta flag")


def sampling(model: Model, given: Json, thinking: Any, max_tokens: int | None) -> None:
    """Refuse sampling and thinking settings that conflict, or that the model does not support."""
    temperature, top_p = given.get("temperature"), given.get("top_p")
    if temperature is not None and not 0 <= temperature <= 1:
        raise bedrock("temperature: range: 0..1")
    if model.no_samplers:
        for key in ("temperature", "top_p", "top_k"):
            if given.get(key) is not None:
                raise bedrock(f"`{key}` is deprecated for this model.")
    if model.one_sampler and temperature is not None and top_p is not None:
        raise bedrock("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if any(is_blank(stop) for stop in given.get("stop_sequences") or []):
        raise bedrock("stop_sequences: each stop sequence must contain non-whitespace")
    if thinking is not None and thinking.get("type") != "disabled":
        _thinking(model, thinking, max_tokens)
        _while_thinking(given)


def _while_thinking(given: Json) -> None:
    """Refuse sampling settings and tool choices that conflict with thinking."""
    temperature, top_p, top_k = given.get("temperature"), given.get("top_p"), given.get("top_k")
    if temperature not in (None, 1):
        raise bedrock("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.")
    if top_k is not None:
        raise bedrock("`top_k` must be unset when thinking is enabled or in adaptive mode.")
    if top_p is not None and top_p < 0.95:
        raise bedrock("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if (given.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise bedrock("Thinking may not be enabled when tool_choice forces tool use.")


def _thinking(model: Model, thinking: Json, max_tokens: int | None) -> None:
    """Refuse a way of thinking that the model does not support."""
    kind = thinking.get("type")
    if kind not in ("enabled", "adaptive"):
        raise bedrock(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            "'adaptive', 'disabled', 'enabled'"
        )
    if model.thinking is Thinking.NEVER:
        raise bedrock(f"'{model.answers_as}' does not support thinking.")
    if kind == "adaptive":
        if model.thinking is Thinking.BUDGET:
            raise bedrock("adaptive thinking is not supported on this model")
        return
    if model.thinking is Thinking.ADAPTIVE:
        raise bedrock(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    budget = thinking.get("budget_tokens")
    if budget is None:
        raise bedrock("thinking.enabled.budget_tokens: Field required")
    if budget < _LEAST_BUDGET:
        raise bedrock("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if max_tokens is not None and budget >= max_tokens:
        raise bedrock("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _output(model: Model, config: Any) -> None:
    """Refuse output settings that the model does not support."""
    if not config:
        return
    effort = config.get("effort")
    if effort is not None and not model.effort:
        raise bedrock("This model does not support the effort parameter.")
    if effort is not None and effort not in _EFFORTS:
        raise bedrock("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    wanted = config.get("format")
    if wanted is None:
        return
    if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict):
        raise bedrock("output_config.format.schema: Field required")
    if is_recursive(wanted["schema"]):
        raise bedrock("output_config.format.schema: Recursive schemas are not supported.")
    if has_open_object(wanted["schema"]):
        raise bedrock(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
        )


def _system(system: Any) -> None:
    """Refuse a system prompt with blank blocks or unknown keys."""
    for at, block in enumerate(content_blocks(system, type="text")):
        _keys(block, {"type", "text", "cache_control", "citations"}, f"system.{at}")
        if is_blank(block.get("text")) and not isinstance(system, str):
            raise bedrock("system: text content blocks must be non-empty")


def _tools(model: Model, body: Json) -> None:
    """Refuse tools and tool choices that Bedrock does not accept."""
    tools = body.get("tools") or []
    for at, tool in enumerate(tools):
        _tool(model, at, tool, body.get("anthropic_beta") or [])
    names = [tool["name"] for tool in tools]
    if len(set(names)) < len(names):
        raise bedrock("tools: Tool names must be unique.")
    choice = body.get("tool_choice")
    if choice is None:
        return
    if choice.get("type") not in _CHOICES:
        raise bedrock("tool_choice: Input tag found using 'type' does not match any of the expected tags")
    if not tools:
        raise bedrock("tool_choice: tool_choice may only be specified while providing tools.")
    if choice["type"] == "tool" and choice.get("name") not in names:
        raise bedrock(f"Tool '{choice.get('name')}' not found in provided tools")


def _tool(model: Model, at: int, tool: Json, betas: list[str]) -> None:
    """Refuse an invalid tool."""
    kind = tool.get("type", "custom")
    unlocked = [f"computer_{model.computer.replace('-', '')}"] if f"computer-use-{model.computer}" in betas else []
    if kind not in (known := sorted([*_BUILT_IN, *unlocked])):
        expected = ", ".join(f"'{name}'" for name in known)
        raise bedrock(
            f"tools.{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {expected}"
        )
    if kind != "custom":
        return
    searching = {"defer_loading"} if "tool-search-tool-2025-10-19" in betas else set()
    strict = set() if model.output_config else {"strict"}
    _keys(tool, (_TOOL_KEYS | searching) - strict, f"tools.{at}.custom")
    if not _TOOL_NAME.fullmatch(str(tool.get("name", ""))):
        raise bedrock(f"tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    if not isinstance(tool.get("input_schema"), dict):
        raise bedrock(f"tools.{at}.custom.input_schema: Field required")
    if tool["input_schema"].get("type") != "object":
        raise bedrock(f"tools.{at}.custom.input_schema.type: Input should be 'object'")
    check_schema(tool["input_schema"], at)


def check_schema(schema: Json, at: int) -> None:
    """Refuse a tool's schema that is a choice at its root, or has property names with invalid characters."""
    if not all(_PROPERTY_KEY.fullmatch(key) for key in property_keys(schema)):
        raise bedrock(
            f"tools.{at}.custom.input_schema.properties: Property keys should match pattern '{_PROPERTY_KEY.pattern}'"
        )
    if not {"oneOf", "allOf", "anyOf"}.isdisjoint(schema):
        what = "input_schema does not support oneOf, allOf, or anyOf at the top level"
        raise bedrock(f"tools.{at}.custom.input_schema: {what}")


def _messages(model: Model, body: Json) -> None:
    """Refuse an invalid conversation."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise bedrock("messages: at least one message is required")
    for at, message in enumerate(messages):
        _keys(message, {"role", "content"}, f"messages.{at}")
        if message.get("role") == "system":
            raise bedrock(_NO_SYSTEM)
        if message.get("role") not in _ROLE_BLOCKS:
            raise bedrock(f'messages: Unexpected role "{message.get("role")}". Allowed roles are user or assistant')
        _content(at, message, last=at == len(messages) - 1)
    if messages[0]["role"] != "user":
        raise bedrock('messages: first message must use the "user" role')
    _pairs(messages)
    if messages[-1]["role"] == "assistant":
        _prefill(model, messages[-1], body)
    if (body.get("thinking") or {}).get("type") == "enabled":
        _thinks_first(messages)


def _content(at: int, message: Json, *, last: bool) -> None:
    """Refuse invalid content of a message."""
    content = message.get("content")
    if not content and not (last and message["role"] == "assistant"):
        raise bedrock(f"messages.{at}: all messages must have non-empty content")
    for place, block in enumerate(content_blocks(content, type="text")):
        path = f"messages.{at}.content.{place}"
        kind = str(block.get("type"))
        if kind not in _BLOCKS or kind not in _ROLE_BLOCKS[message["role"]]:
            expected = ", ".join(f"'{name}'" for name in sorted(_ROLE_BLOCKS[message["role"]]))
            raise bedrock(
                f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {expected}"
            )
        _keys(block, _BLOCKS[kind] | {"type"}, f"{path}.{kind}")
        _block(path, kind, block)


def _block(path: str, kind: str, block: Json) -> None:
    """Refuse an invalid block."""
    match kind:
        case "text" if not block.get("text"):
            raise bedrock("messages: text content blocks must be non-empty")
        case "text" if is_blank(block["text"]):
            raise bedrock("messages: text content blocks must contain non-whitespace text")
        case "image" | "document":
            _source(f"{path}.{kind}", kind, block.get("source") or {})
        case "tool_use" if not _CALL_ID.fullmatch(str(block.get("id", ""))):
            raise bedrock(f"{path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        case "tool_use" if not _TOOL_NAME.fullmatch(str(block.get("name", ""))):
            raise bedrock(f"{path}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        case "tool_use" if not isinstance(block.get("input"), dict):
            raise bedrock(f"{path}.tool_use.input: Input should be a valid dictionary")
        case "tool_result":
            _result(f"{path}.tool_result", block)
        case "thinking" if not is_signed(block.get("signature")):
            raise bedrock(f"{path}: Invalid `signature` in `thinking` block")
        case "redacted_thinking" if not is_redacted(block.get("data")):
            raise bedrock(f"{path}: Invalid `data` in `redacted_thinking` block")
        case _:
            pass


def _result(path: str, block: Json) -> None:
    """Refuse an invalid tool result."""
    for place, inner in enumerate(content_blocks(block.get("content"), type="text")):
        if inner.get("type") not in ("text", "image", "document", "search_result"):
            raise bedrock(f"{path}.content.{place}: Input tag '{inner.get('type')}' is not expected")
        if inner["type"] == "image":
            _source(f"{path}.content.{place}.image", "image", inner.get("source") or {})


def _source(path: str, kind: str, source: Json) -> None:
    """Refuse an attachment whose data is not in the body."""
    allowed = ("base64",) if kind == "image" else ("base64", "text", "content")
    if source.get("type") not in allowed:
        raise bedrock(f"{path}.source: Input tag '{source.get('type')}' found using 'type' is not supported")
    if source["type"] != "base64":
        return
    media = source.get("media_type")
    if kind == "image" and media not in _IMAGES:
        raise bedrock(
            f"{path}.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
        )
    if kind == "document" and media != "application/pdf":
        raise bedrock(f"{path}.source.base64.media_type: Input should be 'application/pdf'")
    if not decode_base64(source.get("data")):
        raise bedrock(f"{path}.source.base64: invalid base64 data")


def _ids(message: Json, kind: str, key: str) -> list[str]:
    """Return the ids in a message's blocks of one kind."""
    return [block[key] for block in content_blocks(message["content"], type="text") if block["type"] == kind]


def _pairs(messages: list[Json]) -> None:
    """Refuse calls without results, and results without calls."""
    calls: list[str] = []
    for at, message in enumerate(messages):
        results = _ids(message, "tool_result", "tool_use_id")
        missing = [call for call in calls if call not in results]
        kinds = [block["type"] for block in content_blocks(message["content"], type="text")]
        leads = all(kind == "tool_result" for kind in kinds[: len(results)])
        if missing or (results and not leads):
            names = ", ".join(missing or results)
            raise bedrock(
                f"messages.{at - 1}: `tool_use` ids were found without `tool_result` blocks immediately "
                f"after: {names}. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            )
        for result in results:
            if result not in calls:
                raise bedrock(
                    f"messages.{at}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {result}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
        calls = _ids(message, "tool_use", "id")
        if len(set(calls)) < len(calls):
            raise bedrock("messages: `tool_use` ids must be unique")
    if calls:
        raise bedrock(
            f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
            "next message."
        )


def _prefill(model: Model, message: Json, body: Json) -> None:
    """Refuse an answer that the client has begun, if the model cannot continue it or it ends in white space."""
    if not model.prefill or (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        raise bedrock(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    said = content_blocks(message["content"], type="text")
    if said and said[-1].get("text", "").rstrip() != said[-1].get("text", ""):
        raise bedrock("messages: final assistant content cannot end with trailing whitespace")


def _thinks_first(messages: list[Json]) -> None:
    """Refuse a last assistant turn that calls tools but does not start with its thoughts."""
    turns = [(at, message) for at, message in enumerate(messages) if message["role"] == "assistant"]
    if not turns or not _ids(messages[-1], "tool_result", "tool_use_id"):
        return
    at, turn = turns[-1]
    first, *_ = content_blocks(turn["content"], type="text")
    if first["type"] not in ("thinking", "redacted_thinking"):
        raise bedrock(
            f"messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first['type']}`. "
            "When `thinking` is enabled, a final `assistant` message must start with a thinking block."
        )
    for place, block in enumerate(content_blocks(turn["content"])):
        if block["type"] == "thinking" and block["thinking"] and sign(block["thinking"]) != block["signature"]:
            raise bedrock(
                f"messages.{at}.content.{place}: `thinking` or `redacted_thinking` blocks in the latest assistant "
                "message cannot be modified. These blocks must remain as they were in the original response."
            )


def _marks(body: Json) -> None:
    """Refuse cache marks that are too many, malformed or in the wrong order."""
    marks = list(_found(body))
    if len(marks) > _MARKS:
        raise bedrock(f"A maximum of {_MARKS} blocks with cache_control may be provided. Found {len(marks)}.")
    short = False
    for path, mark in marks:
        _keys(mark, {"type", "ttl"}, f"{path}.cache_control.ephemeral")
        if mark.get("type") != "ephemeral" or mark.get("ttl", "5m") not in ("5m", "1h"):
            raise bedrock(f"{path}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
        if mark.get("ttl") == "1h" and short:
            raise bedrock(f"{path}.cache_control.ttl: a ttl='1h' block must not come after a ttl='5m' block.")
        short = short or mark.get("ttl", "5m") == "5m"


def _found(body: Json) -> Iterator[tuple[str, Json]]:
    """Yield the cache marks and their paths in the order of the prompt."""
    places = [(f"tools.{at}.{tool.get('type', 'custom')}", tool) for at, tool in enumerate(body.get("tools") or [])]
    places += [(f"system.{at}", block) for at, block in enumerate(content_blocks(body.get("system")))]
    for at, message in enumerate(body["messages"]):
        for place, block in enumerate(content_blocks(message["content"])):
            inner = content_blocks(block.get("content")) if block.get("type") == "tool_result" else []
            places += [(f"messages.{at}.content.{place}", one) for one in (block, *inner)]
    return ((path, block["cache_control"]) for path, block in places if block.get("cache_control") is not None)


def _keys(value: Any, allowed: set[str], path: str) -> None:
    """Refuse a value that is not an object, or has unknown keys."""
    if not isinstance(value, dict):
        raise bedrock(f"{path}: Input should be a valid dictionary")
    for key in value:
        if key not in allowed:
            raise bedrock(f"{path}.{key}: Extra inputs are not permitted")


def as_model_error(refusal: ErrorResponse) -> ErrorResponse:
    """Word a refusal as Converse does: as an error of the model."""
    message = refusal.body["message"] if isinstance(refusal.body, dict) else refusal.body
    return bedrock(f"The model returned the following errors: {message}")
