"""Gemini's responses, errors and descriptions of models, parsed and rendered.

A stream is a series of ``GenerateContentResponse`` objects. Their contents add up; each token count replaces the
previous one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dialects.adapt.attachments import kind_of
from dialects.adapt.signatures import REDACTED, pack
from dialects.capabilities.model_info import ModelInfo
from dialects.capabilities.models import ThinkingStyle
from dialects.core.context_overflow import googles_words
from dialects.core.conversation import (
    JSON,
    Completion,
    Family,
    Media,
    Opaque,
    Refusal,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, fold, unfold
from dialects.core.faults import Fault, FaultError, FaultKind, http_status
from dialects.core.frame_reader import FrameReader
from dialects.core.upstream_errors import fault_in_stream
from dialects.framing.json_text import dumps, object_from
from dialects.gemini.vocabulary import (
    DIALECT,
    FINISHES,
    STATUSES,
    STOPS,
    parse_citations,
    parse_search,
    parse_usage,
    render_grounding,
    render_usage,
)
from dialects.interface import Envelope

_NOTHING = Fault(FaultKind.SERVER_ERROR, "the model answered nothing")
_ACTIONS = ["generateContent", "streamGenerateContent", "countTokens"]


class ResponseReader(FrameReader):
    """Reads ``GenerateContentResponse`` objects. *token* seeds the ids of calls, which Gemini does not have."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self._calls = 0
        self._blocks = 0
        self._kind: type[Block] | None = None
        self._metadata: JSON = {}
        self._grounding: JSON = {}
        self._texts: list[str] = []

    def end(self) -> Iterator[Event]:
        """End the answer. The usage is computed here because `keep_usage` only stores counts."""
        self.usage = parse_usage(self._metadata)
        if self._grounding:
            self.search = parse_search(self._grounding)
            if self._kind is Text:
                self.cite(parse_citations(self._grounding, "".join(self._texts)))
        return super().end()

    def fail(self, fault: Fault) -> Iterator[Event]:
        """Fail the answer. The usage is computed here, as in `end`."""
        self.usage = parse_usage(self._metadata)
        return super().fail(fault)

    def keep_usage(self, metadata: Mapping[Any, Any]) -> None:
        """Keep the counts of one message. Later counts replace earlier ones."""
        self._metadata |= {name: value for name, value in metadata.items() if value is not None}

    def keep_text(self, text: str) -> None:
        """Keep the text of the open block. Citations at its end refer to positions in it."""
        self._texts.append(text)

    def read(self, message: JSON) -> Iterator[Event]:
        """Yield the events of one message."""
        match message:
            case {"error": {**error}}:
                yield from self.fail(_fault_of(error))
                return
            case {"usageMetadata": {**metadata}}:
                self.keep_usage(metadata)
                self.usage = parse_usage(self._metadata)
        yield from self.start(str(message.get("responseId") or self._token), str(message.get("modelVersion") or ""))
        match message:
            case {"candidates": [{**candidate}, *_]}:
                yield from self._candidate(candidate)
            case {"promptFeedback": {**feedback}} if stop := _blocked(feedback):
                self.stop = stop
                if said := feedback.get("blockReasonMessage"):
                    yield from self._extend(Refusal(), str(said))

    def whole(self, body: JSON) -> Completion:
        """Parse a whole response; raises `FaultError` if it is a failure or has no answer."""
        events = list(self.read(body))
        if not any(isinstance(event, Failed) for event in events):
            if self.stop is None and not body.get("candidates"):
                raise FaultError(_NOTHING)
            events += self.end()
        return fold(events)

    def _candidate(self, candidate: Mapping[Any, Any]) -> Iterator[Event]:
        for part in (candidate.get("content") or {}).get("parts") or []:
            yield from self._part(part)
        if isinstance(grounding := candidate.get("groundingMetadata"), dict):
            self._grounding |= {name: value for name, value in grounding.items() if value}
        self.stop = _finished(candidate, self.stop, called=bool(self._calls))

    def _part(self, part: JSON) -> Iterator[Event]:
        thought = part.get("thought") is True
        signature = part.get("thoughtSignature")
        if thought and part.get("text"):
            yield from self._extend(Thinking(family=Family.GEMINI), str(part["text"]))
        if signature:
            # The signature belongs to the thoughts just before it, or to hidden ones.
            yield from self._extend(Thinking(family=Family.GEMINI), "")
            self.sign(str(signature))
            yield from self._close()
        if thought and "text" in part:
            return
        match part:
            case {"text": str(text)}:
                if text:
                    yield from self._extend(Text(), text)
            case {"functionCall": {"name": str(name), **call}} if name:
                yield from self._call(name, call.get("args"))
            case {"inlineData": {"mimeType": str(mime), "data": str(data)}} if data and not thought:
                yield from self._whole(Media(kind_of(mime), mime, data))
            case {"functionCall": _}:
                pass
            case _ if meaning := {name: part[name] for name in part if name != "thoughtSignature"}:
                yield from self._whole(Opaque(DIALECT, meaning))

    def _call(self, name: str, args: Any) -> Iterator[Event]:
        # Gemini may return a name as "default_api:name".
        call = ToolCall(f"call_{self._token}_{self._calls}", name.rpartition(":")[2] or name)
        self._calls += 1
        yield from self._close()
        yield from self._extend(call, dumps(args if isinstance(args, dict) else {}))
        yield from self._close()

    def _whole(self, block: Block) -> Iterator[Event]:
        yield from self._close()
        yield from self._extend(block, "")
        yield from self._close()

    def _extend(self, block: Block, text: str) -> Iterator[Event]:
        """Continue the open block if it is of this kind, or open a new one."""
        if type(block) is not self._kind:
            self._kind = type(block)
            self._blocks += 1
            self._texts = []
        self.keep_text(text)
        yield from self.extend(self._blocks, block, text)

    def _close(self) -> Iterator[Event]:
        self._kind = None
        yield from self.stop_block()


