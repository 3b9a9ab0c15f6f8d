"""What Google's own library says a ``generateContent`` body may hold, and what SAP AI Core refuses of it."""

import functools
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.alias_generators import to_camel

from tests.oracles.sdks import sdk


@functools.cache
def _request() -> type[BaseModel]:
    """Name every field of the request on Vertex AI; Google's own types forbid unknown ones further in."""
    types = sdk("google.genai.types")
    return create_model(
        "Request",
        __config__=ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True),
        contents=list[types.Content],
        system_instruction=(types.Content | None, None),
        tools=(list[types.Tool] | None, None),
        tool_config=(types.ToolConfig | None, None),
        safety_settings=(list[types.SafetySetting] | None, None),
        generation_config=(types.GenerationConfig | None, None),
        cached_content=(str | None, None),
        labels=(dict[str, str] | None, None),
    )


def check_gemini_request(body: dict[str, Any]) -> None:
    """Raise `AssertionError` with the reason if this is no body for Gemini on SAP AI Core."""
    try:
        request: Any = _request().model_validate(body)
    except ValidationError as error:
        raise AssertionError(f"Google's types refuse {body}: {error}") from error
    assert request.contents, "contents is empty"
    waiting: list[str | None] = []
    for place, content in enumerate(request.contents):
        where = f"contents[{place}]"
        parts = content.parts or []
        assert content.role in ("user", "model"), f"{where}.role is {content.role!r}"
        assert parts, f"{where} says nothing"
        results = [part.function_response for part in parts if part.function_response]
        assert [result.name for result in results] == waiting, f"{where} answers {results}, not {waiting}"
        calls = [part.function_call for part in parts if part.function_call]
        assert content.role == "model" or not calls, f"{where}: only the model calls"
        assert content.role == "user" or not results, f"{where}: only the user answers"
        assert not any(item.id for item in (*calls, *results)), f"{where}: SAP AI Core refuses ids"
        assert all(part.model_fields_set for part in parts), f"{where} holds an empty part"
        waiting = [call.name for call in calls]


def check_gemini_response(body: dict[str, Any]) -> Any:
    """Read a response as Google's own library does; raises `AssertionError` for an unknown field."""
    try:
        return sdk("google.genai.types").GenerateContentResponse.model_validate(body)
    except ValidationError as error:
        raise AssertionError(f"Google's types refuse {body}: {error}") from error
