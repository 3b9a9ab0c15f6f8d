"""The responses that a deployment stores, to be continued, shown and deleted."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from emulator.errors import azure
from emulator.world import Json

_KEPT = 500


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response that was stored, with every item of the conversation up to it."""

    response: Json
    items: tuple[Json, ...] = field(default=())


class ResponseStore:
    """The responses a deployment remembers; its lock guards the shelf, and takes no other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, StoredResponse] = OrderedDict()

    def get(self, id: str) -> StoredResponse | None:
        """Find a response."""
        with self._lock:
            return self._kept.get(id)

    def put(self, id: str, kept: StoredResponse) -> None:
        """Keep a response, and forget the oldest if there are too many."""
        with self._lock:
            self._kept[id] = kept
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def drop(self, id: str) -> bool:
        """Forget a response; whether there was one."""
        with self._lock:
            return self._kept.pop(id, None) is not None

    def item_ids(self) -> set[str]:
        """Name every item that is remembered."""
        with self._lock:
            kept = list(self._kept.values())
        return {item["id"] for one in kept for item in one.items if "id" in item}

    def reasoning_behind(self) -> dict[str, str]:
        """Name for each item that is remembered the reasoning that led to it, where there was any."""
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
    """Say that a response is not there."""
    return azure(f"Response with id '{id}' not found.", status=404)


def conversation_items(body: Json, store: ResponseStore) -> tuple[Json, ...]:
    """Lay out all items of the conversation: what is remembered, then what was sent."""
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
