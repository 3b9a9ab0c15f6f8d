"""Rejected fields: fields that models have refused by name, so that they are not sent again."""

import re
import threading
from collections import defaultdict

from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultKind

_BETAS = re.compile(r"invalid beta flag", re.IGNORECASE)
_EXTRA = re.compile(r"^(?P<field>[a-z_]{1,200}): Extra inputs are not permitted")
_TOOLS_REFUSED = re.compile(
    r"tools? (?:is|are) not allowed for model"
    r"|(?:google_?search|url_?context|search grounding|search as a tool)\b.{0,60}\bnot (?:supported|enabled|available)",
    re.IGNORECASE,
)
"""The messages of SAP AI Core and Google about a hosted tool of Google that a deployment does not support."""
_BETA, _TOOLS = "anthropic_beta", "tools"
_HOSTED = frozenset({"googleSearch", "urlContext"})
_MOST = 32
"""The maximum number of rejected fields that are remembered for a model; the oldest is dropped first."""

_Lesson = tuple[str, frozenset[int]]
"""A field, and the hashes of its values that were refused together; without hashes, every value is refused."""


class RejectedFields:
    """The fields of a body that the deployments of a model refuse, learnt from their error messages.

    The service does not name the beta that it refuses. So the betas are left out only from requests that have all the
    betas of the refused request, and invented betas of one caller do not affect others. ``_lock`` guards the table; it
    is held to read and change it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused: defaultdict[str, dict[_Lesson, None]] = defaultdict(dict)

    def without(self, model: str, body: JSON) -> JSON:
        """Return *body* without the fields that *model* is known to refuse."""
        with self._lock:
            known = tuple(self._refused.get(model, ()))
        refused = {field for field, values in known if field in body and _applies(field, values, body)}
        return {name: value for name, value in body.items() if name not in refused} if refused else body

    def learn(self, model: str, body: JSON, fault: Fault) -> bool:
        """Remember the field of *body* that *fault* rejects; return whether a request without it may succeed."""
        field = _refused_field(fault)
        if field is None or field not in body or field in _NEEDED:
            return False
        if field == _TOOLS and not _are_hosted(body[field]):
            return False
        values = _values(field, body)
        if len(values) > _MOST:
            return False
        with self._lock:
            known = self._refused[model]
            known[field, values] = None
            if len(known) > _MOST:
                del known[next(iter(known))]
        return True


def _applies(field: str, values: frozenset[int], body: JSON) -> bool:
    """Return whether a field of *body* has refused values. Tools are refused only if they are exactly the same."""
    return values == _values(field, body) if field == _TOOLS else values <= _values(field, body)


def _are_hosted(tools: object) -> bool:
    """Return whether all tools are hosted by Google, so that the model can answer without them."""
    return isinstance(tools, list) and all(isinstance(tool, dict) and tool.keys() <= _HOSTED for tool in tools)


def _values(field: str, body: JSON) -> frozenset[int]:
    """Return the hashes of the values of a field; empty unless the field is refused for some values only."""
    if field not in (_BETA, _TOOLS):
        return frozenset()
    value = body[field]
    return frozenset(hash(repr(each)) for each in (value if isinstance(value, list) else [value]))


_NEEDED = frozenset({"messages", "contents", "input", "max_tokens", "anthropic_version", "system"})
"""The fields that are never left out, because the request would mean something else."""


def _refused_field(fault: Fault) -> str | None:
    if fault.kind is not FaultKind.INVALID_REQUEST:
        return None
    if _BETAS.search(fault.message):
        return _BETA
    if _TOOLS_REFUSED.search(fault.message):
        return _TOOLS
    found = _EXTRA.search(fault.message)
    return found["field"] if found else None
