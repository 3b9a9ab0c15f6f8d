"""Kept answers: finds the deployment that keeps a response or an item, and checks that it belongs to the caller."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from dialects.core.conversation import Conversation, Opaque
from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.exchange import item_ids
from gateway.requests.makers import Makers
from gateway.requests.sticky_endpoints import StickyEndpoints
from routing.availability import MAKER_LEFT
from routing.endpoint import Endpoint
from routing.model_names import Unlisted

PREVIOUS_ID: Final = "previous_response_id"
_LONGEST_ID = 100
"""The number of characters of an unknown id that an error message repeats."""
_KNOWN = "An id can be used only with the API key that it was created with."
_KNOWN_HERE = "An id can be used only with the API key that it was created with, and until the proxy restarts."
_PREVIOUS = Fault(
    FaultKind.INVALID_REQUEST,
    f"Previous response with id '{{}}' not found. {_KNOWN} Send the whole conversation as input instead.",
    400,
    code="previous_response_not_found",
    param=PREVIOUS_ID,
)
_NOT_YET = Fault(
    FaultKind.UNAVAILABLE,
    "The proxy has not listed the deployments yet, and so cannot find this response. Try again in a moment.",
    503,
)
_ITEM = Fault(
    FaultKind.NOT_FOUND,
    f"Item with id '{{}}' not found. {_KNOWN_HERE} Send the item itself instead.",
    404,
    param="input",
)
_RESPONSE = Fault(FaultKind.NOT_FOUND, f"Response with id '{{}}' not found. {_KNOWN}", 404, code="response_not_found")


class KeptAnswers:
    """Finds the deployments that keep the responses and items that callers refer to.

    An id that does not belong to the caller is a fault, because a deployment knows only the proxy and would return the
    responses of any caller. *items* remembers the items of responses. *unlisted* returns the subaccounts whose
    deployments have not been listed yet.
    """

    def __init__(self, makers: Makers, items: StickyEndpoints, unlisted: Callable[[], Unlisted]) -> None:
        self._makers = makers
        self._items = items
        self._unlisted = unlisted

    def previous(self, id: object, caller: str) -> tuple[str, Endpoint]:
        """Return a deployment's id of the response that a request continues, and its endpoint; raises `FaultError`."""
        return self._made(id, caller, _PREVIOUS)

    def response(self, id: str, caller: str) -> tuple[str, Endpoint]:
        """Return the deployment's id of a response that a caller requests, and its endpoint; raises `FaultError`."""
        return self._made(id, caller, _RESPONSE)

    def sticky(self, conversation: Conversation, caller: str, maker: Endpoint | None) -> str | None:
        """Return the `subaccount/deployment` that must take a request: the *maker* of a response, or of its items.

        None if the request may go to any deployment. Raises `FaultError` for an unknown item.
        """
        makers = [] if maker is None else [maker]
        for item in _referenced(conversation):
            endpoint = self._items.find(caller, item) if isinstance(item, str) else None
            if endpoint is None:
                raise FaultError(_unknown(item, _ITEM))
            makers.append(endpoint)
        return f"{makers[0].subaccount}/{makers[0].deployment}" if makers else None

    def remember(self, body: bytes, caller: str, endpoint: Endpoint) -> None:
        """Remember the endpoint of the items in the *body* of a response."""
        for item in _items_in(body):
            self._items.remember(caller, item, endpoint)

    def _made(self, id: object, caller: str, unknown: Fault) -> tuple[str, Endpoint]:
        """Return the deployment's id and the endpoint of a response.

        Raises `FaultError`: *unknown* for an unknown id, others if its deployment is gone or not listed yet.
        """
        made = self._makers.of_response(id, caller)
        if made is None:
            raise FaultError(_unknown(id, unknown))
        if made.endpoint is not None:
            return made.text, made.endpoint
        unlisted = self._unlisted()
        raise FaultError(replace(_NOT_YET, retry_after=unlisted.seconds) if unlisted.subaccounts else MAKER_LEFT)


def unknown_response(id: str) -> Fault:
    """Return the fault for a response that its deployment does not keep any more."""
    return _unknown(id, _RESPONSE)


def _unknown(id: object, fault: Fault) -> Fault:
    """Return *fault* with *id* in its message."""
    return replace(fault, message=fault.message.format(str(id)[:_LONGEST_ID]))


def _referenced(conversation: Conversation) -> Iterator[object]:
    """Yield the ids of the kept items that a request refers to."""
    for message in conversation.messages:
        for part in message.parts:
            match part:
                case Opaque(payload={"type": "item_reference", **item}):
                    yield item.get("id")


def _items_in(body: bytes) -> tuple[str, ...]:
    """Return the ids of the items in the body of a response; empty if it cannot be parsed."""
    try:
        told = json.loads(body)
    except ValueError:
        return ()
    return item_ids(told) if isinstance(told, dict) else ()
