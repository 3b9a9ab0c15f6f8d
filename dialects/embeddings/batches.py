"""Batches: they divide the inputs of an embedding request among calls, by the limits of one call."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dialects.core.faults import Fault, FaultKind

Input = str | tuple[int, ...]
"""A text, or a list of token ids."""

_BYTES_PER_TOKEN = 3
"""A low estimate, so that batches are too small rather than too large: prose has about four, code and Chinese three."""
_TOO_LARGE = frozenset({FaultKind.CONTEXT_LENGTH_EXCEEDED, FaultKind.TOO_LARGE})
_OPENAIS_CODES = frozenset({"max_tokens_per_request", "array_above_max_length"})
_GOOGLES_WORDS = re.compile(r"batchSize value of \d+ but the supported range", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CallLimit:
    """The largest number of inputs of one call, and the largest number of tokens of all its inputs together."""

    inputs: int
    tokens: float = math.inf

    def split(self, inputs: Sequence[Input]) -> list[tuple[Input, ...]]:
        """Divide *inputs*, in order, into batches for one call each.

        An input that exceeds the limit on its own is a batch of its own, and the model decides what to do with it.
        """
        batches: list[list[Input]] = []
        tokens = 0
        for each in inputs:
            more = _tokens(each)
            if not batches or len(batches[-1]) >= self.inputs or tokens + more > self.tokens:
                batches.append([])
                tokens = 0
            batches[-1].append(each)
            tokens += more
        return [tuple(batch) for batch in batches]


def is_too_large(fault: Fault) -> bool:
    """Return whether a call was refused because of its size, so that smaller calls may succeed."""
    if fault.kind in _TOO_LARGE or fault.code in _OPENAIS_CODES:
        return True
    return fault.kind is FaultKind.INVALID_REQUEST and _GOOGLES_WORDS.search(fault.message) is not None


def _tokens(each: Input) -> int:
    """Return the number of tokens of an input, estimated if it is a text."""
    if isinstance(each, tuple):
        return len(each)
    size = len(each) if each.isascii() else len(each.encode("utf-8", "surrogatepass"))
    return math.ceil(size / _BYTES_PER_TOKEN)
