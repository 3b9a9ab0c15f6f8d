"""Schemas of the bodies of `/v2/completion` and `/v2/embeddings`. Nearly all objects refuse unknown keys."""

from typing import Any

from emulator.world import Json


def _object(properties: Json, *required: str, **more: Any) -> Json:
    """Return the schema of an object that has only these properties."""
    closed = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return closed | more


def _list(items: Json, least: int = 0) -> Json:
    """Return the schema of a list with at least *least* items."""
    return {"type": "array", "items": items, "minItems": least}


def _one_of(*values: str) -> Json:
    """Return the schema of a string with one of several values."""
    return {"type": "string", "enum": list(values)}


def _switched(key: str, cases: Json) -> Json:
    """Return the schema of an object whose property *key* selects one of several schemas."""
    return {"type": "object", "switch": (key, cases)}


_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_MAYBE: Json = {"type": ("boolean", "null")}
_OPEN: Json = {"type": "object"}
_TEXTS: Json = {"type": "object", "additionalProperties": _TEXT}
_NAME: Json = {"type": "string", "pattern": "^[a-zA-Z0-9-_]+$", "maxLength": 64}

_CACHE_CONTROL = _object({"type": _one_of("ephemeral"), "ttl": _one_of("5m", "1h")}, "type")
_TEXT_PART = _object({"type": _one_of("text"), "text": _TEXT, "cache_control": _CACHE_CONTROL}, "type", "text")
_USER_PART = _object(
    {
        "type": _one_of("text", "image_url", "file"),
        "text": _TEXT,
        "image_url": _object({"url": _TEXT, "detail": _TEXT}, "url"),
        "file": _object({"file_data": _TEXT, "filename": _TEXT}, "file_data"),
        "cache_control": _CACHE_CONTROL,
    },
    "type",
)
_CONTENT = {"oneOf": [_TEXT, _list(_TEXT_PART, 1)]}
_USER_CONTENT = {"oneOf": [_TEXT, _list(_USER_PART, 1)]}
_CALL = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "type": _one_of("function"),
        "function": {
            "type": "object",
            "properties": {"name": _TEXT, "arguments": _TEXT},
            "required": ("name", "arguments"),
        },
    },
    "required": ("id", "type", "function"),
}
_REASONING = _object({"content": _TEXT, "signature": _TEXT})
_ASSISTANT = _object(
    {
        "role": _TEXT,
        "content": _CONTENT,
        "refusal": _TEXT,
        "tool_calls": _list(_CALL),
        "reasoning_content": _list(_REASONING),
    },
    "role",
    "content",  # required by the service, though not by its published schema
)
_PLAIN = _object({"role": _TEXT, "content": _CONTENT}, "role", "content")
_MESSAGE = _switched(
    "role",
    {
        "system": _PLAIN,
        "user": _object({"role": _TEXT, "content": _USER_CONTENT}, "content", "role"),
        "assistant": _ASSISTANT,
        "tool": _object({"role": _TEXT, "tool_call_id": _TEXT, "content": _CONTENT}, "role", "content", "tool_call_id"),
        "developer": _PLAIN,
    },
)

_FUNCTION = _object({"description": _TEXT, "name": _NAME, "parameters": _OPEN, "strict": _MAYBE}, "name")
_TOOL = _object(
    {"type": _one_of("function"), "function": _FUNCTION, "cache_control": _CACHE_CONTROL}, "type", "function"
)
_RESPONSE_FORMAT = _switched(
    "type",
    {
        "text": _object({"type": _TEXT}),
        "json_object": _object({"type": _TEXT}),
        "json_schema": _object(
            {
                "type": _TEXT,
                "json_schema": _object(
                    {"description": _TEXT, "name": _NAME, "schema": _OPEN, "strict": _MAYBE}, "name"
                ),
            },
            "json_schema",
        ),
    },
)
_TEMPLATE = _object(
    {
        "template": _list(_MESSAGE, 1),
        "defaults": _TEXTS,
        "response_format": _RESPONSE_FORMAT,
        "tools": _list(_TOOL),
    },
    "template",
)
_SCOPE = _one_of("resource_group", "tenant")
_TEMPLATE_REF = _object(
    {
        "template_ref": {
            "oneOf": [
                _object({"id": _TEXT, "scope": _SCOPE}, "id"),
                _object(
                    {"scenario": _TEXT, "name": _TEXT, "version": _TEXT, "scope": _SCOPE},
                    "scenario",
                    "name",
                    "version",
                ),
            ]
        }
    },
    "template_ref",
)
_TIMEOUT = {"type": "integer", "minimum": 1, "maximum": 1200}
_RETRIES = {"type": "integer", "minimum": 0, "maximum": 5}
_MODEL = _object(
    {"name": _TEXT, "version": _TEXT, "params": _OPEN, "timeout": _TIMEOUT, "max_retries": _RETRIES}, "name"
)
_PROMPT_TEMPLATING = _object({"prompt": {"oneOf": [_TEMPLATE, _TEMPLATE_REF]}, "model": _MODEL}, "model")

