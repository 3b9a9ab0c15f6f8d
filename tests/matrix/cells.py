"""The cells of the matrix."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.matrix import limits
from tests.matrix.limits import CHAT, GEMINI, LIMITS, MESSAGES, ORCHESTRATION, RESPONSES, Limit
from tests.matrix.scenes import SCENES, Expect, Scene

CLIENTS = (CHAT, RESPONSES, MESSAGES, GEMINI)
CONVERSE = "bedrock-converse"


@dataclass(frozen=True, slots=True)
class Backend:
    """A model, and in which dialect it is asked.

    *also* is a second one, for clients that speak it too and for the scenes that *need_it*.
    """

    model: str
    speaks: str
    also: str = ""
    need_it: tuple[str, ...] = ()

    def dialect_for(self, client: str, scene: str = "") -> str:
        return self.also if client == self.also or scene in self.need_it else self.speaks


BACKENDS = (
    Backend(limits.CLAUDE_45, CONVERSE, MESSAGES),
    Backend(limits.CLAUDE_48, CONVERSE, MESSAGES),
    Backend(limits.NOVA, CONVERSE),
    Backend(limits.GEMINI_25, GEMINI),
    Backend(limits.GEMINI_35, GEMINI),
    Backend(limits.GPT_5, CHAT, RESPONSES),
    Backend(limits.GPT_55, CHAT, RESPONSES, ("thinking, then tools",)),
    Backend(limits.CODEX, RESPONSES),
    Backend(limits.CLAUDE_45, ORCHESTRATION),
    Backend(limits.NOVA, ORCHESTRATION),
    Backend(limits.GEMINI_35, ORCHESTRATION),
    Backend(limits.GPT_5, ORCHESTRATION),
)
"""The columns of the page: models that live."""
ENDED = (Backend(limits.CLAUDE_35, MESSAGES), Backend(limits.GPT_41, CHAT))
"""Models past their end, which are tried all the same: some tenant still deploys them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One client, one backend, one scene, streamed or not; *limit* is what cannot be carried, if anything."""

    client: str
    backend: Backend
    scene: Scene
    stream: bool
    limit: Limit | None = None

    @property
    def id(self) -> str:
        through = "orchestration-" * (self.backend.speaks == ORCHESTRATION)
        return f"{self.client}-{through}{self.backend.model}-{self.scene.name}-{'stream' if self.stream else 'whole'}"

    @property
    def backend_dialect(self) -> str:
        """The dialect in which the backend is asked."""
        return self.backend.dialect_for(self.client, self.scene.name)

    @property
    def expect(self) -> tuple[Expect, ...]:
        """What each answer must be."""
        return self.limit.expect(self.scene.expect) if self.limit else self.scene.expect

    @property
    def dropped(self) -> frozenset[str]:
        """What the header must name."""
        return frozenset({self.limit.dropped} if self.limit and self.limit.dropped else ())


def limit_of(client: str, backend: Backend, scene: Scene) -> Limit | None:
    """Find what cannot be carried there: the first row that is about it."""
    place = (scene.name, client, backend.model, backend.dialect_for(client, scene.name))
    return next((limit for limit in LIMITS if limit.holds(*place)), None)


def scenes_for(client: str) -> tuple[Scene, ...]:
    """Choose what clients of a dialect have a word for."""
    return tuple(scene for scene in SCENES if not scene.clients or client in scene.clients)


def cells(backends: tuple[Backend, ...] = BACKENDS) -> Iterator[Cell]:
    """All cells of some columns, a stream right behind its answer in one piece."""
    for client in CLIENTS:
        for backend in backends:
            for scene in scenes_for(client):
                limit = limit_of(client, backend, scene)
                yield from (Cell(client, backend, scene, stream, limit) for stream in (False, True))
