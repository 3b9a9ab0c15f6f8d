"""Whether a body is one SAP's own SDK could send to orchestration, and holds nothing that the service refuses.

The SDK's models of requests decide, and unknown keys fail; they know no files, which the service does.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.oracles.sdks import sdk

_MODELS = "gen_ai_hub.orchestration_v2.models"
_PLACEHOLDER = re.compile(r"\{\{\s*\?\s*(.*?)\s*\}\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z](?:[_-]?[A-Za-z0-9])*")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MISTRALS_ID = re.compile(r"[a-zA-Z0-9]{9}")
_REFUSED = (
    # a model's name         what orchestration refuses for it
    (r"gpt-5", {"temperature", "max_tokens", "top_p", "presence_penalty", "frequency_penalty"}),
    (r"gpt-5\.6", {"tool_choice"}),
    (r"anthropic--", {"seed", "presence_penalty", "frequency_penalty", "user", "top_k", "n", "logprobs"}),
    (r"cohere--", {"n", "max_completion_tokens", "temperature"}),
    (r"gemini", {"user", "top_k"}),
)


def check_orchestration_request(body: dict[str, Any]) -> None:
    """Insist on a legal body for `/v2/completion`, whose placeholders all have values."""
    sdk(f"{_MODELS}.orchestration_request").CompletionPostRequest.model_validate(_without_files(body))
    modules = body["config"]["modules"]
    for configuration in modules if isinstance(modules, list) else [modules]:
        _check_templating(configuration["prompt_templating"], body)


def check_embeddings_through_orchestration(body: dict[str, Any]) -> None:
    """Insist on a legal body for `/v2/embeddings`."""
    sdk(f"{_MODELS}.embeddings").EmbeddingsRequest.model_validate(body)


def substituted(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages as the model is shown them: the history, and the template with its values."""
    values = body.get("placeholder_values", {})

    def filled(value: Any) -> Any:
        match value:
            case str():
                return _PLACEHOLDER.sub(lambda found: _value(found[1], values), value)
            case list():
                return [filled(each) for each in value]
            case dict():
                return {name: filled(each) for name, each in value.items()}
            case _:
                return value

    (templating,) = _templatings(body)[:1]
    return [*body.get("messages_history", []), *filled(templating["prompt"].get("template", []))]


def _templatings(body: dict[str, Any]) -> list[dict[str, Any]]:
    modules = body["config"]["modules"]
    return [each["prompt_templating"] for each in (modules if isinstance(modules, list) else [modules])]


def _value(name: str, values: dict[str, str]) -> str:
    assert _NAME.fullmatch(name), f"a malformed placeholder: {name!r}"
    assert name in values, f"Unused parameters: [{name!r}]"
    return values[name]


def _check_templating(templating: dict[str, Any], body: dict[str, Any]) -> None:
    prompt, model = templating["prompt"], templating["model"]
    template = prompt.get("template", [])
    assert template or "template_ref" in prompt, "neither a template nor a reference to one"
    history = body.get("messages_history", [])
    for message in [*history, *template]:
        _check_message(message, model["name"])
    for tool in prompt.get("tools", []):
        assert tool["type"] == "function", f"{tool['type']!r} is not one of ['function']"
        assert _TOOL_NAME.fullmatch(tool["function"]["name"]), tool["function"]["name"]
    _check_calls([*history, *template])
    params = model["params"]
    for pattern, refused in _REFUSED:
        if re.match(pattern, model["name"]):
            assert not refused & params.keys(), f"does not support parameters: {refused & params.keys()}"
    if model["name"].startswith("anthropic--"):
        assert not {"temperature", "top_p"} <= params.keys(), "temperature and top_p cannot both be specified"
    assert "tool_choice" not in params or prompt.get("tools"), "tool_choice without tools"
    assert None not in params.values(), params


def _check_message(message: dict[str, Any], model: str) -> None:
    content = message.get("content")
    assert isinstance(content, str) or content, f"{content!r} is not of type 'string'"
    assert message["role"] != "tool" or isinstance(content, str), "must be a string for Anthropic harmonization"
    assert message["role"] != "developer", "role developer"
    for part in content if isinstance(content, list) else []:
        assert part.get("cache_control", {}) is not None, "cache_control: null"
        assert part["type"] != "text" or part["text"], "a blank text"
    if model.startswith("mistralai--"):
        ids = [message["tool_call_id"]] if message["role"] == "tool" else []
        ids += [call["id"] for call in message.get("tool_calls", [])]
        assert all(_MISTRALS_ID.fullmatch(own) for own in ids), ids


def _check_calls(messages: list[dict[str, Any]]) -> None:
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, f"messages[{index}] answers no call"
            waiting.discard(message["tool_call_id"])
        else:
            assert not waiting, f"messages[{index}] stands before the answers to {waiting}"
        waiting |= {call["id"] for call in message.get("tool_calls", [])}
    assert not waiting, f"calls without an answer: {waiting}"


def _without_files(value: Any) -> Any:
    match value:
        case {"type": "file", "file": {"file_data": str(data), **named}, **rest}:
            assert named.keys() <= {"filename"}, named
            assert re.match(r"data:[\w.+-]+/[\w.+-]+;base64,", data), f"no data URI with a type: {data[:40]!r}"
            return {**rest, "type": "text", "text": "a file"}
        case dict():
            return {name: _without_files(each) for name, each in value.items()}
        case list():
            return [_without_files(each) for each in value]
        case _:
            return value


def placeholders_in(value: Any) -> Iterator[str]:
    """Name the placeholders of a template."""
    match value:
        case str():
            yield from (found[1] for found in _PLACEHOLDER.finditer(value))
        case list():
            for each in value:
                yield from placeholders_in(each)
        case dict():
            yield from placeholders_in(list(value.values()))
        case _:
            pass
