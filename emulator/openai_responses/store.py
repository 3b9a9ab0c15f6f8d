"""The responses that a deployment stores, so that they can be continued, read and deleted."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from emulator.errors import azure
from emulator.world import Json

_KEPT = 500


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A stored response, with all items of the conversation up to it."""

    response: Json
    items: tuple[Json, ...] = field(default=())


class ResponseStore:
    """The responses that a deployment stores. Its lock guards them; no other lock is taken inside it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, StoredResponse] = OrderedDict()

    def get(self, id: str) -> StoredResponse | None:
        """Return a response, or None."""
        with self._lock:
            return self._kept.get(id)

    def put(self, id: str, kept: StoredResponse) -> None:
        """Store a response, and delete the oldest ones if there are too many."""
        with self._lock:
            self._kept[id] = kept
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def drop(self, id: str) -> bool:
        """Delete a response; return whether it existed."""
        with self._lock:
            return self._kept.pop(id, None) is not None

    def item_ids(self) -> set[str]:
        """Return the ids of all stored items."""
        with self._lock:
            kept = list(self._kept.values())
        return {item["id"] for one in kept for item in one.items if "id" in item}

    def reasoning_behind(self) -> dict[str, str]:
        """Return the id of the reasoning behind each stored item, by the item's id."""
        with self._lock:
            kept = list(self._kept.values())
        return {
            item["id"]: first["id"]
            for one in kept
            for first, *rest in [one.response["output"] or [{}]]
            if first.get("type") == "reasoning"
            for item in rest
        }


def not_found(id: str) -> Exception:
    """Build the error for a response that is not stored."""
    return azure(f"Response with id '{id}' not found.", status=404)


def conversation_items(body: Json, store: ResponseStore) -> tuple[Json, ...]:
    """Return all items of the conversation: the stored ones, then those that were sent."""
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    previous = body.get("previous_response_id")
    if previous is None:
        return tuple(items)
    kept = store.get(previous)
    if kept is None:
        message = f"Previous response with id '{previous}' not found."
        raise azure(message, "previous_response_id", "previous_response_not_found")
    return (*kept.items, *items)
