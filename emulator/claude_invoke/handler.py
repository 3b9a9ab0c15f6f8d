"""The handler of `/invoke` and `/invoke-with-response-stream`."""

from emulator.claude_invoke.request_parser import parse_request
from emulator.claude_invoke.response import render_response, without_omitted_thoughts
from emulator.claude_invoke.stream import render_stream
from emulator.claude_invoke.validation import check
from emulator.framing import EVENT_STREAM, Framing
from emulator.protocol import InferenceRequest, Reply, Streamed, Whole, generate
from emulator.world import Json


def handle(request: InferenceRequest, body: Json) -> Reply:
    """Answer with an Anthropic message, whole or streamed depending on the path."""
    check(request.model, body)
    [given], usage = generate(request, parse_request(request.model, body))
    given = without_omitted_thoughts(given, body)
    name = f"msg_bdrk_01{request.id[:22]}"
    if request.path == "invoke":
        return Whole(render_response(request.model, given, usage, name), delay=given.lasts)
    framing = Framing.AWS_CHUNKS if EVENT_STREAM in request.accept else Framing.JSON
    return Streamed(render_stream(request.model, given, usage, name), framing, request.path, given.delay)
