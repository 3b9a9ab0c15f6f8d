"""The schemas of bodies: the fields that the proxy reads of requests, and those that every answer has.

Whatever else a vendor's body has is allowed, since the vendor's documentation describes it.
"""

from typing import Final

from dialects.core.conversation import JSON
from gateway.operator_actions import ACTIONS, STRATEGY
from routing.strategy import STRATEGIES

TEXT: Final[JSON] = {"type": "string"}
COUNT: Final[JSON] = {"type": "integer", "minimum": 0}
_FLAG: Final[JSON] = {"type": ["boolean", "null"]}
_OBJECT: Final[JSON] = {"type": "object"}
_OBJECTS: Final[JSON] = {"type": "array", "items": _OBJECT}
_STRINGS: Final[JSON] = {"type": "array", "items": TEXT}
_MAYBE_TEXT: Final[JSON] = {"type": ["string", "null"]}
_MAYBE_COUNT: Final[JSON] = {"type": ["integer", "null"], "minimum": 1}
_MAYBE_OBJECTS: Final[JSON] = {"type": ["array", "null"], "items": _OBJECT}
_MAYBE_OBJECT: Final[JSON] = {"type": ["object", "null"]}
_TEXT_OR_OBJECT: Final[JSON] = {"type": ["string", "object", "null"]}
_MODEL: Final[JSON] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "description": "The name of a model that `/v1/models` lists, or a name that stands for one.",
}


def _with(required: str = "", /, **properties: JSON) -> JSON:
    """Return the schema of an object that may have further fields. *required* names the fields it must have."""
    told: JSON = {"type": "object", "properties": properties, "additionalProperties": True}
    return {**told, "required": required.split()} if required else told


def _ref(name: str) -> JSON:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(name: str) -> JSON:
    return {"type": "array", "items": _ref(name)}


def _number(highest: float, lowest: float = 0) -> JSON:
    return {"type": ["number", "null"], "minimum": lowest, "maximum": highest}


def _constant(value: str) -> JSON:
    return {"const": value, "type": "string"}


def _any_of(*names: str) -> JSON:
    return {"anyOf": [_ref(name) for name in names]}


