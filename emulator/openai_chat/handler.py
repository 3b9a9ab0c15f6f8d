"""The handler of `/chat/completions`."""

from emulator.framing import Framing
from emulator.openai_chat.request_parser import parse_request
from emulator.openai_chat.response import render_response
from emulator.openai_chat.stream import render_stream
from emulator.openai_chat.validation import check
from emulator.protocol import InferenceRequest, Reply, Streamed, Whole, generate
from emulator.world import Json


def handle(request: InferenceRequest, body: Json) -> Reply:
    """Answer with a chat completion, or with its chunks if the body asks for a stream."""
    check(request.model, body)
    givens, usage = generate(request, parse_request(request.model, body), body.get("n") or 1)
    name = f"chatcmpl-{request.id[:29]}"
    if not body.get("stream"):
        made = render_response(request.model, body, givens, usage, name, int(request.now))
        return Whole(made, ordered=True, delay=givens[0].lasts)
    events = render_stream(request.model, body, givens, usage, name, int(request.now))
    return Streamed(events, Framing.AZURE, request.path, givens[0].delay)
