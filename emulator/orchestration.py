"""The orchestration service, version 2: templating and a model behind one path."""

import re
from collections.abc import Iterator
from typing import Any

from emulator.embeddings.openai import embed
from emulator.errors import ErrorResponse
from emulator.framing import Framing
from emulator.model_io import ModelResponse, StreamEvent, Usage
from emulator.models import MODELS_BY_NAME, Model
from emulator.openai_chat.request_parser import parse_request
from emulator.openai_chat.response import render_response
from emulator.openai_chat.stream import render_stream
from emulator.protocol import InferenceRequest, Reply, Streamed, Whole, generate
from emulator.world import Json

_PLACEHOLDER = re.compile(r"\{\{\?(\w+)\}\}")
_DEFAULT_CHUNK = 100


def handle(request: InferenceRequest, body: Json) -> Reply:
    """Reply to `/v2/completion`."""
    model, chat = _parse_request(body, request.id)
    [given], usage = generate(request, parse_request(model, chat))
    if not (body["config"].get("stream") or {}).get("enabled"):
        made = _whole(model, chat, given, usage, request.id, int(request.now))
        return Whole(made, spaced=True, delay=given.lasts)
    events = _events(body, model, chat, given, usage, request.id, int(request.now))
    return Streamed(events, Framing.SPACED, request.path, given.delay)


def handle_embeddings(request: InferenceRequest, body: Json) -> Reply:
    """Reply to `/v2/embeddings`."""
    return Whole(_embed(body, request.id), spaced=True)


def _refuse(message: str, location: str, request_id: str) -> ErrorResponse:
    """Refuse as orchestration does."""
    error = {"request_id": request_id, "code": 400, "message": f"400 - {location}: {message}", "location": location}
    return ErrorResponse(400, {"error": error})


def _parse_request(body: Json, request_id: str) -> tuple[Model, Json]:
    """Find the model, and write the request as the chat it comes down to."""
    try:
        modules = body["config"]["modules"]
        first = modules[0] if isinstance(modules, list) else modules
        prompt = first["prompt_templating"]["prompt"]
        wanted = first["prompt_templating"]["model"]
    except (KeyError, TypeError, IndexError):
        raise _refuse("'config.modules.prompt_templating' is required", "Input Parameters", request_id) from None
    model = MODELS_BY_NAME.get(wanted.get("name", ""))
    if model is None or model.embeds:
        message = f"Model {wanted.get('name')} in version {wanted.get('version', 'latest')} not found."
        raise _refuse(message, "LLM Module", request_id)
    values = {**prompt.get("defaults", {}), **body.get("placeholder_values", {})}
    template = [_filled(message, values, request_id) for message in prompt.get("template", [])]
    chat: Json = {"messages": [*body.get("messages_history", []), *template], **wanted.get("params", {})}
    for key in ("tools", "response_format"):
        if prompt.get(key):
            chat[key] = prompt[key]
    return model, chat


def _whole(model: Model, chat: Json, given: ModelResponse, usage: Usage, id: str, created: int) -> Json:
    """Write the whole answer, twice, as the service does."""
    result = render_response(model, chat, [given], usage, id, created)
    del result["prompt_filter_results"]
    steps = {"templating": chat["messages"], "llm": result}
    return {"request_id": id, "intermediate_results": steps, "final_result": result}


def _events(
    body: Json, model: Model, chat: Json, given: ModelResponse, usage: Usage, id: str, created: int
) -> Iterator[StreamEvent]:
    """Write the answer as a stream: the templated prompt first, then every chunk twice."""
    empty: Json = {"id": "", "object": "", "created": 0, "model": "", "system_fingerprint": ""}
    first = empty | {"choices": [{"index": 0, "delta": {"content": ""}}]}
    yield StreamEvent(
        {"request_id": id, "intermediate_results": {"templating": chat["messages"]}, "final_result": first}
    )
    size = (body["config"].get("stream") or {}).get("chunk_size", _DEFAULT_CHUNK)
    options = {**chat, "stream_options": {"include_usage": True}}
    chunks = list(render_stream(model, options, [given], usage, id, created))[1:-1]
    for result, content in _grouped([(event.data, event.content) for event in chunks], size):
        yield StreamEvent({"request_id": id, "intermediate_results": {"llm": result}, "final_result": result}, content)
    yield StreamEvent("[DONE]")


def _embed(body: Json, request_id: str) -> Json:
    """Answer `/v2/embeddings`."""
    try:
        wanted = body["config"]["modules"]["embeddings"]["model"]
        model = MODELS_BY_NAME[wanted["name"]]
        given = body["input"]["text"]
    except (KeyError, TypeError):
        raise _refuse("'config.modules.embeddings' is required", "Input Parameters", request_id) from None
    result = embed(model, {"input": given, **wanted.get("params", {})})
    return {"request_id": request_id, "final_result": result}


def _filled(message: Json, values: Json, request_id: str) -> Json:
    """Fill the placeholders of a message."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise _refuse(f"Missing required parameters: ['{found[1]}']", "Module: Templating", request_id)
        return str(values[found[1]])

    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": _PLACEHOLDER.sub(value, content)}
    parts = [
        {**part, "text": _PLACEHOLDER.sub(value, part["text"])} if part.get("type") == "text" else part
        for part in content or []
    ]
    return {**message, "content": parts}


def _grouped(chunks: list[tuple[Any, bool]], size: int) -> Iterator[tuple[Json, bool]]:
    """Join the texts of chunks until they are long enough, and move the counts to the last chunk."""
    held, shell = "", None
    texts = [chunk for chunk, _ in chunks if chunk["choices"]]
    usage = chunks[-1][0]["usage"]
    for at, chunk in enumerate(texts):
        choice = chunk["choices"][0]
        text = choice["delta"].get("content") or ""
        last = at == len(texts) - 1
        held += text
        shell = {key: value for key, value in chunk.items() if key != "usage"}
        if text and len(held) < size and not last:
            continue
        delta = {**choice["delta"], "role": "assistant", "content": "" if last else held}
        if last and held:
            yield shell | {"choices": [_slim(0, {"role": "assistant", "content": held}, "")]}, True
        content = bool(delta["content"]) or "tool_calls" in delta
        held = ""
        ending = {"usage": usage} if last else {}
        yield shell | {"choices": [_slim(0, delta, choice["finish_reason"] or "")]} | ending, content


def _slim(index: int, delta: Json, reason: str) -> Json:
    """Write a choice without what Azure adds."""
    return {"index": index, "delta": delta, "finish_reason": reason}
