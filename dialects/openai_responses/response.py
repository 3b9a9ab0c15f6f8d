"""Responses of OpenAI Responses, parsed and rendered."""

from collections.abc import Iterator, Mapping
from typing import Any

from dialects.core.conversation import JSON, Completion, Family, Opaque, Part, Refusal, Text, Thinking, ToolCall
from dialects.core.faults import Fault, FaultError
from dialects.core.upstream_errors import fault_in_stream
from dialects.interface import Envelope
from dialects.openai_common.vocabulary import RESPONSES, parse_usage
from dialects.openai_responses.vocabulary import ToolsDeclared, finished, parse_stop, render_item, render_search


def parse_response(body: JSON, token: str) -> Completion:
    """Parse a whole response. The backend sends all ids, so *token* is not used."""
    del token
    outcome = parse_outcome(body)
    parts = tuple(part for item in body["output"] for part in parts_of(item))
    return Completion(str(body.get("id") or ""), str(body.get("model") or ""), parts, outcome.stop, outcome.usage)


def parse_outcome(body: JSON) -> Completion:
    """Parse only the stop reason and the usage of a whole response; raises `FaultError` if it is a failure."""
    error = body.get("error")
    if error or body.get("status") == "failed":
        raise FaultError(fault_of(error))
    output = body["output"]
    if not isinstance(output, list):
        raise TypeError("an answer without output")
    calls = any(item.get("type") == "function_call" for item in output)
    return Completion(stop=parse_stop(body, calls), usage=parse_usage(body.get("usage"), "input", "output"))


def parse_compaction(body: JSON) -> Completion:
    """Parse only the id and the usage of a compacted conversation."""
    if not isinstance(body["output"], list):
        raise TypeError("a compaction without output")
    return Completion(id=str(body.get("id") or ""), usage=parse_usage(body.get("usage"), "input", "output"))


def render_response(completion: Completion, envelope: Envelope) -> JSON:
    """Render a whole response."""
    output: list[JSON] = []
    tools = ToolsDeclared(envelope.conversation)
    for part in completion.parts:
        if (item := render_item(part, len(output), envelope, tools)) is not None:
            output.append(item)
    if completion.search:
        output.append(render_search(completion.search, len(output), envelope))
    return finished(envelope, output, completion.stop, completion.usage)


def fault_of(error: Any) -> Fault:
    """Parse an error object. One without a code counts as an error of the server."""
    if not isinstance(error, Mapping):
        return fault_in_stream("server_error", "the model failed without saying why")
    code = str(error.get("code") or error.get("type") or "server_error")
    return fault_in_stream(code, str(error.get("message") or code))


def parts_of(item: Mapping[str, Any]) -> Iterator[Part]:
    """Parse one item of the output; yield nothing for an empty one."""
    match item.get("type"):
        case "message":
            for content in item["content"]:
                if part := content_of(content):
                    yield part
        case "reasoning":
            text, signature = thoughts_of(item), str(item.get("encrypted_content") or "")
            if text or signature:
                yield Thinking(text, signature, family=Family.OPENAI)
        case "function_call":
            yield ToolCall(str(item["call_id"]), str(item["name"]), str(item.get("arguments") or ""))
        case _:
            yield Opaque(RESPONSES, dict(item))


def content_of(content: Mapping[str, Any]) -> Text | Refusal | None:
    """Parse one piece of a message; return None if it is empty."""
    if refusal := content.get("refusal"):
        return Refusal(str(refusal))
    text = content.get("text")
    return Text(str(text)) if text else None


def thoughts_of(item: Mapping[str, Any]) -> str:
    """Join the pieces of a reasoning item, one paragraph each."""
    pieces = [*(item.get("summary") or []), *(item.get("content") or [])]
    return "\n\n".join(str(piece["text"]) for piece in pieces)
