"""Reader of Bedrock Converse streams.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from collections.abc import Iterator
from typing import Any

from dialects.adapt.claude_tools import JSON_TOOL, settled
from dialects.bedrock_converse.vocabulary import DIALECT, as_base64, parse_stop, parse_usage
from dialects.core.conversation import JSON, Family, Opaque, Text, Thinking, ToolCall
from dialects.core.events import Event
from dialects.core.frame_reader import FrameReader
from dialects.core.upstream_errors import fault_in_stream
from dialects.framing.aws_event_stream import decoder_for
from dialects.framing.json_text import glance
from dialects.framing.python_literal import LONGEST, parse_literal
from dialects.framing.sse import Frame

_FLAT = 50
"""The most brackets in a frame that `_glanced_literal` reads. Python's parser fails at 200 nested ones."""
_DELTA = "contentBlockDelta"


def reader(token: str, content_type: str) -> FrameReader:
    """Return the reader of a streamed response."""
    return Reader(token, content_type)


class Reader(FrameReader):
    """Reads a ``/converse-stream`` response: Amazon's event stream, or SSE with JSON or Python's ``repr`` of it."""

    repeats = True

    def __init__(self, token: str, content_type: str = "") -> None:
        super().__init__(decoder_for(content_type))
        self._token = token
        self._calls: list[ToolCall] = []
        self._silent_call = False
        self._hidden = 0

    def loads(self, frame: Frame) -> JSON | None:
        """Parse one frame. In an event stream, the event's type is in the header of the frame."""
        try:
            message = super().loads(frame)
        except ValueError:
            message = _literal(frame.data)
        if frame.event is None or message is None or frame.event in message:
            return message
        return {frame.event: message}

    def continued(self, frame: Frame) -> str:
        """Return the text of a delta for the open block. The first arguments of a call are left to `read`."""
        event, message = frame.event, frame.glance() if '"' in frame.data else _glanced_literal(frame.data)
        if event is None and len(message) == 1:
            message = message[_DELTA]
        elif event != _DELTA or event in message:
            return ""
        index, delta = message.get("contentBlockIndex", 0), message["delta"]
        match self._open:
            case ("text", place):
                text = delta["text"]
            case ("tool", place) if not self._silent_call and "text" not in delta:
                text = delta["toolUse"]["input"]
            case _:
                return ""
        return text if type(index) is int and index == place and isinstance(text, str) else ""

    def read(self, message: JSON) -> Iterator[Event]:
        """Yield the events of one message."""
        match message:
            case {"messageStart": _}:
                yield from self.start(f"msg_{self._token}")
            case {"contentBlockStart": dict() as said}:
                yield from self._open_block(said.get("contentBlockIndex", 0), said.get("start") or {})
            case {"contentBlockDelta": {"delta": dict() as delta} as said}:
                yield from self._delta(said.get("contentBlockIndex", 0), delta)
            case {"contentBlockStop": _}:
                if self._silent_call and self._open is not None:
                    # A call without arguments may be streamed without any JSON.
                    yield from self.extend(self._open, Text(), "{}")
                self._silent_call = False
                yield from self.stop_block()
            case {"messageStop": dict() as said}:
                self.stop = settled(parse_stop(said), bool(self._calls))
            case {"metadata": dict() as said}:
                self.usage = parse_usage(said.get("usage") or {})
                if self.stop:
                    yield from self.end()
            case _:
                yield from self._failure(message)

    def _open_block(self, index: Any, start: JSON) -> Iterator[Event]:
        match start:
            case {"toolUse": {"toolUseId": str(id), "name": str(name)}}:
                call = ToolCall(id, name)
                if name != JSON_TOOL:
                    self._calls.append(call)
                yield from self.extend(("tool", index), Text() if name == JSON_TOOL else call)
                self._silent_call = True
            case {"toolUse": _}:
                raise ValueError("a call without a name")
            case _ if start:
                yield from self.extend(("opaque", index), Opaque(DIALECT, dict(start)))

    def _delta(self, index: Any, delta: JSON) -> Iterator[Event]:
        match delta:
            case {"text": str(text)}:
                yield from self.extend(("text", index), Text(), text)
            case {"toolUse": {"input": str(text)}}:
                if self._open != ("tool", index):
                    raise ValueError("arguments of a call that is not open")
                self._silent_call = self._silent_call and not text
                yield from self.extend(("tool", index), Text(), text)
            case {"reasoningContent": {"text": str(text)}}:
                yield from self.extend(("thinking", index), Thinking(family=Family.CLAUDE), text)
            case {"reasoningContent": {"signature": str(signature)}}:
                yield from self.extend(("thinking", index), Thinking(family=Family.CLAUDE))
                self.sign(signature)
            case {"reasoningContent": {"redactedContent": data}}:
                self._hidden += 1
                yield from self.extend(
                    ("hidden", self._hidden), Thinking(redacted=as_base64(data), family=Family.CLAUDE)
                )

    def _failure(self, message: JSON) -> Iterator[Event]:
        """Yield the failure for an exception of Bedrock or another error object; yield nothing for other messages."""
        for name, said in message.items():
            inner = said if isinstance(said, dict) else {"message": message.get("message") or said}
            if name.endswith("Exception") or name == "error":
                code = str(inner.get("code") or name) if name == "error" else name
                status = inner.get("originalStatusCode")
                yield from self.fail(
                    fault_in_stream(code, str(inner.get("message") or ""), status if isinstance(status, int) else None)
                )
                return


def _glanced_literal(data: str) -> Any:
    """Parse a `repr` that differs from JSON only in its quotes; return None for others.

    The `repr` of the result equals *data*, which proves that the meaning is the same.
    """
    nested = data.count("{") + data.count("[") > _FLAT
    if nested or len(data) > LONGEST or '"' in data or "\\" in data:
        return None
    message = glance(data.replace("'", '"'))
    return message if repr(message) == data else None


def _literal(data: str) -> JSON:
    """Parse Python's ``repr`` of an object, which SAP AI Core has been seen to send instead of JSON."""
    loaded = parse_literal(data)
    if not isinstance(loaded, dict):
        raise TypeError("not an object")
    return loaded
