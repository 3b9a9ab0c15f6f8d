"""The registry of dialects: one row for each, with every trait by which the proxy treats dialects differently.

The type checker checks each row against the protocols of `dialects.interface`. For example, it rejects a client dialect
that cannot parse a request.
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
    """The module that parses requests and renders responses, if clients use this dialect."""
    backend: BackendDialect | None = None
    """The module that renders requests and parses responses, if models are asked in this dialect."""
    passthrough: PassthroughDialect | None = None
    """The module that changes bodies where the client and the backend both use this dialect."""
    formed_frames: Callable[[Envelope], RenderFrame] | None = None
    """Makes the frame renderer of a passed-through stream for a client that declared tools other than functions.

    In a dialect without it, the requests of such clients are translated.
    """
    vendor: Vendor | None = None
    """The vendor whose own clients use this dialect. They know which names and schemas the vendor's models refuse."""
    client_names: tuple[str, ...] = ()
    """The names of its clients on the command line."""
    paths: re.Pattern[str] | None = None
    """The request paths that only its clients use."""
    header: str = ""
    """The header that only its clients send, for paths that clients of several dialects use. In lower case."""
    request_id: str = "x-request-id"
    """The response header in which its clients expect the id of their request."""
    keep_alive: bytes = comment("ping")
    """The bytes that keep a stream to its clients alive while the model is silent."""
    fetches_media: bool = True
    """Whether its backends fetch media that a request names by URL. Other backends need the bytes in the request."""
    other_tools: bool = False
    """Whether its backends take tools of this dialect that are not functions."""
    hosted_tools: frozenset[HostedTool] = frozenset()
    """The tools of other providers for which its backends have an equivalent."""
    failures_in_stream: frozenset[FaultKind] = frozenset()
    """The failures that its clients recognise only as an event in a stream, and not as an HTTP error."""
    media_roles: Container[Role] = USERS
    """The roles whose turns can hold media in requests to its backends."""
    model: Callable[[ModelProfile], ModelProfile] = lambda profile: profile
    """Returns what a model accepts when it is asked through a backend of this dialect."""
    keeps_responses: bool = False
    """Whether its backends store responses and items, to which later requests to the same deployment refer by id."""


_SHARED_PATHS = ("/v1/models", "/models")
"""The prefixes of paths that clients of several dialects use."""

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
            # Codex shortens the conversation after such an event in a stream, but gives up after any HTTP error.
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
            # Google's SDK for Python tries to parse a comment as JSON.
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
"""The dialect of a caller if neither the path nor a header identifies it."""

_NO_TRAITS = Dialect("")
"""The traits of a dialect that has no row."""

_Side = TypeVar("_Side")


class _SideOf(Mapping[str, _Side]):
    """One column of the registry: the dialects that have a value in it, by name."""

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
    """Return the traits of the dialect *name*. A dialect without a row, such as that of embeddings, has no traits."""
    return DIALECTS.get(name, _NO_TRAITS)


def request_id_headers(client: str, id: str) -> dict[str, str]:
    """Return the headers that carry a request's id: the common one, and the one that the dialect *client* uses."""
    return {"x-request-id": id, traits(client).request_id: id}


def dialect_of_caller(path: str, headers: Container[str]) -> str:
    """Return the dialect of a caller, by its path or, on shared paths, by its headers.

    *headers* are the names of the request's headers in lower case.
    """
    for name, row in DIALECTS.items():
        if row.paths is not None and row.paths.match(path):
            return name
    if not path.startswith(_SHARED_PATHS):
        return DEFAULT_CLIENT
    return next((name for name, row in DIALECTS.items() if row.header and row.header in headers), DEFAULT_CLIENT)