class PartRenderer:
    """Renders events as parts. A signature is kept for the part after the thinking it belongs to."""

    def __init__(self) -> None:
        self._block: Block | None = None
        self._arguments: list[str] = []
        self._signature = ""
        self.malformed = ""

    def take(self, event: BlockStarted | BlockDelta | BlockStopped) -> list[JSON]:
        """Return the parts that an event completes."""
        match event:
            case BlockStarted(_, block):
                self._block, self._arguments = block, []
                return self._opened(block)
            case BlockDelta(_, text):
                return self._said(text)
            case BlockStopped(_, signature):
                return self._closed(signature)

    @property
    def is_text(self) -> bool:
        """Whether each delta of the open block can be rendered with `text`, because no signature has to be added."""
        return not self._signature and not isinstance(self._block, ToolCall)

    def text(self, text: str) -> JSON:
        """Return the part for a text of the open block."""
        return {"text": text, "thought": True} if isinstance(self._block, Thinking) else {"text": text}

    def rest(self) -> list[JSON]:
        """Return a part for a signature that no part followed."""
        return [self._signed({"text": ""})] if self._signature else []

    def _opened(self, block: Block) -> list[JSON]:
        match block:
            case Thinking():
                return self.rest()
            case Text(text) | Refusal(text) if text:
                return [self._signed({"text": text})]
            case Media():
                place = {"data": block.data} if block.data else {"fileUri": block.url}
                return [self._signed({"inlineData" if block.data else "fileData": {"mimeType": block.mime, **place}})]
            case Opaque(dialect, payload) if dialect == DIALECT:
                return [self._signed(payload)]
            case _:
                return []

    def _said(self, text: str) -> list[JSON]:
        match self._block:
            case Thinking():
                return [self.text(text)]
            case ToolCall():
                self._arguments.append(text)
                return []
            case _:
                return [self._signed(self.text(text))]

    def _closed(self, signature: str) -> list[JSON]:
        match self._block:
            case Thinking(redacted=redacted, family=family) if redacted:
                self._signature = pack(REDACTED + redacted, family or Family.CLAUDE, Family.GEMINI)
            case Thinking(signature=begun, family=family) if begun or signature:
                self._signature = pack(begun + signature, family, Family.GEMINI)
            case ToolCall(id, name, arguments):
                said = arguments + "".join(self._arguments)
                args = object_from(said)
                if args is None:
                    self.malformed = f"{name}({said})"
                    return []
                return [self._signed({"functionCall": {"id": id, "name": name, "args": args}})]
            case _:
                pass
        return []

    def _signed(self, part: JSON) -> JSON:
        signature, self._signature = self._signature, ""
        return {**part, "thoughtSignature": signature} if signature else part


def parse_response(body: JSON, token: str) -> Completion:
    """Parse a whole response. The result is the same as that of its stream."""
    return ResponseReader(token).whole(body)


