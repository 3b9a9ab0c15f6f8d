"""The interface through which an exchange reports its attempts, if its request is traced."""

from collections.abc import Mapping
from typing import Protocol

from gateway.observability.metrics import ExchangeRecord
from routing.attempts import Attempt


class RequestSpans(Protocol):
    """The spans of one request: its own, and one for each attempt that calls a deployment. No method raises."""

    @property
    def trace(self) -> str:
        """The id of the trace, in hexadecimal."""
        ...

    def begin_call(self, attempt: Attempt) -> Mapping[str, str]:
        """Begin the span of an attempt, unless it has begun; return the headers that pass the trace upstream."""
        ...

    def end_call(self, attempt: Attempt) -> None:
        """Record that the answer of an attempt has been read or given up.

        The attempt may still send another request.
        """
        ...

    def over(self, record: ExchangeRecord, last: Attempt | None) -> None:
        """End all spans; *last* is the attempt that answered, if any did."""
        ...
