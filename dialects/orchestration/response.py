"""The response parser of SAP AI Core's orchestration: a response is a chat completion among the results of modules."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dialects.adapt.claude_tools import JSON_TOOL
from dialects.core.conversation import JSON, Completion, Part, Text, Thinking, ToolCall
from dialects.core.faults import FaultError
from dialects.core.upstream_errors import fault_of_orchestration
from dialects.openai_chat import response as chat
from dialects.openai_common.vocabulary import stop_for
from dialects.orchestration.vocabulary import family_of, result_in, usage_of


def parse_response(body: JSON, token: str) -> Completion:
    """Parse a response that is not streamed. *token* is used to make ids that the backend does not return."""
    if error := body.get("error"):
        raise FaultError(fault_of_orchestration(error))
    result = result_in(body)
    completion = chat.parse_response(result, token)
    message = result["choices"][0]["message"]
    thoughts = tuple(thoughts_in(message, completion.model))
    said = (part for part in completion.parts if not (thoughts and isinstance(part, Thinking)))
    parts = (*thoughts, *map(_as_answer, said))
    usage = usage_of(result.get("usage"), completion.model)
    stop = stop_for(completion.stop, any(isinstance(part, ToolCall) for part in parts))
    return replace(completion, parts=parts, stop=stop, usage=usage)


def _as_answer(part: Part) -> Part:
    """Return the text of a call of the JSON tool, whose arguments are the answer; any other part unchanged."""
    return Text(part.arguments) if isinstance(part, ToolCall) and part.name == JSON_TOOL else part


def thoughts_in(message: JSON, model: str) -> Iterator[Thinking]:
    """Yield the thinking blocks in a message, or in a chunk of one, with their signatures if they have any."""
    blocks: Any = message.get("reasoning_content")
    family = family_of(model)
    for block in blocks if isinstance(blocks, list) else []:
        match block:
            case {**known}:
                text, signature = known.get("content"), known.get("signature")
                thought = Thinking(_text(text), _text(signature), family=family)
                if thought.text or thought.signature:
                    yield thought
            case str(text) if text:
                yield Thinking(text, family=family)
            case _:
                pass


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
