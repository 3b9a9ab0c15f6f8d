"""Thinking that the client did not ask for: it is hidden, but the signatures of tool calls are kept.

A client that did not ask for thinking takes the first block for the answer. But a model that thinks anyway needs its
signature again with the results of its calls. Therefore the signature is put after its call, in an empty thinking block
with a prefix. When the client sends the block back, it is put before the call again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dialects.core.conversation import Conversation, Family, Part, Reasoning, Thinking, ToolCall
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.streams import EventRewriter

_BEHIND = "behind:"
"""The prefix of a signature that was put after its call. Other signatures are base64, and contain no colon."""
_SIGNS_CALLS = (Family.GEMINI, Family.OPENAI)
"""The families whose models think without being asked to."""


def asks_to_think(conversation: Conversation) -> bool:
    """Return whether the request asks for thinking by a budget or as adaptive, rather than by an effort only."""
    reasoning = conversation.reasoning or Reasoning()
    return reasoning.adaptive or (reasoning.budget or 0) > 0


class UnaskedThinking(EventRewriter):
    """Removes thinking blocks from a stream of events, and puts their signatures after the next call.

    Signatures without a later call are left out. The blocks are renumbered.
    """

    def __init__(self) -> None:
        self._index = -1
        self._block: Block | None = None
        self._held: list[Thinking] = []

    def rewrite(self, event: Event) -> Iterator[Event]:
        """Yield the events that replace one event."""
        match event:
            case BlockStarted(_, block):
                self._block = block
                if not isinstance(block, Thinking):
                    self._index += 1
                    yield BlockStarted(self._index, block)
            case BlockDelta(_, text, logprobs):
                if not isinstance(self._block, Thinking):
                    yield BlockDelta(self._index, text, logprobs)
            case BlockStopped(_, signature):
                if isinstance(self._block, Thinking):
                    self._hold(self._block, signature)
                    return
                yield replace(event, index=self._index)
                if isinstance(self._block, ToolCall):
                    yield from self._released()
            case Started() | Finished() | Failed():
                yield event

    def _hold(self, block: Thinking, signature: str) -> None:
        signature = block.signature + signature
        if signature and block.family in _SIGNS_CALLS:
            self._held.append(Thinking(signature=_BEHIND + signature, family=block.family))

    def _released(self) -> Iterator[Event]:
        held, self._held = self._held, []
        for thinking in held:
            self._index += 1
            yield BlockStarted(self._index, replace(thinking, signature=""))
            yield BlockStopped(self._index, thinking.signature)


def before_their_calls(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Move signatures that were put after their call back before it."""
    said: list[Part] = []
    # The last call and what follows it.
    since: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCall):
            said += since
            since = [part]
        elif isinstance(part, Thinking) and part.signature.startswith(_BEHIND):
            said.append(replace(part, signature=part.signature.removeprefix(_BEHIND)))
        elif since:
            since.append(part)
        else:
            said.append(part)
    return (*said, *since)
