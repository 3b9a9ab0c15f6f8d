"""The line that the log has for a request: what people look for first stands first, and the rest has names."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.observability.metrics import ExchangeRecord

_LONGEST: Final = 100
"""How many characters of names that a caller made up are logged."""
_MODEL, _WHO, _FIRST, _TOTAL, _TOKENS = 28, 20, 13, 14, 16
"""Columns of the line: so many characters, and more where something is longer."""
_BY_CLASS: Final = {2: "\x1b[32m", 3: "\x1b[32m", 4: "\x1b[33m", 5: "\x1b[31m"}
"""Green, yellow or red, by the first digit of the status."""
_FAILOVER, _DIM, _PLAIN = "\x1b[33m", "\x1b[2m", "\x1b[0m"


class RequestLine:
    """The line of one request, written when a log needs it as text.

    The status comes first, then the model, who was asked in which order, how long it took in milliseconds, and the
    tokens: *in* is fresh input, *cached* was read from the prompt cache, *written* to it.
    """

    __slots__ = ("_record",)

    def __init__(self, record: "ExchangeRecord") -> None:
        self._record = record

    def __str__(self) -> str:
        return self.text(coloured=False)

    def text(self, *, coloured: bool) -> str:
        """Write the line, with the colours of terminals if it is *coloured*."""
        record = self._record
        model = record.model or plain(record.requested)
        who = record.trail.removesuffix(" ok") or "-"
        status, model, who = f"{record.status} ", f"{model:{_MODEL}} ", f"{who:{_WHO}} "
        figures, more = _figures(record), _more(record)
        if not coloured:
            return f"{status}{model}{who}{figures}{more}"
        if record.attempts > record.parts:
            who = f"{_FAILOVER}{who}{_PLAIN}"
        shade = _BY_CLASS.get(record.status // 100, "")
        return f"{shade}{status}{_PLAIN}{model}{who}{figures}{_DIM}{more}{_PLAIN}"


def _figures(record: "ExchangeRecord") -> str:
    """Say how it ended where it did not end well, how long it took, and the tokens; what is not known is left out."""
    outcome = "" if record.outcome == "ok" else f"outcome={record.outcome} "
    if record.overhead is None and not record.duration:
        return outcome
    first = "first=-" if record.first_content is None else f"first={record.first_content * 1000:.0f}ms"
    usage = record.usage
    cached = f" cached={usage.cache_read}" if usage.cache_read else ""
    written = f" written={usage.cache_write}" if usage.cache_write else ""
    tokens = f"in={usage.fresh_input}{cached}{written} out={usage.output}"
    total = f"total={record.duration * 1000:.0f}ms"
    return f"{outcome}{first:{_FIRST}} {total:{_TOTAL}} {tokens:{_TOKENS}} "


def _more(record: "ExchangeRecord") -> str:
    """Say what the line is searched for."""
    stop = f"stop={record.stop} " if record.stop else ""
    asked = f"asked={plain(record.requested)} " if record.model and record.model != record.requested else ""
    dropped = f" dropped={plain(','.join(record.dropped))}" if record.dropped else ""
    trace = f" trace={record.trace}" if record.trace else ""
    return f"{stop}{asked}client={record.client} caller={record.caller} id={record.id}{dropped}{trace}"


def plain(name: str) -> str:
    """Write names that a caller made up so that they break no line and fill no log."""
    return printable(name[:_LONGEST])


def printable(text: str) -> str:
    """Write a question mark for what breaks a line, steers a terminal or is not seen."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
