"""Responses of SAP AI Core's orchestration, parsed: chat completions within the results of the modules."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dialects.core.conversation import JSON, Completion, Thinking
from dialects.core.faults import FaultError
from dialects.core.upstream_errors import fault_of_orchestration
from dialects.openai_chat import response as chat
from dialects.orchestration.vocabulary import family_of, result_in, usage_of


def parse_response(body: JSON, token: str) -> Completion:
    """Parse a whole response; *token* seeds ids that the backend does not give."""
    if error := body.get("error"):
        raise FaultError(fault_of_orchestration(error))
    result = result_in(body)
    completion = chat.parse_response(result, token)
    message = result["choices"][0]["message"]
    thoughts = tuple(thoughts_in(message, completion.model))
    said = tuple(part for part in completion.parts if not isinstance(part, Thinking)) if thoughts else completion.parts
    usage = usage_of(result.get("usage"), completion.model)
    return replace(completion, parts=(*thoughts, *said), usage=usage)


def thoughts_in(message: JSON, model: str) -> Iterator[Thinking]:
    """Find the thoughts in a message, or in a piece of one: each with its signature, if it has one yet."""
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
