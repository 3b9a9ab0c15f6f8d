"""Pictures and documents that a request only points at, fetched for backends that want the bytes."""

import base64
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from dialects.core.conversation import Conversation, Media, Message, Part, Role, ToolResult
from dialects.core.faults import invalid
from dialects.translator import ClientRequest
from gateway.requests.lifetime import Lifetime
from gateway.upstream.background import result_of

_FEW = 20
"""How many addresses one request may point at."""
_MOST_BYTES = 32 * 1024 * 1024
"""How many bytes may be put in for all addresses of one request, each as often as it is named."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What lay at an address: its media type and its bytes."""

    mime: str
    data: bytes


Fetch = Callable[[str, int], Fetched]
"""Fetches from a public address no more than so many bytes; raises `FaultError` that says why not."""


def inline(request: ClientRequest, fetch: Fetch | None, lifetime: Lifetime, most: int = _MOST_BYTES) -> ClientRequest:
    """Put the bytes in the place of every address, *most* in all; a request without any stays as it is.

    What is fetched is waited for within *lifetime*. Addresses in a model's turns stay: nobody vouches for them.

    The body as it came is given up with the addresses in it, so the request is translated and not passed along.
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
        fetched[address] = result_of(partial(fetch, address, left // times), lifetime)
        left -= times * len(fetched[address].data)
    return replace(
        request, envelope=replace(request.envelope, conversation=_with(conversation, fetched)), may_pass=False
    )


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
