"""The handlers of `/responses`, and of stored responses."""

import hashlib

from emulator.errors import azure, gatekeeper
from emulator.framing import Framing
from emulator.openai_responses.request_parser import parse_request
from emulator.openai_responses.response import render_compaction, render_response
from emulator.openai_responses.store import StoredResponse, conversation_items, not_found
from emulator.openai_responses.stream import render_stream
from emulator.openai_responses.validation import check, check_compaction, check_items
from emulator.protocol import InferenceRequest, Reply, Streamed, Whole, generate
from emulator.world import Json


def handle(request: InferenceRequest, body: Json) -> Reply:
    """Answer with a response, or with its events if the body asks for a stream. Store it unless `store` is false."""
    check(request.model, body)
    items = conversation_items(body, request.store)
    check_items(list(items), request.store, request.deployment)
    [given], usage = generate(request, parse_request(request.model, body, items))
    name = f"resp_{hashlib.sha256(request.id.encode()).hexdigest()[:50]}"
    whole = render_response(request.model, body, given, usage, name, int(request.now), request.deployment)
    if body.get("store") is not False:
        request.store.put(name, StoredResponse(whole, (*items, *whole["output"])))
    if not body.get("stream"):
        return Whole(whole, delay=given.lasts)
    events = render_stream(request.model, body, given, usage, name, int(request.now), request.deployment)
    return Streamed(events, Framing.JSON, "responses", given.delay)


def handle_compaction(request: InferenceRequest, body: Json) -> Reply:
    """Answer with the user's messages of a conversation, and everything else encrypted. It is never streamed."""
    check_compaction(request.model, body)
    items = conversation_items(body, request.store)
    check_items(list(items), request.store, request.deployment)
    _, usage = generate(request, parse_request(request.model, body, items))
    tail = hashlib.sha256(request.id.encode()).hexdigest()[:50]
    return Whole(render_compaction(items, usage, tail, int(request.now), request.deployment))


def handle_stored(request: InferenceRequest, rest: str) -> Reply:
    """Return, delete or cancel a stored response."""
    name, _, verb = rest.partition("/")
    kept = request.store.get(name)
    match request.method, verb:
        case "GET", "" if kept:
            return Whole(kept.response)
        case "DELETE", "" if kept:
            request.store.drop(name)
            return Whole({"id": name, "object": "response", "deleted": True})
        case "POST", "cancel" if kept:
            raise azure("Cannot cancel a synchronous response.")
        case ("GET" | "DELETE", "") | ("POST", "cancel"):
            raise not_found(name)
        case _:
            raise gatekeeper(f"Subpath '{request.path}' is not allowed for model '{request.model.name}'.")