_CHAT_MESSAGE: Final = _with("role", role=TEXT, content={"type": ["string", "array", "null"]})
_BLOCKS_OR_TEXT: Final[JSON] = {"oneOf": [TEXT, _OBJECTS]}
_FIELDS_OF_CHAT: Final[JSON] = {
    "messages": {"type": "array", "items": _CHAT_MESSAGE, "minItems": 1},
    "stream": _FLAG,
    "stream_options": _MAYBE_OBJECT,
    "max_tokens": _MAYBE_COUNT,
    "max_completion_tokens": _MAYBE_COUNT,
    "temperature": _number(2),
    "top_p": _number(1),
    "stop": {"type": ["string", "array", "null"]},
    "tools": _MAYBE_OBJECTS,
    "tool_choice": _TEXT_OR_OBJECT,
    "parallel_tool_calls": _FLAG,
    "response_format": _MAYBE_OBJECT,
    "reasoning_effort": _MAYBE_TEXT,
}
_REQUESTS: Final[JSON] = {
    "ChatFields": _with("messages", **_FIELDS_OF_CHAT),
    "ChatRequest": {
        "anyOf": [
            {"allOf": [_with("model", model=_MODEL), _ref("ChatFields")]},
            {"allOf": [_ref("ResponsesRequest")], "description": "A body of the Responses API."},
        ]
    },
    "ResponsesRequest": _with(
        "model input",
        model=_MODEL,
        input={"oneOf": [TEXT, {"type": "array", "items": _OBJECT, "minItems": 1}]},
        instructions=_MAYBE_TEXT,
        stream=_FLAG,
        max_output_tokens=_MAYBE_COUNT,
        temperature=_number(2),
        top_p=_number(1),
        tools=_MAYBE_OBJECTS,
        tool_choice=_TEXT_OR_OBJECT,
        parallel_tool_calls=_FLAG,
        reasoning=_MAYBE_OBJECT,
        text=_MAYBE_OBJECT,
        include={"type": ["array", "null"], "items": TEXT},
        previous_response_id=_MAYBE_TEXT,
        store=_FLAG,
        background=_FLAG,
    ),
    "CompactRequest": _with("model input", model=_MODEL, input={"oneOf": [TEXT, _OBJECTS]}, instructions=_MAYBE_TEXT),
    "EmbeddingsFields": _with(
        "input",
        input={
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
                {"type": "array", "minItems": 1, "items": COUNT},
                {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1, "items": COUNT}},
            ]
        },
        dimensions=_MAYBE_COUNT,
        encoding_format={"enum": ["float", "base64", None]},
    ),
    "EmbeddingsRequest": {"allOf": [_with("model", model=_MODEL), _ref("EmbeddingsFields")]},
    "CountTokensRequest": _with(
        "model messages",
        model=_MODEL,
        messages={
            "type": "array",
            "minItems": 1,
            "items": _with("role content", role={"enum": ["user", "assistant", "system"]}, content=_BLOCKS_OR_TEXT),
        },
        system=_BLOCKS_OR_TEXT,
        tools=_MAYBE_OBJECTS,
        tool_choice=_MAYBE_OBJECT,
        thinking=_MAYBE_OBJECT,
        output_config=_MAYBE_OBJECT,
        anthropic_beta={"type": ["array", "null"], "items": TEXT},
    ),
    "MessagesRequest": {
        "allOf": [
            _ref("CountTokensRequest"),
            _with(
                "max_tokens",
                max_tokens={"type": "integer", "minimum": 1},
                stream=_FLAG,
                temperature=_number(1),
                top_p=_number(1),
                top_k=_MAYBE_COUNT,
                stop_sequences={"type": ["array", "null"], "items": TEXT},
                metadata=_MAYBE_OBJECT,
            ),
        ]
    },
    "GeminiRequest": _with(
        "contents",
        contents={
            "type": "array",
            "minItems": 1,
            "items": _with("parts", role={"enum": ["user", "model"]}, parts=_OBJECTS),
        },
        systemInstruction=_OBJECT,
        tools=_OBJECTS,
        toolConfig=_OBJECT,
        generationConfig=_OBJECT,
        safetySettings=_OBJECTS,
    ),
    "GeminiTokensRequest": {
        "anyOf": [
            _ref("GeminiRequest"),
            _with("generateContentRequest", generateContentRequest=_ref("GeminiRequest")),
        ]
    },
    "Action": _with(
        "action",
        action={"enum": [*ACTIONS]},
        subaccount=TEXT,
        deployment=TEXT,
        model=_MAYBE_TEXT,
        strategy={"enum": [*STRATEGIES]},
    )
    | {
        "if": {"properties": {"action": {"const": STRATEGY}}},
        "then": {"required": ["model", "strategy"]},
        "else": {"required": ["subaccount", "deployment"]},
    },
}
_ANSWERS: Final[JSON] = {
    "ChatCompletion": _with(
        "id object created model choices",
        id=TEXT,
        object=_constant("chat.completion"),
        created=COUNT,
        model=TEXT,
        choices={
            "type": "array",
            "items": _with(
                "index message finish_reason",
                index=COUNT,
                message=_with("role content", role=_constant("assistant"), content=_MAYBE_TEXT),
                finish_reason=TEXT,
            ),
        },
        usage=_with("prompt_tokens completion_tokens total_tokens", prompt_tokens=COUNT, completion_tokens=COUNT),
    ),
    "Response": _with(
        "id object created_at model status output",
        id=TEXT,
        object=_constant("response"),
        created_at={"type": "number"},
        model=TEXT,
        status=TEXT,
        output={"type": "array", "items": _with("type", type=TEXT)},
        usage=_MAYBE_OBJECT,
    ),
    "Compaction": _with(
        "id object created_at output", id=TEXT, object=_constant("response.compaction"), output=_OBJECTS, usage=_OBJECT
    ),
    "Deleted": _with("id deleted", id=TEXT, deleted={"const": True}),
    "Items": _with("data", data=_OBJECTS),
    "Embeddings": _with(
        "object data model usage",
        object=_constant("list"),
        model=TEXT,
        data={
            "type": "array",
            "items": _with(
                "object index embedding",
                object=_constant("embedding"),
                index=COUNT,
                embedding={"oneOf": [{"type": "array", "items": {"type": "number"}}, TEXT]},
            ),
        },
        usage=_with("prompt_tokens total_tokens", prompt_tokens=COUNT, total_tokens=COUNT),
    ),
    "Message": _with(
        "id type role model content stop_reason usage",
        id=TEXT,
        type=_constant("message"),
        role=_constant("assistant"),
        model=TEXT,
        content={"type": "array", "items": _with("type", type=TEXT)},
        stop_reason=TEXT,
        usage=_with("input_tokens output_tokens", input_tokens=COUNT, output_tokens=COUNT),
    ),
    "MessageTokens": _with("input_tokens", input_tokens=COUNT),
    "GeneratedContent": _with(
        "candidates usageMetadata",
        candidates={"type": "array", "items": _with(content=_OBJECT, finishReason=TEXT)},
        usageMetadata=_OBJECT,
        modelVersion=TEXT,
        responseId=TEXT,
    ),
    "Tokens": _with("totalTokens", totalTokens=COUNT),
    "Events": {"type": "string", "description": "Server-sent events. The data of each is JSON, or `[DONE]`."},
    "Upgrade": _with("error", error=_with("message type", message=TEXT, type=_constant("upgrade"))),
}
_MODELS: Final[JSON] = {
    "OpenAIModel": _with(
        "id object created owned_by",
        id=TEXT,
        object=_constant("model"),
        created=COUNT,
        owned_by=TEXT,
        context_length=COUNT,
        context_window=COUNT,
        max_output_tokens=COUNT,
        input_modalities=_STRINGS,
        deprecated={"type": "boolean"},
        shutdown_date={"type": "string", "format": "date"},
    ),
    "AnthropicModel": _with(
        "type id display_name created_at",
        type=_constant("model"),
        id=TEXT,
        display_name=TEXT,
        created_at={"type": "string", "format": "date-time"},
    ),
    "GoogleModel": _with(
        "name displayName supportedGenerationMethods",
        name={"type": "string", "pattern": "^models/"},
        displayName=TEXT,
        supportedGenerationMethods=_STRINGS,
        inputTokenLimit=COUNT,
        outputTokenLimit=COUNT,
    ),
    "Model": _any_of("OpenAIModel", "AnthropicModel", "GoogleModel"),
    "ModelList": {
        "anyOf": [
            _with("object data", object=_constant("list"), data=_list_of("OpenAIModel")),
            _with("data has_more", data=_list_of("AnthropicModel"), has_more={"const": False}),
            _with("models", models=_list_of("GoogleModel")),
            _with("models", models={"type": "array", "items": _with("slug", slug=TEXT)}),
        ],
        "description": "In the form of OpenAI, Anthropic, Google, or Codex.",
    },
}
_ERRORS: Final[JSON] = {
    "OpenAIError": _with(
        "error",
        error=_with(
            "message type param code",
            message=TEXT,
            type=TEXT,
            param=_MAYBE_TEXT,
            code={"type": ["string", "integer", "null"]},
        ),
    ),
    "AnthropicError": _with(
        "type error", type=_constant("error"), error=_with("type message", type=TEXT, message=TEXT)
    ),
    "GoogleError": _with(
        "error", error=_with("code message status", code={"type": "integer"}, message=TEXT, status=TEXT)
    ),
    "AnyError": _any_of("OpenAIError", "AnthropicError", "GoogleError"),
}
_OPERATIONS: Final[JSON] = {
    "Service": _with("service version", service=TEXT, version=TEXT),
    "Health": _with("status", status=_constant("alive")),
    "Readiness": _with("status", status=TEXT, subaccounts={"type": "object", "additionalProperties": TEXT}),
    "RouterState": _with(
        "version started strategies endpoints decisions may_change",
        version=TEXT,
        endpoints={"type": "array", "items": _with("subaccount deployment model circuit in_flight")},
        decisions=_OBJECTS,
        workers=_OBJECTS,
        may_change={"type": "boolean"},
    ),
    "Applied": _with("applied", applied=COUNT),
    "Guide": _with("version groups", version=TEXT, groups=_OBJECTS),
    "Discarded": _with("status", status=_constant("success")),
    "Document": _with("openapi paths", openapi=TEXT, paths=_OBJECT),
    "Text": TEXT,
    "Anything": {"description": "Whatever it is."},
}
SCHEMAS: Final[JSON] = {**_REQUESTS, **_ANSWERS, **_MODELS, **_ERRORS, **_OPERATIONS}
"""All schemas, by the names that operations use."""
