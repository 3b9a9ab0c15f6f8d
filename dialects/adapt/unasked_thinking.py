"""Thinking that a client did not ask for: it is not shown, yet what signs the calls comes back with them.

A program that asks for no thinking reads the first block as the answer. But a model that thinks anyway must be shown
its signature again while its calls are answered. So the signature stands behind the call that it was made for, in a
block of thinking without words, and says so, for it to be put before the call when it comes back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dialects.core.conversation import Conversation, Family, Part, Reasoning, Thinking, ToolCall
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.streams import EventRewriter

_BEHIND = "behind:"
"""What begins a signature that stands behind the call it was made for; no other, being base64, holds a colon."""
_SIGNS_CALLS = (Family.GEMINI, Family.OPENAI)
"""Whose models think unasked."""


def asks_to_think(conversation: Conversation) -> bool:
    """Whether a client that asks for thinking by an amount or as adaptive, and not by an effort, wants to see it."""
    reasoning = conversation.reasoning or Reasoning()
    return reasoning.adaptive or (reasoning.budget or 0) > 0


class UnaskedThinking(EventRewriter):
    """Takes the thinking out of a stream of events, and puts its signatures behind the next call; the last ones go.

    It numbers the blocks anew.
    """

    def __init__(self) -> None:
        self._index = -1
        self._block: Block | None = None
        self._held: list[Thinking] = []

    def rewrite(self, event: Event) -> Iterator[Event]:
        """Give what takes the place of one event."""
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
    """Put signatures that stand behind their call back before it."""
    said: list[Part] = []
    for part in parts:
        if not isinstance(part, Thinking) or not part.signature.startswith(_BEHIND):
            said.append(part)
            continue
        calls = [place for place, before in enumerate(said) if isinstance(before, ToolCall)]
        own = replace(part, signature=part.signature.removeprefix(_BEHIND))
        said.insert(calls[-1] if calls else len(said), own)
    return tuple(said)
