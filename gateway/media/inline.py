"""Inlining of media: images and documents that a request refers to by URL, for backends that need the bytes."""

import base64
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dialects.core.conversation import Conversation, Media, Message, Part, Role, ToolResult
from dialects.core.faults import invalid
from dialects.translator import ClientRequest
from gateway.requests.lifetime import Lifetime

_FEW = 20
"""The maximum number of URLs in one request."""
_MOST_BYTES = 32 * 1024 * 1024
"""The maximum number of bytes that are inlined in one request; a URL counts as often as it occurs."""
_COPIES = 4
"""How often the bytes of a URL are in memory: as base64, which is a third longer, and in the rendered request."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The media type and the bytes of a fetched URL."""

    mime: str
    data: bytes


Fetch = Callable[[str, int, Lifetime], Fetched]
"""Fetches a URL with at most so many bytes, within the lifetime of its request; raises `FaultError` if that fails."""


def inline(request: ClientRequest, fetch: Fetch | None, lifetime: Lifetime, most: int = _MOST_BYTES) -> ClientRequest:
    """Return *request* with the bytes of every URL, at most *most* in all; a request without URLs is unchanged.

    Waits for the fetches within *lifetime*; raises `FaultError` if one fails. URLs in turns of a model are not fetched,
    because a model may have invented them.

    The result is no passthrough: the original body still has the URLs, so the request is rendered anew.
    """
    conversation = request.envelope.conversation
    addresses = Counter(part.url for message in conversation.messages for part in _media(message) if part.url)
    if not addresses:
        return request
    if fetch is None:
        raise invalid("This model takes images and documents as base64 data, not as URLs.")
    if len(addresses) > _FEW:
        raise invalid(f"A request may refer to at most {_FEW} URLs.")
    fetched: dict[str, Fetched] = {}
    left = most
    for address, times in sorted(addresses.items()):
        fetched[address] = fetch(address, left // times, lifetime)
        size = times * len(fetched[address].data)
        lifetime.memory.take(_COPIES * size)
        left -= size
    return replace(
        request, envelope=replace(request.envelope, conversation=_with(conversation, fetched)), may_pass=False
    )


def names_urls(request: ClientRequest) -> bool:
    """Return whether `inline` would fetch anything for a request."""
    return any(part.url for message in request.envelope.conversation.messages for part in _media(message))


def _media(message: Message) -> list[Media]:
    if message.role is Role.ASSISTANT:
        return []
    nested = [part for each in message.parts if isinstance(each, ToolResult) for part in each.parts]
    return [part for part in (*message.parts, *nested) if isinstance(part, Media)]


def _with(conversation: Conversation, fetched: Mapping[str, Fetched]) -> Conversation:
    messages = tuple(
        replace(message, parts=tuple(_filled(part, fetched) for part in message.parts)) if _media(message) else message
        for message in conversation.messages
    )
    return replace(conversation, messages=messages)


def _filled(part: Part, fetched: Mapping[str, Fetched]) -> Part:
    match part:
        case Media():
            return _carried(part, fetched)
        case ToolResult(parts=parts):
            carried = tuple(_carried(each, fetched) if isinstance(each, Media) else each for each in parts)
            return replace(part, parts=carried)
        case _:
            return part


def _carried(media: Media, fetched: Mapping[str, Fetched]) -> Media:
    if not media.url:
        return media
    found = fetched[media.url]
    mime = media.mime if media.mime and "*" not in media.mime else found.mime
    return replace(media, url="", mime=mime, data=base64.b64encode(found.data).decode())
