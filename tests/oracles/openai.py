"""Whether a body is one OpenAI's own SDK could have sent: its parameter types decide, and unknown keys fail."""

import functools
import types
import typing
from collections.abc import Iterator
from typing import Any

from typing_extensions import get_type_hints, is_typeddict

from tests.oracles.sdks import sdk

# Codex leaves out the ids of thoughts it sends back, and so does SAP AI Core's
# client leave out the model: both are accepted, though the types ask for them.
_OPTIONAL = {("ResponseReasoningItemParam", "id"), ("CompletionCreateParamsNonStreaming", "model")}
_OPTIONAL |= {("CompletionCreateParamsStreaming", "model"), ("EmbeddingCreateParams", "model")}
_WORDS: dict[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    type(None): (type(None),),
}


def check_chat_request(body: dict[str, Any]) -> None:
    """Insist on a legal body for chat completions, whose calls are all answered in their place."""
    _conforms(body, sdk("openai.types.chat").completion_create_params.CompletionCreateParams)
    waiting: set[str] = set()
    for index, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, f"messages[{index}] answers no call"
            waiting.discard(message["tool_call_id"])
        else:
            assert not waiting, f"messages[{index}] stands before the answers to {waiting}"
        waiting |= {call["id"] for call in message.get("tool_calls") or []}
    assert not waiting, f"calls without an answer: {waiting}"
    _check_rest(body, body["messages"])


def check_responses_request(body: dict[str, Any]) -> None:
    """Insist on a legal body for Responses, whose calls are all answered, and whose tools SAP AI Core takes."""
    _conforms(body, sdk("openai.types.responses").response_create_params.ResponseCreateParams)
    items = body["input"] if isinstance(body["input"], list) else []
    calls = {item["call_id"] for item in items if item.get("type") == "function_call"}
    answers = {item["call_id"] for item in items if item.get("type") == "function_call_output"}
    # With a stored conversation the other half may be there.
    assert calls == answers or "previous_response_id" in body, f"calls {calls} are answered by {answers}"
    assert all(tool["type"] == "function" for tool in body.get("tools", [])), "a tool that is no function"
    _check_rest(body, body["input"])


def _check_rest(body: dict[str, Any], said: Any) -> None:
    assert said, "nothing is asked"
    assert "tools" not in body or body["tools"], "tools is empty"
    for name in ("tool_choice", "parallel_tool_calls"):
        assert name not in body or "tools" in body, f"{name} without tools"


def check_embeddings_request(body: dict[str, Any]) -> None:
    """Insist on a legal body for embeddings."""
    _conforms(body, sdk("openai.types").embedding_create_params.EmbeddingCreateParams)


def _conforms(body: Any, wanted: Any) -> None:
    wrong = list(_errors(body, wanted, "body"))

    assert not wrong, "\n".join(wrong)


def _errors(value: Any, wanted: Any, path: str) -> Iterator[str]:
    """Say everything about *value* that its type forbids."""
    if is_typeddict(wanted):
        yield from _dict_errors(value, wanted, path)
        return
    if wanted in _WORDS:
        if not isinstance(value, _WORDS[wanted]) or (isinstance(value, bool) and wanted is not bool):
            yield f"{path}: {value!r} is not {wanted.__name__}"
        return
    origin, args = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        yield from _union_errors(value, args, path)
    elif origin is typing.Literal:
        if value not in args:
            yield f"{path}: {value!r} is not one of {args}"
    elif wanted not in (object, Any):
        yield from _generic_errors(value, wanted, path)


def _generic_errors(value: Any, wanted: Any, path: str) -> Iterator[str]:
    name, args = getattr(typing.get_origin(wanted), "__name__", ""), typing.get_args(wanted)
    match name:
        case "Annotated" | "Required" | "NotRequired":
            yield from _errors(value, args[0], path)
        case "dict" | "Dict" | "Mapping":
            if not isinstance(value, dict):
                yield f"{path}: {value!r} is not an object"
        case "list" | "List" | "Iterable" | "Sequence" | "SequenceNotStr" if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _errors(item, args[0], f"{path}[{index}]")
        case "list" | "List" | "Iterable" | "Sequence" | "SequenceNotStr":
            yield f"{path}: {value!r} is not a list"
        case _:
            yield f"{path}: the oracle does not understand {wanted}"


@functools.cache
def _hints(wanted: Any) -> dict[str, Any]:
    return get_type_hints(wanted, include_extras=True)


def _dict_errors(value: Any, wanted: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not an object"
        return
    hints = _hints(wanted)
    for name in value.keys() - hints.keys():
        yield f"{path}: unknown key {name!r} for {wanted.__name__}"
    for name in wanted.__required_keys__ - value.keys():
        if (wanted.__name__, name) not in _OPTIONAL:
            yield f"{path}: {name!r} is missing for {wanted.__name__}"
    for name in value.keys() & hints.keys():
        yield from _errors(value[name], hints[name], f"{path}.{name}")


def _union_errors(value: Any, choices: tuple[Any, ...], path: str) -> Iterator[str]:
    """The choice that fits best is the one that was meant."""
    found = []
    for choice in choices:
        wrong = list(_errors(value, choice, path))
        if not wrong:
            return
        found.append(wrong)
    yield from min(found, key=lambda wrong: (len(wrong), not is_typeddict(choices[found.index(wrong)])))
