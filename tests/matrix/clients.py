"""The four client dialects: how each asks what a scene asks, and how it hears the answer.

Each is driven through its vendor's own SDK, and knows nothing of the proxy's inside.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.matrix.scenes import Ask, End

LENGTH = 4096
"""What is asked for where a length is obligatory."""
BUDGET = 2048
"""How many tokens of thinking are asked for, where that is how it is asked."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, its arguments parsed."""

    id: str
    name: str
    arguments: dict[str, Any]
    custom: bool = False
    """Whether it is the call of a custom tool: its argument is its text."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What an answer cost: *prompt* is everything that was read, *output* everything that was written."""

    prompt: int
    output: int
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer as its client saw it; *said* is what the SDK made of it, to be said again."""

    text: str
    end: str
    counted: Counted
    said: Any
    thoughts: str = ""
    calls: tuple[Call, ...] = ()
    dropped: frozenset[str] = frozenset()
    cited: tuple[str, ...] = ()
    """The addresses of the pages that are cited."""


class RefusedError(Exception):
    """The proxy refused: the status, and the message the SDK found."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Client(ABC):
    """One client dialect, behind its vendor's SDK; *ends* is what it calls the reasons to stop."""

    dialect: ClassVar[str]
    ends: ClassVar[Mapping[End, str]]

    def ask(self, model: str, ask: Ask, *, stream: bool) -> list[Seen]:
        """Ask, and ask again with the tools' results or for the cache's sake; raises `RefusedError`."""
        request = self.request(model, ask)
        seen = [self.send(request, stream=stream)]
        if ask.results:
            results = [(call, ask.results[index]) for index, call in enumerate(seen[0].calls)]
            seen.append(self.send(self.followed(request, seen[0].said, results), stream=stream))
        if ask.marked:
            seen.append(self.send(request, stream=stream))
        return seen

    @abstractmethod
    def request(self, model: str, ask: Ask) -> dict[str, Any]:
        """Write the arguments of the SDK's call."""

    @abstractmethod
    def followed(self, request: dict[str, Any], said: Any, results: list[tuple[Call, str]]) -> dict[str, Any]:
        """Go on with a conversation: what the model said, and what its calls gave back."""

    @abstractmethod
    def send(self, request: dict[str, Any], *, stream: bool) -> Seen:
        """Send a request through the SDK; raises `RefusedError`."""

    @abstractmethod
    def close(self) -> None:
        """Close the SDK's connections."""


class Headers:
    """Keeps the headers of the last answer an SDK heard, which few SDKs show."""

    def __init__(self) -> None:
        self._last: Mapping[str, str] = {}

    def hear(self, response: Any) -> None:
        self._last = response.headers

    @property
    def dropped(self) -> frozenset[str]:
        return dropped_in(self._last)


def dropped_in(headers: Mapping[str, str]) -> frozenset[str]:
    """Read what the proxy says it could not carry."""
    said = {name.lower(): value for name, value in headers.items()}.get("x-proxy-dropped", "")
    return frozenset(name for name in said.split(", ") if name)
