"""The prompt cache of a tenant, and the token counts of a request."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from emulator.model_io import ModelRequest, ModelResponse, PromptSegment, Usage
from emulator.models import Family

_LEAST = 1024
_STEP = 128
_STEP_CHARACTERS = _STEP * 4
_LOOKBACK = 20
_AUTOMATIC_TTL = 300.0
_LARGEST = 50_000
_HOUR = 3600.0


@dataclass(slots=True)
class CacheTotals:
    """How many of a tenant's prompt tokens could have come from the cache, and how many did."""

    cacheable: int = 0
    read: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class _Prefix:
    """A prefix of a prompt: its key, its tokens, and how many seconds a mark at its end keeps it."""

    key: str
    tokens: int
    ttl: float | None


class PromptCache:
    """The prompt cache of a tenant. Its lock guards the entries and the totals; no other lock is taken inside it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.totals = CacheTotals()

    def account(self, ask: ModelRequest, answer: ModelResponse) -> Usage:
        """Count the tokens of an exchange, and read and fill the cache as the model's family does."""
        prompt = max(1, sum(segment.tokens for segment in ask.prompt))
        match ask.model.family:
            case Family.CLAUDE | Family.NOVA:
                read, written, hour = self._marked(ask)
            case Family.GEMINI | Family.GPT:
                read, written, hour = self._automatic(ask, prompt), 0, 0
            case _:
                read = written = hour = 0
        return Usage(prompt, answer.tokens, answer.reasoning, read, written, hour)

    def forget(self) -> None:
        """Empty the cache and reset its totals."""
        with self._lock:
            self._entries.clear()
            self.totals = CacheTotals()

    def _marked(self, ask: ModelRequest) -> tuple[int, int, int]:
        """Use the cache at cache marks; return the tokens read, those written, and those written for an hour."""
        prefixes = _prefixes(ask.model.name, ask.prompt)
        marks = [at for at, prefix in enumerate(prefixes) if prefix.ttl is not None and prefix.tokens >= _LEAST]
        if not marks:
            return 0, 0, 0
        near = {at for mark in marks for at in range(max(0, mark - _LOOKBACK), mark + 1)}
        with self._lock:
            known = [prefixes[at] for at in near if prefixes[at].tokens >= _LEAST and self._fresh(prefixes[at].key)]
            read = max((prefix.tokens for prefix in known), default=0)
            hour, reached = 0, read
            for mark in marks:
                prefix = prefixes[mark]
                added = max(0, prefix.tokens - reached)
                reached += added
                hour += added if prefix.ttl == _HOUR else 0
                self._keep(prefix.key, prefix.ttl or _AUTOMATIC_TTL)
            self._count(prefixes[marks[-1]].tokens, read)
        return read, reached - read, hour

    def _automatic(self, ask: ModelRequest, prompt: int) -> int:
        """Use the cache by prefixes in steps; return the tokens read."""
        keys = _steps(ask.model.name, ask.prompt)
        if not keys or prompt < _LEAST:
            return 0
        with self._lock:
            hit = next((at for at in range(len(keys), 0, -1) if self._fresh(keys[at - 1])), 0)
            for key in keys:
                self._keep(key, _AUTOMATIC_TTL)
            whole = prompt // _STEP * _STEP
            read = min(_LEAST + (hit - 1) * _STEP, whole) if hit else 0
            self._count(whole, read)
        return read

    def _fresh(self, key: str) -> bool:
        """Return whether an entry is still valid, and extend its life if it is."""
        entry = self._entries.get(key)
        if entry is None or entry[0] <= self._clock():
            return False
        self._keep(key, entry[1])
        return True

    def _keep(self, key: str, ttl: float) -> None:
        """Store an entry, and drop the oldest ones if there are too many."""
        self._entries[key] = (self._clock() + ttl, ttl)
        self._entries.move_to_end(key)
        while len(self._entries) > _LARGEST:
            self._entries.popitem(last=False)

    def _count(self, cacheable: int, read: int) -> None:
        """Add an exchange to the totals."""
        self.totals.cacheable += cacheable
        self.totals.read += read
        self.totals.requests += 1


def _prefixes(model: str, prompt: tuple[PromptSegment, ...]) -> list[_Prefix]:
    """Return every prefix that ends with a segment."""
    running = hashlib.sha256(model.encode())
    found, tokens = [], 0
    for segment in prompt:
        running.update(segment.text.encode("utf-8", "surrogatepass") + b"\x1f")
        tokens += segment.tokens
        found.append(_Prefix(running.hexdigest(), tokens, segment.ttl))
    return found


def _steps(model: str, prompt: tuple[PromptSegment, ...]) -> list[str]:
    """Return the key of every prefix that an automatic cache would keep."""
    text = "\x1f".join(segment.text for segment in prompt)
    running = hashlib.sha256(model.encode())
    keys = []
    for end in range(_STEP_CHARACTERS, len(text) + 1, _STEP_CHARACTERS):
        running.update(text[end - _STEP_CHARACTERS : end].encode("utf-8", "surrogatepass"))
        if end >= _LEAST * 4:
            keys.append(running.hexdigest())
    return keys