_THRESHOLD = {"type": "integer", "enum": [0, 2, 4, 6]}
_HARMS = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), _THRESHOLD)
_CRIMES = (
    "violent_crimes",
    "non_violent_crimes",
    "sex_crimes",
    "child_exploitation",
    "defamation",
    "specialized_advice",
    "privacy",
    "intellectual_property",
    "indiscriminate_weapons",
    "hate",
    "self_harm",
    "sexual_content",
    "elections",
    "code_interpreter_abuse",
)
_LLAMA_GUARD = _object(
    {
        "type": _TEXT,
        "config": _object(
            dict.fromkeys(_CRIMES, _FLAG),
            minProperties=1,
        ),
    },
    "config",
)


def _filter(extra: str) -> Json:
    """Return the schema of a filter. *extra* is a switch that only input or only output filters have."""
    azure = _object({"type": _TEXT, "config": _object(_HARMS | {extra: _FLAG})})
    return _switched("type", {"azure_content_safety": azure, "llama_guard_3_8b": _LLAMA_GUARD})


_FILTERING = _object(
    {
        "input": _object({"filters": _list(_filter("prompt_shield"), 1)}, "filters"),
        "output": _object(
            {
                "filters": _list(_filter("protected_material_code"), 1),
                "stream_options": _object({"overlap": {"type": "integer", "minimum": 0, "maximum": 10_000}}),
            },
            "filters",
        ),
    },
    minProperties=1,
)
ENTITIES = (
    "profile-person",
    "profile-org",
    "profile-university",
    "profile-location",
    "profile-email",
    "profile-phone",
    "profile-address",
    "profile-sapids-internal",
    "profile-sapids-public",
    "profile-url",
    "profile-username-password",
    "profile-nationalid",
    "profile-iban",
    "profile-ssn",
    "profile-credit-card-number",
    "profile-passport",
    "profile-driverlicense",
    "profile-nationality",
    "profile-religious-group",
    "profile-political-group",
    "profile-pronouns-gender",
    "profile-ethnicity",
    "profile-gender",
    "profile-sexual-orientation",
    "profile-trade-union",
    "profile-sensitive-data",
)
_CONSTANT = _object({"method": _TEXT, "value": _TEXT}, "value")
_ENTITY = {
    "oneOf": [
        _object(
            {
                "type": _one_of(*ENTITIES),
                "replacement_strategy": _switched(
                    "method", {"constant": _CONSTANT, "fabricated_data": _object({"method": _TEXT})}
                ),
            },
            "type",
        ),
        _object(
            {"regex": _TEXT, "replacement_strategy": _switched("method", {"constant": _CONSTANT})},
            "regex",
            "replacement_strategy",
        ),
    ]
}
_MASKER = _object(
    {
        "type": _one_of("sap_data_privacy_integration"),
        "method": _one_of("anonymization", "pseudonymization"),
        "entities": _list(_ENTITY, 1),
        "allowlist": _list(_TEXT),
        "mask_grounding_input": _object({"enabled": _FLAG}),
        "mask_file_input_method": _one_of("anonymization", "skip"),
    },
    "type",
    "method",
    "entities",
)
_MASKING = {
    "oneOf": [
        _object({"providers": _list(_MASKER, 1)}, "providers"),
        _object({"masking_providers": _list(_MASKER, 1)}, "masking_providers"),
    ]
}
_PAIR = _object({"key": _TEXT, "value": _list(_TEXT)}, "key", "value")
_GROUNDING = _object(
    {
        "type": _one_of("document_grounding_service"),
        "config": _object(
            {
                "filters": _list(
                    _object(
                        {
                            "id": _TEXT,
                            "search_config": _object(
                                {
                                    key: {"type": "integer", "minimum": 1}
                                    for key in ("max_chunk_count", "max_document_count")
                                }
                            ),
                            "data_repositories": _list(_TEXT),
                            "data_repository_type": _one_of("vector", "help.sap.com"),
                            "data_repository_metadata": _list(_PAIR),
                            "document_metadata": _list(
                                _object(
                                    _PAIR["properties"] | {"select_mode": _list(_one_of("ignoreIfKeyAbsent"))},
                                    "key",
                                    "value",
                                )
                            ),
                            "chunk_metadata": _list(_PAIR),
                        },
                        "data_repository_type",
                    )
                ),
                "placeholders": _object({"input": _list(_TEXT, 1), "output": _TEXT}, "input", "output"),
                "metadata_params": _list(_TEXT),
            },
            "placeholders",
        ),
    },
    "type",
    "config",
)
_SELECTOR = _object(
    {"category": _one_of("placeholders", "template_roles"), "items": _list(_TEXT), "source_language": _TEXT},
    "category",
    "items",
)
_TRANSLATOR = _one_of("sap_document_translation")
_TRANSLATION = _object(
    {
        "input": _object(
            {
                "type": _TRANSLATOR,
                "translate_messages_history": _FLAG,
                "config": _object(
                    {"source_language": _TEXT, "apply_to": _list(_SELECTOR, 1), "target_language": _TEXT},
                    "target_language",
                ),
            },
            "type",
            "config",
        ),
        "output": _object(
            {
                "type": _TRANSLATOR,
                "config": _object(
                    {"source_language": _TEXT, "target_language": {"oneOf": [_TEXT, _SELECTOR]}}, "target_language"
                ),
            },
            "type",
            "config",
        ),
    }
)
_MODULES = _object(
    {
        "prompt_templating": _PROMPT_TEMPLATING,
        "filtering": _FILTERING,
        "masking": _MASKING,
        "grounding": _GROUNDING,
        "translation": _TRANSLATION,
    },
    "prompt_templating",
)
_STREAM = _object(
    {
        "enabled": _FLAG,
        "chunk_size": {"type": "integer", "minimum": 1, "maximum": 10_000},
        "delimiters": _list(_TEXT, 1),
    }
)

