"""The stream reader of SAP AI Core's orchestration: a frame is a chunk of a chat completion among results of modules.

The first chunk has only the prompt, the last one the token counts. A failure is a frame of its own, with an error
object or a list of errors, one for each attempt. Nothing follows it.
"""

from collections.abc import Iterator
from typing import Any

from dialects.adapt.claude_tools import JSON_TOOL
from dialects.core.conversation import JSON, Text, Thinking, Usage
from dialects.core.events import Block, Event
from dialects.core.frame_reader import FrameReader
from dialects.core.upstream_errors import fault_of_orchestration
from dialects.framing.sse import Frame
from dialects.openai_chat.stream import ChunkReader
from dialects.orchestration.response import thoughts_in
from dialects.orchestration.vocabulary import result_in, usage_of


def reader(token: str, content_type: str) -> FrameReader:
    """Return a reader for one streamed response, which is server-sent events whatever its content type says."""
    del content_type
    return _Reader(token)


class _Reader(ChunkReader):
    """Reads the model's answer in each frame, and ignores the results of other modules.

    A thinking block continues over several chunks until its signature. The next one is another block.
    """

    repeats = False  # A frame contains its text twice.

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self._model = ""

    def continued(self, frame: Frame) -> str:
        """Return the text of a chunk without other content. Empty fields and the role, in every chunk, are ignored."""
        message = frame.glance()
        result = message["final_result"]
        if message.get("error") or "choices" in message or result["model"] != self._model:
            return ""
        (choice,) = result["choices"]
        said = {name: value for name, value in choice["delta"].items() if value and name != "role"}
        return self._only_text({**result, "choices": [{**choice, "delta": said}]})

    def read(self, message: JSON) -> Iterator[Event]:
        """Yield the events of one frame."""
        if error := message.get("error"):
            yield from self.fail(fault_of_orchestration(error))
            return
        if "choices" in message or "done" in message:
            yield from super().read(message)
            return
        result = result_in(message)
        if isinstance(model := result.get("model"), str) and model:
            self._model = model
        if result.get("id") or _says_something(result):
            yield from super().read(result)

    def _usage(self, usage: Any) -> Usage:
        return usage_of(usage, self._model)

    def _call_block(self, id: str, name: str) -> Block:
        """Return a text block for a call of the JSON tool, whose arguments are the answer."""
        return Text() if name == JSON_TOOL else super()._call_block(id, name)

    def _thoughts(self, delta: JSON) -> Iterator[Event]:
        if not isinstance(delta.get("reasoning_content"), list):
            yield from super()._thoughts(delta)
            return
        for thought in thoughts_in(delta, self._model):
            going_on = isinstance(self._open, tuple) and self._open[0] is Thinking
            key = self._open if going_on else (Thinking, self._index + 1)
            yield from self.extend(key, Thinking(family=thought.family), thought.text)
            if thought.signature:
                self.sign(thought.signature)
                yield from self.stop_block()


def _says_something(result: JSON) -> bool:
    """Return whether a chunk without an id has any content."""
    return bool(result.get("usage")) or any(
        choice.get("finish_reason") or any(said for name, said in (choice.get("delta") or {}).items() if name != "role")
        for choice in result.get("choices") or []
    )
