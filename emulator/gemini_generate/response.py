"""Renderer of `:generateContent` responses."""

import json

from emulator import signatures
from emulator.model_io import ModelResponse, RedactedThought, StopReason, Text, Thought, ToolCall, Usage
from emulator.models import Model
from emulator.world import Json

STOP_REASONS = {
    StopReason.END: "STOP",
    StopReason.LENGTH: "MAX_TOKENS",
    StopReason.STRING: "STOP",
    StopReason.TOOLS: "STOP",
    StopReason.REFUSAL: "SAFETY",
}


def render_response(
    model: Model, givens: list[ModelResponse], usage: Usage, id: str, created: str, query: str = ""
) -> Json:
    """Render a whole response. *query* is what was searched for."""
    candidates = []
    for index, given in enumerate(givens):
        candidate: Json = {"index": index} if index else {}
        parts = _parts(model, given)
        if given.stop is not StopReason.REFUSAL:
            candidate["content"] = {"role": "model", "parts": parts} if parts else {"role": "model"}
        candidate |= {"finishReason": STOP_REASONS[given.stop]} | render_grounding(given, query)
        candidates.append(candidate | {"avgLogprobs": -0.25})
    return {"candidates": candidates, "usageMetadata": render_usage(usage)} | render_foot(model, id, created)


def render_grounding(given: ModelResponse, query: str) -> Json:
    """Render a web search with its results and citations, whose positions are in bytes."""
    text = "".join(part.text for part in given.parts if isinstance(part, Text))
    if not query or not text:
        return {}
    first, last = len(text.encode()) // 2, len(text.encode())
    while text.encode()[first] & 0xC0 == 0x80:
        first -= 1  # keep whole characters
    segments = [{"endIndex": first} if first else {"endIndex": last}, {"startIndex": first, "endIndex": last}]
    said = [text.encode()[each.get("startIndex", 0) : each["endIndex"]].decode() for each in segments]
    return {
        "groundingMetadata": {
            "webSearchQueries": [query],
            "searchEntryPoint": {"renderedContent": "<div></div>"},
            "groundingChunks": [
                {"web": {"uri": f"https://vertexaisearch.example/{site}", "title": site, "domain": site}}
                for site in ("a.example", "b.example")
            ],
            "groundingSupports": [
                {"segment": {**segment, "text": words}, "groundingChunkIndices": [0, 1][: at + 1]}
                for at, (segment, words) in enumerate(zip(segments, said, strict=True))
            ],
        }
    }


def sign_call(call: ToolCall) -> str:
    """Return the signature of a function call."""
    return signatures.sign("gemini", f"{call.name}{call.arguments}")


def _parts(model: Model, given: ModelResponse) -> list[Json]:
    """Render the parts of a response that is not streamed."""
    written = []
    signed = False
    for part in given.parts:
        match part:
            case Thought(text):
                written.append({"text": text, "thought": True})
            case Text(text):
                written.append({"text": text})
            case ToolCall():
                written.append(render_call(part) | ({} if signed else thought_signature(model, given, part)))
                signed = True
            case RedactedThought():
                pass
    return written


def render_call(call: ToolCall) -> Json:
    """Render a function call, which has no id."""
    return {"functionCall": {"name": call.name, "args": json.loads(call.arguments)}}


def thought_signature(model: Model, given: ModelResponse, call: ToolCall) -> Json:
    """Return the signature field of a turn's first call, if the model signs calls or has thought."""
    return {"thoughtSignature": sign_call(call)} if model.signs_calls or given.reasoning else {}


def render_foot(model: Model, id: str, created: str) -> Json:
    """Render the fields at the end of every chunk."""
    return {"modelVersion": model.answers_as, "createTime": created, "responseId": id}


def render_usage(usage: Usage, output: int | None = None, thoughts: int | None = None) -> Json:
    """Render the token counts. Candidates exclude thoughts; the prompt includes cached tokens."""
    output = usage.output if output is None else output
    thoughts = usage.reasoning if thoughts is None else thoughts
    counted: Json = {"promptTokenCount": usage.prompt, "trafficType": "ON_DEMAND"}
    if usage.read:
        counted["cachedContentTokenCount"] = usage.read
    if output > thoughts:
        counted["candidatesTokenCount"] = output - thoughts
    if thoughts:
        counted["thoughtsTokenCount"] = thoughts
    return counted | {"totalTokenCount": usage.prompt + max(output, thoughts)}
