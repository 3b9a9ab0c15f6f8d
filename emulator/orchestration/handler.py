"""The handlers of `/v2/completion` and `/v2/embeddings`."""

from itertools import chain

from emulator.faults import error_response
from emulator.framing import Framing
from emulator.model_io import ModelResponse
from emulator.models import ORCHESTRATION, Model
from emulator.orchestration.embeddings import embed
from emulator.orchestration.failures import (
    LLM,
    ModuleFailure,
    from_provider,
    refusal,
)
from emulator.orchestration.pipeline import Prepared, prepare
from emulator.orchestration.response import render_choice, render_result
from emulator.orchestration.schema import COMPLETION, EMBEDDINGS
from emulator.orchestration.stream import Chunks, failed
from emulator.orchestration.validation import check
from emulator.protocol import InferenceRequest, Reply, Streamed, Whole, generate
from emulator.world import Json

_CHUNK_SIZE = 100
_RETRIES = 2


def handle(request: InferenceRequest, body: Json) -> Reply:
    """Answer with a completion, whole or streamed, of the first configuration that succeeds."""
    try:
        check(body, COMPLETION)
    except ModuleFailure as failure:
        raise refusal([failure], request.id, listed=False) from None
    modules, options = body["config"]["modules"], body["config"].get("stream") or {}
    stream, listed = bool(options.get("enabled")), isinstance(modules, list)
    failures: list[ModuleFailure] = []
    prepared: Prepared | None = None
    for one in modules if listed else [modules]:
        try:
            prepared = prepare(one, body, stream=stream)
            return _answer(request, prepared, failures, stream=options if stream else None, listed=listed)
        except ModuleFailure as failure:
            failures.append(failure)
            if not failure.falls_back or (stream and not failure.unsupported):
                break
    if stream and prepared is not None and failures[-1].location == LLM:
        chunks = Chunks(ORCHESTRATION, request.id, int(request.now), _CHUNK_SIZE)
        events = [chunks.prompt(prepared.steps, ()), failed(failures, request.id, listed=listed)]
        return Streamed(iter(events), Framing.SPACED, request.path)
    raise refusal(failures, request.id, listed=listed)


def handle_embeddings(request: InferenceRequest, body: Json) -> Reply:
    """Answer with embeddings."""
    try:
        check(body, EMBEDDINGS)
        wanted = body["config"]["modules"]["embeddings"]["model"]
        return Whole(embed(body, request.id, lambda model: _call(request, model, wanted)), spaced=True)
    except ModuleFailure as failure:
        raise refusal([failure], request.id, listed=False) from None


def _answer(
    request: InferenceRequest, prepared: Prepared, failures: list[ModuleFailure], *, stream: Json | None, listed: bool
) -> Reply:
    """Call the model and render its answer. A failure includes the intermediate results."""
    try:
        asked = prepared.ask()
        _call(request, asked.model, prepared.wanted)
    except ModuleFailure as failure:
        failure.steps = prepared.steps
        raise
    params = prepared.wanted.get("params") or {}
    givens, usage = generate(request, asked, params.get("n") or 1)
    finished = [prepared.finished(given) for given in givens]
    created = int(request.now)
    said = [given for given, _ in finished]
    steps = finished[0][1]
    if stream is not None:
        chunks = Chunks(asked.model, request.id, created, stream.get("chunk_size", _CHUNK_SIZE))
        events = chain([chunks.prompt(prepared.steps, failures)], chunks.answer(said, usage, steps))
        broken = failed([ModuleFailure("Internal error.", LLM, 500)], request.id, listed=listed)
        return Streamed(events, Framing.SPACED, request.path, givens[0].delay, (broken,))

    def result(of: list[ModelResponse]) -> Json:
        choices = [render_choice(asked.model, index, given, params) for index, given in enumerate(of)]
        return render_result(asked.model, choices, usage, request.id, created)

    final = result(said)
    body: Json = {
        "request_id": request.id,
        "intermediate_results": {**prepared.steps, "llm": result(givens), **steps},
        "final_result": final,
    }
    if prepared.masks.undone:
        body["intermediate_results"]["output_unmasking"] = final["choices"]
    if failures:
        body["intermediate_failures"] = [failure.as_json(request.id) for failure in failures]
    return Whole(body, spaced=True, delay=givens[0].lasts)


def _call(request: InferenceRequest, model: Model, wanted: Json) -> None:
    """Call a model; retry temporary failures as often as the request allows, but never with Vertex AI."""
    retries = 0 if model.executable == "gcp-vertexai" else wanted.get("max_retries", _RETRIES)
    for attempt in range(retries + 1):
        fault = request.calls.make()
        error = error_response(fault, model.family) if fault is not None else None
        if error is None:
            return
        failure = from_provider(error)
        if attempt == retries or not failure.transient:
            raise failure