COMPLETION = _object(
    {
        "config": _object({"modules": {"oneOf": [_MODULES, _list(_MODULES, 1)]}, "stream": _STREAM}, "modules"),
        "placeholder_values": _TEXTS,
        "messages_history": _list(_MESSAGE),
    },
    "config",
)

_FORMAT = _one_of("float", "base64", "binary", "int8", "uint8", "ubinary")
EMBEDDINGS = _object(
    {
        "config": _object(
            {
                "modules": _object(
                    {
                        "embeddings": _object(
                            {
                                "model": _object(
                                    {
                                        "name": _TEXT,
                                        "version": _TEXT,
                                        "params": {
                                            "type": "object",
                                            "properties": {
                                                "dimensions": {"type": "integer"},
                                                "encoding_format": {"oneOf": [_FORMAT, _list(_FORMAT, 1)]},
                                                "normalize": _FLAG,
                                            },
                                        },
                                        "timeout": _TIMEOUT,
                                        "max_retries": _RETRIES,
                                    },
                                    "name",
                                )
                            },
                            "model",
                        ),
                        "masking": _MASKING,
                    },
                    "embeddings",
                )
            },
            "modules",
        ),
        "input": _object(
            {
                "text": {"oneOf": [_TEXT, _list({"type": "string", "minLength": 1}, 1)]},
                "type": _one_of(
                    "text",
                    "document",
                    "query",
                    "search_document",
                    "search_query",
                    "classification",
                    "clustering",
                    "image",
                ),
            },
            "text",
        ),
    },
    "config",
    "input",
)
