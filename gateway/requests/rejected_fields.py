"""What models have refused by name, so that it is not sent to them again."""

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
"""What SAP AI Core and Google say of a tool of Google's that a deployment does not take."""
_BETA, _TOOLS = "anthropic_beta", "tools"
_HOSTED = frozenset({"googleSearch", "urlContext"})
_MOST = 32
"""How many rejected fields are remembered for one model: one more drops the oldest."""

_Lesson = tuple[str, frozenset[int]]
"""A field, and the hashes of values that are refused together; without any it is refused whatever it holds."""


class RejectedFields:
    """Fields of a body that a model's deployments refuse, learnt from their own words.

    A refused beta is not named by the service, so all betas go where all those
    stand that were refused together; what one caller made up takes nothing from
    the others. ``_lock`` guards the table, for as long as it takes to read or change it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused: defaultdict[str, dict[_Lesson, None]] = defaultdict(dict)

    def without(self, model: str, body: JSON) -> JSON:
        """Give *body* without what *model* is known to refuse."""
        with self._lock:
            known = tuple(self._refused.get(model, ()))
        refused = {field for field, values in known if field in body and _applies(field, values, body)}
        return {name: value for name, value in body.items() if name not in refused} if refused else body

    def learn(self, model: str, body: JSON, fault: Fault) -> bool:
        """Remember what *fault* says of *body*; whether leaving it out makes another body."""
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
    """Whether a lesson says something of *body*; of tools only the same are known to be refused."""
    return values == _values(field, body) if field == _TOOLS else values <= _values(field, body)


def _are_hosted(tools: object) -> bool:
    """Whether these tools run at Google: a model answers without them, too."""
    return isinstance(tools, list) and all(isinstance(tool, dict) and tool.keys() <= _HOSTED for tool in tools)


def _values(field: str, body: JSON) -> frozenset[int]:
    """Give the values of a field that is refused for some of them; short, however long they are."""
    if field not in (_BETA, _TOOLS):
        return frozenset()
    value = body[field]
    return frozenset(hash(repr(each)) for each in (value if isinstance(value, list) else [value]))


_NEEDED = frozenset({"messages", "contents", "input", "max_tokens", "anthropic_version", "system"})
"""Without these it would be another request."""


def _refused_field(fault: Fault) -> str | None:
    if fault.kind is not FaultKind.INVALID_REQUEST:
        return None
    if _BETAS.search(fault.message):
        return _BETA
    if _TOOLS_REFUSED.search(fault.message):
        return _TOOLS
    found = _EXTRA.search(fault.message)
    return found["field"] if found else None
