"""The log line of a request. The most wanted values come first, without names; the others have names."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.observability.metrics import ExchangeRecord

_LONGEST: Final = 100
"""The maximum length, in characters, of a caller's own names in the log."""
_MODEL, _WHO, _FIRST, _TOTAL, _TOKENS = 28, 20, 13, 14, 16
"""The minimum widths of the line's columns, in characters."""
_BY_CLASS: Final = {2: "\x1b[32m", 3: "\x1b[32m", 4: "\x1b[33m", 5: "\x1b[31m"}
"""The colour of a status by its first digit: green, yellow or red."""
_FAILOVER, _DIM, _PLAIN = "\x1b[33m", "\x1b[2m", "\x1b[0m"


class RequestLine:
    """The log line of one request, which is formatted only if a log needs it as text.

    It has the status, the model, the endpoints in the order of the attempts, the durations in milliseconds, and the
    tokens. *in* counts fresh input tokens, *cached* those read from the prompt cache, and *written* those written to
    it.
    """

    __slots__ = ("_record",)

    def __init__(self, record: "ExchangeRecord") -> None:
        self._record = record

    def __str__(self) -> str:
        return self.text(coloured=False)

    def text(self, *, coloured: bool) -> str:
        """Format the line, with the colours of a terminal if *coloured*."""
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
    """Format the outcome if it is not "ok", the durations and the tokens, without the values that are unknown."""
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
    """Format the values that people search for."""
    stop = f"stop={record.stop} " if record.stop else ""
    asked = f"asked={plain(record.requested)} " if record.model and record.model != record.requested else ""
    dropped = f" dropped={plain(','.join(record.dropped))}" if record.dropped else ""
    trace = f" trace={record.trace}" if record.trace else ""
    return f"{stop}{asked}client={record.client} caller={record.caller} id={record.id}{dropped}{trace}"


def plain(name: str) -> str:
    """Shorten a caller's own name and make it printable, so that it neither breaks nor fills the log."""
    return printable(name[:_LONGEST])


def printable(text: str) -> str:
    """Replace line breaks, control characters and other characters that cannot be printed by question marks."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
