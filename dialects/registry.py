"""Which dialects there are: one row each, with every trait by which the proxy treats dialects differently.

The type checker holds each row against the protocols of `dialects.interface`:
a dialect that cannot parse a request is refused as a client's.
"""

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dialects import anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses, orchestration
from dialects.adapt.hosted_tools import HostedTool
from dialects.adapt.media_turns import USERS
from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import Role
from dialects.core.faults import FaultKind
from dialects.core.relay import RenderFrame
from dialects.framing.sse import BLANK_LINES, comment
from dialects.interface import BackendDialect, ClientDialect, Envelope, PassthroughDialect


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect and its traits."""

    name: str
    client: ClientDialect | None = None
    """What parses requests and renders responses, where clients use it."""
    backend: BackendDialect | None = None
    """What renders requests and parses responses, where models are asked in it."""
    passthrough: PassthroughDialect | None = None
    """What changes bodies that pass between two ends of it."""
    formed_frames: Callable[[Envelope], RenderFrame] | None = None
    """What renders the frames of one stream that passes to a client which declared other tools than functions.

    Where there is none, such a client's requests are translated.
    """
    vendor: Vendor | None = None
    """The vendor whose own clients use it: they know which names and schemas that vendor's models refuse."""
    client_names: tuple[str, ...] = ()
    """What people call its clients, for the command line."""
    paths: re.Pattern[str] | None = None
    """Where only its clients call."""
    header: str = ""
    """What only its clients send, on the paths that clients of all dialects share."""
    request_id: str = "x-request-id"
    """The header in which its clients look for the id of their request."""
    keep_alive: bytes = comment("ping")
    """What keeps a stream to its clients alive while there is nothing to say."""
    fetches_media: bool = True
    """Whether its backends fetch what a request only points at; others must be given the bytes."""
    other_tools: bool = False
    """Whether its backends are declared tools of its own that are no functions."""
    hosted_tools: frozenset[HostedTool] = frozenset()
    """Which of other providers' tools its backends can stand in for."""
    failures_in_stream: frozenset[FaultKind] = frozenset()
    """What its clients understand inside a stream alone, as the vendor says it: such a failure is no HTTP error."""
    media_roles: Container[Role] = USERS
    """Whose turns can hold media where its backends are asked."""
    model: Callable[[ModelProfile], ModelProfile] = lambda profile: profile
    """What of a model remains where its backends are asked for it."""
    keeps_responses: bool = False
    """Whether its backends keep responses and their items, to be referred to by id at the deployment that made them."""


_SHARED_PATHS = ("/v1/models", "/models")
"""The beginnings of paths on which clients of several dialects call."""

DIALECTS: Mapping[str, Dialect] = {
    row.name: row
    for row in (
        Dialect(
            openai_chat.DIALECT,
            client=openai_chat,
            backend=openai_chat,
            passthrough=openai_chat,
            vendor=Vendor.OPENAI,
            client_names=("openai", "chat"),
        ),
        Dialect(
            openai_responses.DIALECT,
            client=openai_responses,
            backend=openai_responses,
            passthrough=openai_responses,
            formed_frames=openai_responses.FormedFrames,
            vendor=Vendor.OPENAI,
            client_names=("responses", "codex"),
            paths=re.compile(r"(?!/v1/messages|/v1/models|/v1beta/|/models).*/responses", re.DOTALL),
            # Codex shortens the conversation when a stream says so; after any HTTP error it gives up.
            failures_in_stream=frozenset({FaultKind.CONTEXT_LENGTH_EXCEEDED}),
            media_roles=openai_responses.MEDIA_ROLES,
            keeps_responses=True,
        ),
        Dialect(
            gemini.DIALECT,
            client=gemini,
            backend=gemini,
            passthrough=gemini,
            vendor=Vendor.GEMINI,
            client_names=("gemini", "google"),
            paths=re.compile(r"/v1beta/|/v1/models/.*:", re.DOTALL),
            header="x-goog-api-key",
            # Google's SDK for Python takes a comment for JSON.
            keep_alive=BLANK_LINES,
            other_tools=True,
            hosted_tools=frozenset(gemini.HOSTED),
            media_roles=gemini.MEDIA_ROLES,
        ),
        Dialect(
            anthropic_messages.DIALECT,
            client=anthropic_messages,
            backend=anthropic_messages,
            passthrough=anthropic_messages,
            vendor=Vendor.CLAUDE,
            client_names=("anthropic", "claude"),
            paths=re.compile(r"/v1/messages"),
            header="anthropic-version",
            request_id="request-id",
            fetches_media=False,
            other_tools=True,
        ),
        Dialect(bedrock_converse.DIALECT, backend=bedrock_converse, fetches_media=False),
        Dialect(
            orchestration.DIALECT,
            backend=orchestration,
            fetches_media=False,
            model=orchestration.profile_through,
        ),
    )
}

DEFAULT_CLIENT = openai_chat.DIALECT
"""The dialect of a caller whom nothing else gives away."""

_NO_TRAITS = Dialect("")
"""The row of what has none."""

_Side = TypeVar("_Side")


class _SideOf(Mapping[str, _Side]):
    """The rows that have something on one side, by name."""

    def __init__(self, side: Callable[[Dialect], _Side | None]) -> None:
        self._side = side

    def __getitem__(self, name: str) -> _Side:
        side = self._side(DIALECTS[name])
        if side is None:
            raise KeyError(name)
        return side

    def __iter__(self) -> Iterator[str]:
        return (name for name, row in DIALECTS.items() if self._side(row) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


CLIENTS: Mapping[str, ClientDialect] = _SideOf(lambda row: row.client)
BACKENDS: Mapping[str, BackendDialect] = _SideOf(lambda row: row.backend)
PASSTHROUGHS: Mapping[str, PassthroughDialect] = _SideOf(lambda row: row.passthrough)


def traits(name: str) -> Dialect:
    """Return the traits of the dialect *name*; one without a row, such as that of embeddings, has none."""
    return DIALECTS.get(name, _NO_TRAITS)


def request_id_headers(client: str, id: str) -> dict[str, str]:
    """Name a request in the header where all find it, and in that where clients of the dialect *client* look."""
    return {"x-request-id": id, traits(client).request_id: id}


def dialect_of_caller(path: str, headers: Container[str]) -> str:
    """Recognise a caller's dialect: by the path, and where all share it by the names of headers, in lower case."""
    for name, row in DIALECTS.items():
        if row.paths is not None and row.paths.match(path):
            return name
    if not path.startswith(_SHARED_PATHS):
        return DEFAULT_CLIENT
    return next((name for name, row in DIALECTS.items() if row.header and row.header in headers), DEFAULT_CLIENT)
