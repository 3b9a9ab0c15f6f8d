"""The handler of `:generateContent` and `:streamGenerateContent`."""

from datetime import UTC, datetime

from emulator.framing import Framing
from emulator.gemini_generate.request_parser import normalize, parse_request, search_query
from emulator.gemini_generate.response import render_response
from emulator.gemini_generate.stream import render_stream
from emulator.gemini_generate.validation import check
from emulator.protocol import InferenceRequest, Reply, Streamed, Whole, generate
from emulator.world import Json


def handle(request: InferenceRequest, raw: Json) -> Reply:
    """Answer with candidates, whole or streamed depending on the path."""
    body = normalize(raw)
    check(request.model, body)
    takes = (body.get("generationConfig") or {}).get("candidateCount") or 1
    givens, usage = generate(request, parse_request(request.model, body), takes)
    created = datetime.fromtimestamp(request.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    name = request.id[:22]
    query = search_query(body)
    if request.path.endswith(":generateContent"):
        return Whole(render_response(request.model, givens, usage, name, created, query), delay=givens[0].lasts)
    events = render_stream(request.model, givens[0], usage, name, created, query)
    return Streamed(events, Framing.JSON, request.path, givens[0].delay)
