"""The handler of `/converse` and `/converse-stream`."""

from emulator.bedrock_converse.request_parser import parse_request
from emulator.bedrock_converse.response import render_response
from emulator.bedrock_converse.stream import render_stream
from emulator.bedrock_converse.validation import check
from emulator.framing import EVENT_STREAM, Framing
from emulator.protocol import InferenceRequest, Reply, Streamed, Whole, generate
from emulator.world import Json


def handle(request: InferenceRequest, body: Json) -> Reply:
    """Answer with a Converse message, whole or streamed depending on the path."""
    check(request.model, body)
    [given], usage = generate(request, parse_request(request.model, body))
    paths = body.get("additionalModelResponseFieldPaths")
    if request.path == "converse":
        return Whole(render_response(given, usage, paths), delay=given.lasts)
    plain = Framing.REPR if request.converse_sse == "repr" else Framing.JSON
    framing = Framing.AWS_MEMBERS if EVENT_STREAM in request.accept else plain
    return Streamed(render_stream(given, usage, paths), framing, request.path, given.delay)
