"""The interface of a protocol's handler: the request it gets and the reply it returns, before framing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from emulator import simulated_model
from emulator.faults import Fault
from emulator.framing import Framing
from emulator.model_io import ModelRequest, ModelResponse, StreamEvent, Usage
from emulator.models import Model
from emulator.openai_responses.store import ResponseStore
from emulator.prompt_cache import PromptCache
from emulator.world import Json


class ModelCalls:
    """The calls of models for one request, each of which can meet a fault. All are made by one thread."""

    def __init__(self, first: Fault | None = None, more: Callable[[], Fault | None] = lambda: None) -> None:
        self._more = more
        self.made = 0
        self.last = first
        """The fault that the last call met."""

    def make(self) -> Fault | None:
        """Count a call of a model; return the fault that it meets, if any."""
        if self.made:
            self.last = self._more()
        self.made += 1
        return self.last


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A request for a deployment, with the state that its protocol reads and changes."""

    model: Model
    deployment: str
    path: str
    method: str
    body: bytes
    query: dict[str, str]
    accept: str
    cache: PromptCache
    store: ResponseStore
    now: float
    id: str
    converse_sse: str
    calls: ModelCalls = field(default_factory=ModelCalls)
    notice: str = ""
    """A sentence that ends the model's own remarks."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A reply in one piece."""

    body: Any
    ordered: bool = False
    spaced: bool = False
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Streamed:
    """A reply as a stream of events."""

    events: Iterator[StreamEvent]
    framing: Framing
    path: str
    delay: float = 0.0
    broken: tuple[StreamEvent, ...] = ()
    """The last events of a stream that fails in its middle, if they differ from the default of its path."""


Reply = Whole | Streamed
Handler = Callable[[InferenceRequest, Json], Reply]
"""Answers a request whose body is a JSON object; raises `ErrorResponse` where the vendor refuses."""


def generate(request: InferenceRequest, asked: ModelRequest, takes: int = 1) -> tuple[list[ModelResponse], Usage]:
    """Generate as many responses as requested, and count their tokens."""
    givens = [simulated_model.respond(asked, take, request.notice) for take in range(takes)]
    usage = request.cache.account(asked, givens[0])
    output, reasoning = sum(given.tokens for given in givens), sum(given.reasoning for given in givens)
    return givens, replace(usage, output=output, reasoning=reasoning)
