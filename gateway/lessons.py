"""What models have refused by name, so that it is not sent to them again."""

import re
import threading
from collections import defaultdict

from dialects.conversation import JSON
from dialects.faults import Fault, FaultKind

_BETAS = re.compile(r"invalid beta flag", re.IGNORECASE)
_EXTRA = re.compile(r"^(?P<field>[a-z_]+): Extra inputs are not permitted")
_MOST = 32
"""How many fields are remembered for one model: more is not a lesson but a quarrel."""


class Lessons:
    """Fields of a body that a model's deployments refuse, learnt from their own words.

    A refused beta is not named by the service, so all betas go. ``_lock``
    guards the table, for as long as it takes to read or change it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused: defaultdict[str, set[str]] = defaultdict(set)

    def without(self, model: str, body: JSON) -> JSON:
        """Give *body* without what *model* is known to refuse."""
        with self._lock:
            refused = frozenset(self._refused.get(model, ()))
        return {name: value for name, value in body.items() if name not in refused} if refused else body

    def learn(self, model: str, body: JSON, fault: Fault) -> bool:
        """Remember what *fault* says of *body*; whether leaving it out makes another body."""
        field = _refused_field(fault)
        if field is None or field not in body or field in _NEEDED:
            return False
        with self._lock:
            refused = self._refused[model]
            if len(refused) < _MOST:
                refused.add(field)
            return field in refused


_NEEDED = frozenset({"messages", "contents", "input", "max_tokens", "anthropic_version", "system", "tools"})
"""Without these it would be another request."""


def _refused_field(fault: Fault) -> str | None:
    if fault.kind is not FaultKind.INVALID_REQUEST:
        return None
    if _BETAS.search(fault.message):
        return "anthropic_beta"
    found = _EXTRA.search(fault.message)
    return found["field"] if found else None
