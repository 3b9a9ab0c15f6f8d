"""Renderer of `/responses` responses and their items."""

from emulator import signatures
from emulator.model_io import ModelResponse, StopReason, Text, Thought, ToolCall, Usage
from emulator.models import Model
from emulator.openai_common.vocabulary import call_id
from emulator.world import Json

_INCOMPLETE = {StopReason.LENGTH: "max_output_tokens", StopReason.REFUSAL: "content_filter"}
_ENCRYPTED = "gAAAAAB"


def encrypt(deployment: str, id: str) -> str:
    """Return the encrypted content of a reasoning item. Only its own deployment accepts it."""
    return _ENCRYPTED + signatures.sign(f"openai {deployment}", id)


def is_encrypted(deployment: str, given: object) -> bool:
    """Return whether the deployment made this encrypted content."""
    return signatures.made(f"openai {deployment}", str(given).removeprefix(_ENCRYPTED))


def render_response(
    model: Model, body: Json, given: ModelResponse, usage: Usage, id: str, created: int, deployment: str
) -> Json:
    """Render a whole response."""
    reason = _INCOMPLETE.get(given.stop)
    finished = {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": render_output(given, body, id, deployment),
        "usage": _render_usage(usage),
        "completed_at": created,
    }
    return render_opening(model, body, id, created) | finished


def render_compaction(items: tuple[Json, ...], usage: Usage, tail: str, created: int, deployment: str) -> Json:
    """Render a compacted conversation."""
    kept = [item | {"id": f"msg_{tail}{at}", "type": "message"} for at, item in enumerate(items) if _is_users(item)]
    compacted = {"id": f"cmp_{tail}", "type": "compaction", "encrypted_content": encrypt(deployment, f"cmp_{tail}")}
    return {
        "id": f"resp_{tail}",
        "object": "response.compaction",
        "created_at": created,
        "output": [*kept, compacted],
        "usage": _render_usage(usage),
    }


def _is_users(item: Json) -> bool:
    """Return whether an item is a message of the user."""
    return item.get("role") == "user"


def render_output(given: ModelResponse, body: Json, id: str, deployment: str) -> list[Json]:
    """Render the items of a response."""
    items: list[Json] = []
    tail = id.removeprefix("resp_")
    if given.reasoning:
        items.append(_reasoning(given, body, f"rs_{tail}", deployment))
    for at, part in enumerate(given.parts):
        match part:
            case Text(text):
                items.append(_message(text, f"msg_{tail}{at}", given.stop))
            case ToolCall(name, arguments, _):
                call: Json = {"id": f"fc_{tail}{at}", "type": "function_call", "status": "completed"}
                items.append(call | {"call_id": call_id(part), "name": name, "arguments": arguments})
            case _:
                pass
    return items


def render_opening(model: Model, body: Json, id: str, created: int) -> Json:
    """Render a response that has only begun."""
    thought = body.get("reasoning") or {}
    text = body.get("text") or {}
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "content_filters": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "metadata": body.get("metadata") or {},
        "model": f"{model.answers_as}-dz-std",
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": thought.get("effort", "medium"), "summary": thought.get("summary")},
        "safety_identifier": None,
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": 1.0,
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [
            {"strict": True, "description": None, "parameters": None, **tool} for tool in body.get("tools") or []
        ],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
    }


def _reasoning(given: ModelResponse, body: Json, id: str, deployment: str) -> Json:
    """Render the reasoning item, with its summary and, if requested, its encrypted content."""
    thoughts = [{"type": "summary_text", "text": part.text} for part in given.parts if isinstance(part, Thought)]
    item: Json = {"id": id, "type": "reasoning", "summary": thoughts}
    if "reasoning.encrypted_content" in (body.get("include") or []):
        item["encrypted_content"] = encrypt(deployment, id)
    return item


def _message(text: str, id: str, stop: StopReason) -> Json:
    """Render the item of a text."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    status = "incomplete" if stop in _INCOMPLETE else "completed"
    return {"id": id, "type": "message", "status": status, "role": "assistant", "content": [part]}


def _render_usage(usage: Usage) -> Json:
    """Render the token counts. The input includes cached tokens; the output includes reasoning."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.output,
    }
