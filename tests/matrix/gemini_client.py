"""Google's SDK as a client."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from google import genai
from google.genai import errors, types

from tests.matrix.clients import BUDGET, Call, Client, Counted, RefusedError, Seen, dropped_in
from tests.matrix.scenes import Ask, End


class GeminiClient(Client):
    """generateContent."""

    dialect = "gemini"
    ends: ClassVar[Mapping[End, str]] = {
        End.DONE: "STOP",
        End.CALLS: "STOP",
        End.LENGTH: "MAX_TOKENS",
        End.STRING: "STOP",
        End.REFUSED: "SAFETY",
    }

    def __init__(self, url: str, key: str) -> None:
        self.sdk = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))

    def request(self, model: str, ask: Ask) -> dict[str, Any]:
        contents: list[types.Content] = []
        for user, model_said in ask.history:
            contents += [_content("user", types.Part(text=user)), _content("model", types.Part(text=model_said))]
        file = [types.Part.from_bytes(data=ask.file.data, mime_type=ask.file.mime)] if ask.file else []
        contents.append(_content("user", *file, types.Part(text=ask.text)))
        config: dict[str, Any] = {"automatic_function_calling": {"disable": True}}
        config |= {"system_instruction": ask.system} if ask.system else {}
        if ask.tools:
            declared = [
                {"name": tool.name, "description": tool.description, "parameters_json_schema": tool.schema}
                for tool in ask.tools
            ]
            config["tools"] = [{"function_declarations": declared}]
        config |= {"tools": [{"google_search": {}}]} if ask.searches else {}
        if ask.forced:
            calling = {"mode": "ANY", "allowed_function_names": [ask.forced]}
            config["tool_config"] = {"function_calling_config": calling}
        if ask.schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": ask.schema}
        config |= {"stop_sequences": [ask.stop]} if ask.stop else {}
        config |= {"max_output_tokens": ask.limit} if ask.limit else {}
        config |= {"thinking_config": {"include_thoughts": True, "thinking_budget": BUDGET}} if ask.thinks else {}
        return {"model": model, "contents": contents, "config": types.GenerateContentConfig(**config)}

    def followed(self, request: dict[str, Any], said: Any, results: list[tuple[Call, str]]) -> dict[str, Any]:
        answers = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id or None, name=call.name, response={"result": text})
            )
            for call, text in results
        ]
        return {**request, "contents": [*request["contents"], said, _content("user", *answers)]}

    def send(self, request: dict[str, Any], *, stream: bool) -> Seen:
        try:
            if stream:
                return _seen(list(self.sdk.models.generate_content_stream(**request)))
            return _seen([self.sdk.models.generate_content(**request)])
        except errors.APIError as error:
            raise RefusedError(error.code, str(error)) from error

    def close(self) -> None:
        self.sdk.close()


def _content(role: str, *parts: types.Part) -> types.Content:
    return types.Content(role=role, parts=list(parts))


def _seen(chunks: list[types.GenerateContentResponse]) -> Seen:
    """Put the chunks of an answer together: parts add up, the last count holds."""
    candidates = [candidate for chunk in chunks for candidate in chunk.candidates or []]
    parts = [part for each in candidates if each.content for part in each.content.parts or []]
    ends = [candidate.finish_reason.value for candidate in candidates if candidate.finish_reason]
    usage = next(chunk.usage_metadata for chunk in reversed(chunks) if chunk.usage_metadata)
    thoughts = usage.thoughts_token_count or 0
    output = (usage.candidates_token_count or 0) + thoughts
    head = chunks[0].sdk_http_response
    assert len(ends) == 1, f"one finishReason, not {ends}"
    assert usage.total_token_count == (usage.prompt_token_count or 0) + output
    assert head is not None
    return Seen(
        "".join(part.text for part in parts if part.text and not part.thought),
        ends[0],
        Counted(usage.prompt_token_count or 0, output, usage.cached_content_token_count or 0, thoughts),
        _content("model", *parts),
        "".join(part.text for part in parts if part.text and part.thought),
        tuple(
            Call(part.function_call.id or "", part.function_call.name or "", part.function_call.args or {})
            for part in parts
            if part.function_call
        ),
        dropped_in(head.headers or {}),
        tuple(_addresses(candidates)),
    )


def _addresses(candidates: list[types.Candidate]) -> Iterator[str]:
    for each in candidates:
        chunks = each.grounding_metadata.grounding_chunks if each.grounding_metadata else None
        yield from (chunk.web.uri for chunk in chunks or [] if chunk.web and chunk.web.uri)
