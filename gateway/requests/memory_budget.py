"""The memory budget of a process: how many bytes its requests may take together, and each of them alone."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.server.options import ServerOptions

FULL: Final = "The proxy has no memory left for this request. Try again in a moment."
KEY_FULL: Final = "This key's requests take as much memory as they are allowed to. Try again when some have ended."
COPIES: Final = 3
"""How often the bytes of a body are in memory at the same time: as they came, parsed, and rendered."""
_PER_VALUE: Final = 256
"""The further bytes that a value in the JSON of a request takes, in the parsed body and in all that is made of it."""
_PER_VALUE_OF_ANSWER: Final = 64
"""The same for an answer, most of whose values are numbers."""
_OVER: Final = Fault(FaultKind.CALLER_LEFT, "The request is over.")
_WAIT: Final = 1.0
"""The seconds after which a client may try again."""
_STEP: Final = 64 * 1024
"""The bytes by which a share grows, so that a small request takes the lock only once."""
_SLACK: Final = 1024 * 1024
"""The bytes that a share may keep although it needs them no longer."""
_BODIES: Final = 16
"""The default number of the largest bodies that the memory of one request has room for."""
_SMALLEST: Final = 64 * 1024 * 1024
"""The minimum of the default for all requests in one worker, in bytes."""
_UNKNOWN: Final = 2 * 1024 * 1024 * 1024
"""The memory that is assumed where the system does not tell it, in bytes."""
_CGROUPS: Final = Path("/sys/fs/cgroup")


class MemoryBudget:
    """Counts the bytes that the requests of a process have reserved.

    *most* is the maximum for all of them, *most_of_key* for those of one caller, by default as much, and *most_of_one*
    for each. `_lock` guards `used`, the number of bytes of each caller, and the reserved bytes of each share. Nothing
    else happens under it.
    """

    def __init__(self, most: int, most_of_one: int, most_of_key: int | None = None) -> None:
        self.most = most
        self._most_of_key = most if most_of_key is None else min(most, most_of_key)
        self.most_of_one = min(self._most_of_key, most_of_one)
        self.used = 0
        """The number of reserved bytes."""
        self._used_by: dict[str, int] = {}
        """The number of reserved bytes by caller. Callers without any are not in it."""
        self._lock = threading.Lock()

    def share(self) -> "MemoryShare":
        """Return the share of a new request, which has nothing reserved yet."""
        return MemoryShare(self)

    def saturation(self) -> JSON:
        """Return the number of reserved bytes with its limit."""
        return {"memory": {"used": self.used, "most": self.most}}

    def lacking(self, caller: str, size: int) -> str:
        """Return the message for a caller that needs *size* more bytes than are free; empty if they are free."""
        if self.used + size > self.most:
            return FULL
        return KEY_FULL if self._used_by.get(caller, 0) + size > self._most_of_key else ""

    def reserve(self, share: "MemoryShare", size: int) -> bool:
        """Reserve *size* more bytes for *share*, or less if negative; return False if they are not free."""
        with self._lock:
            is_given = not (share.is_released or self.lacking(share.caller, size))
            if is_given:
                self._add(share, size)
        return is_given

    def release(self, share: "MemoryShare") -> None:
        """Free all that *share* has reserved. It gets nothing more."""
        with self._lock:
            share.is_released = True
            self._add(share, -share.reserved)

    def _add(self, share: "MemoryShare", size: int) -> None:
        self.used += size
        share.reserved += size
        self._used_by[share.caller] = self._used_by.get(share.caller, 0) + size
        if not self._used_by[share.caller]:
            del self._used_by[share.caller]


class MemoryShare:
    """The memory of one request, which is reserved before it is used, until `release`.

    The thread of the request uses it, and a thread that fetches media for it while that one waits.
    """

    __slots__ = ("_budget", "caller", "is_released", "reserved", "taken")

    def __init__(self, budget: MemoryBudget) -> None:
        self.reserved = 0
        """The number of bytes that count as used."""
        self.is_released = False
        self.caller = ""
        """The name of the caller's key, which must be set before anything is reserved."""
        self.taken = 0
        """The number of bytes that were taken and not given back."""
        self._budget = budget

    def expect(self, size: int) -> None:
        """Raise the `FaultError` of `take` if *size* bytes are too much now; reserve nothing."""
        self._require(size)
        if self._budget.lacking(self.caller, self.taken + size - self.reserved):
            raise self._no_room(self.taken + size - self.reserved)

    def take(self, size: int, too_much: Fault | None = None, *, held: int = 0) -> None:
        """Reserve *size* bytes; for an answer, *held* were taken before, and *too_much* is the fault of its deployment.

        Raises `FaultError`: 503 if the process has no room for them, and 413 if they are more than one request may
        have, or *too_much* if the answer alone takes most of it. A request that leaves its answer too little is at
        fault itself.
        """
        needed = self.taken + size
        if needed > self.reserved:
            self._require(size, too_much, held)
            more = -(-(needed - self.reserved) // _STEP) * _STEP
            if not self._budget.reserve(self, more):
                raise self._no_room(more)
        self.taken = needed

    def take_values(self, body: bytes, too_much: Fault | None = None, *, of_answer: bool = False) -> None:
        """Reserve the memory for the values in the JSON of a request or an answer, before it is parsed.

        Every brace, bracket and comma counts as a value, also those in strings. Raises `FaultError` as `take` does.
        """
        each = _PER_VALUE_OF_ANSWER if of_answer else _PER_VALUE
        values = len(body) - len(body.translate(None, b"{[,"))
        self.take(each * values, too_much, held=COPIES * len(body))

    def give_back(self, size: int) -> None:
        """Free *size* bytes that were taken."""
        self.taken -= size
        if (rest := self.reserved - self.taken) > _SLACK and not self.is_released:
            self._budget.reserve(self, -(rest - _STEP))

    @contextmanager
    def freed_after_fault(self, held: int = 0) -> Iterator[None]:
        """Return a context manager that gives back what its block took for an answer if it raises a `FaultError`.

        *held* are bytes of the answer that were taken before and are given back as well.
        """
        before = self.taken - held
        try:
            yield
        except FaultError:
            self.give_back(self.taken - before)
            raise

    def release(self) -> None:
        """Free all memory of the request; a second call does nothing."""
        self._budget.release(self)

    def _require(self, size: int, too_much: Fault | None = None, held: int = 0) -> None:
        most = self._budget.most_of_one
        if self.taken + size > most:
            if too_much is not None and held + size > most // 2:
                raise FaultError(too_much)
            message = f"This request needs more than the {most} bytes of memory that one may take: send a smaller one."
            raise FaultError(Fault(FaultKind.TOO_LARGE, message, 413))

    def _no_room(self, size: int) -> FaultError:
        if self.is_released:
            return FaultError(_OVER)
        message = self._budget.lacking(self.caller, size) or FULL
        return FaultError(Fault(FaultKind.UNAVAILABLE, message, retry_after=_WAIT))


def unlimited_share() -> MemoryShare:
    """Return a share that may take any memory."""
    return MemoryBudget(1 << 62, 1 << 62).share()


def budget_for(options: ServerOptions, machine: int | None = None, *, keys: int = 1) -> MemoryBudget:
    """Return the budget of a worker.

    By default, all workers may take half of the memory of the *machine*, which is read from the system if it is None.
    If there are several *keys*, the requests of each may take half of that.
    """
    most = options.max_memory_bytes
    if most is None:
        most = max(_SMALLEST, (machine or memory_of_machine()) // 2 // options.workers)
    most_of_one = options.max_request_memory_bytes or _BODIES * options.max_body_bytes
    return MemoryBudget(most, most_of_one, most // 2 if keys > 1 else None)


def memory_of_machine(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the memory in bytes that this process may have: that of the machine, or the limit of its container."""
    limits = [each for path in _limit_files(cgroups, own) if (each := _number_in(path)) is not None]
    try:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        limits.append(_UNKNOWN)
    return min(limits)


def _limit_files(cgroups: Path, own: Path) -> Iterable[Path]:
    """Return the files that may have a limit: of the container, of the service, and of the older version of cgroups."""
    try:
        service = own.read_text().partition("0::/")[2].partition("\n")[0]
    except OSError:
        service = ""
    return cgroups / "memory.max", cgroups / service / "memory.max", cgroups / "memory" / "memory.limit_in_bytes"


def _number_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