def parse_outcome(body: JSON) -> Completion:
    """Parse only the stop reason and the usage of a whole response; raises `FaultError` if it is a failure."""
    stop = None
    match body:
        case {"error": {**error}}:
            raise FaultError(_fault_of(error))
        case {"candidates": [dict(candidate), *_]}:
            parts = (candidate.get("content") or {}).get("parts") or []
            stop = _finished(candidate, None, called=any(map(_is_call, parts)))
        case {"promptFeedback": {**feedback}}:
            stop = _blocked(feedback)
        case _:
            pass
    if stop is None and not body.get("candidates"):
        raise FaultError(_NOTHING)
    return Completion(stop=stop or Stop(), usage=parse_usage(body.get("usageMetadata") or {}))


def _fault_of(error: Mapping[Any, Any]) -> Fault:
    status = error.get("code")
    code, message = str(error.get("status") or status or ""), str(error.get("message") or "")
    return fault_in_stream(code, message, status if isinstance(status, int) else None)


def _blocked(feedback: Mapping[Any, Any]) -> Stop | None:
    """Return why the prompt was blocked, or None if it was not."""
    match feedback.get("blockReason"):
        case str(reason) if reason != "BLOCKED_REASON_UNSPECIFIED":
            return Stop(StopReason.FILTERED, reason)
        case _:
            return None


def _finished(candidate: Mapping[Any, Any], before: Stop | None, *, called: bool) -> Stop | None:
    """Return why the model stopped, if it has.

    *before* is the reason it gave earlier; *called* tells whether it has called a function.
    """
    reason, stop = candidate.get("finishReason"), before
    if reason and reason != "FINISH_REASON_UNSPECIFIED":
        stop = Stop(STOPS.get(reason, StopReason.END), str(reason))
    return replace(stop, reason=StopReason.TOOL_USE) if called and stop and stop.reason is StopReason.END else stop


def _is_call(part: JSON) -> bool:
    match part:
        case {"text": str()}:
            return False
        case {"functionCall": {"name": str(name)}}:
            return bool(name)
        case _:
            return False


def render_response(completion: Completion, envelope: Envelope) -> JSON:
    """Render a whole response."""
    said = PartRenderer()
    parts: list[JSON] = []
    for event in unfold(completion):
        if isinstance(event, BlockStarted | BlockDelta | BlockStopped):
            parts += said.take(event)
    candidate = render_candidate([*parts, *said.rest()]) | render_finish(completion.stop, said.malformed)
    candidate |= render_grounding(completion.search)
    return render_body(candidate, envelope, completion.usage)


def render_fault(fault: Fault) -> JSON:
    """Render a failure as Google's APIs do, with the time to wait before a retry in the details."""
    message = googles_words(fault) if fault.kind is FaultKind.CONTEXT_LENGTH_EXCEEDED else fault.message
    error: JSON = {"code": http_status(fault), "message": message, "status": STATUSES[fault.kind]}
    if fault.retry_after is not None:
        delay = f"{fault.retry_after:g}s"
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    return {"error": error}


def render_model(model: ModelInfo, created: int) -> JSON:  # noqa: ARG001 - Google says nothing of when
    """Describe one model in the form that Google's clients read. Unknown facts are left out.

    https://ai.google.dev/api/models#Model
    """
    said: JSON = {
        "name": f"models/{model.name}",
        "baseModelId": model.name,
        "version": "001",
        "displayName": model.name,
        "supportedGenerationMethods": _ACTIONS,
        "thinking": model.profile.thinking is not ThinkingStyle.NONE,
    }
    limits = {"inputTokenLimit": model.max_input, "outputTokenLimit": model.max_output}
    said |= {name: value for name, value in limits.items() if value is not None}
    return said | ({"description": model.advice} if model.advice else {})


def render_models(models: Sequence[ModelInfo], created: int) -> JSON:
    """List all models in the form that Google's clients read."""
    return {"models": [render_model(model, created) for model in models]}


def render_body(candidate: JSON, envelope: Envelope, usage: Usage | None) -> JSON:
    """Render a ``GenerateContentResponse`` with one candidate."""
    body: JSON = {"candidates": [candidate]}
    if usage is not None:
        body["usageMetadata"] = render_usage(usage)
    return {**body, "modelVersion": envelope.model, "responseId": envelope.token}


def render_candidate(parts: list[JSON]) -> JSON:
    """Render a candidate with the given *parts*."""
    return {"content": {"parts": parts, "role": "model"}, "index": 0}


def render_finish(stop: Stop, malformed: str) -> JSON:
    """Render why the answer ended. A reason that came from Gemini is kept."""
    if malformed:
        return {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": f"Malformed function call: {malformed}"}
    own = STOPS.get(stop.raw) is stop.reason
    return {"finishReason": stop.raw if own else FINISHES[stop.reason]}
