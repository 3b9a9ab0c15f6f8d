"""Batches: how many inputs one call for embeddings may have, and inputs divided accordingly."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dialects.core.faults import Fault, FaultKind

Input = str | tuple[int, ...]
"""A text, or the numbers of its tokens."""

_BYTES_PER_TOKEN = 3
"""Fewer than most texts have, so that a batch is rather too small: prose has four, code and Chinese three."""
_TOO_LARGE = frozenset({FaultKind.CONTEXT_LENGTH_EXCEEDED, FaultKind.TOO_LARGE})
_OPENAIS_CODES = frozenset({"max_tokens_per_request", "array_above_max_length"})
_GOOGLES_WORDS = re.compile(r"batchSize value of \d+ but the supported range", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CallLimit:
    """How many inputs one call may have, and how many tokens all of them together."""

    inputs: int
    tokens: float = math.inf

    def split(self, inputs: Sequence[Input]) -> list[tuple[Input, ...]]:
        """Divide *inputs* into batches that one call may have, in their order.

        An input that is too large by itself is a batch of its own: the model says what it makes of it.
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
    """Whether a call was refused because of all that it had: for less, it may not be."""
    if fault.kind in _TOO_LARGE or fault.code in _OPENAIS_CODES:
        return True
    return fault.kind is FaultKind.INVALID_REQUEST and _GOOGLES_WORDS.search(fault.message) is not None


def _tokens(each: Input) -> int:
    """Count the tokens of an input where they are given, or estimate them."""
    if isinstance(each, tuple):
        return len(each)
    size = len(each) if each.isascii() else len(each.encode("utf-8", "surrogatepass"))
    return math.ceil(size / _BYTES_PER_TOKEN)
