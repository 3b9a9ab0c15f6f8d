"""Stacks that a sampler wrote, added up: by part of the proxy, and by function."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import table

OTHER = "other"
PARTS = (
    ("gateway/server/stream_loop", "streams to clients"),
    ("gateway/server/http_messages", "HTTP of clients"),
    ("gateway/server/wsgi", "HTTP of clients"),
    ("gunicorn/", "HTTP of clients"),
    ("gateway/server/", "connections and threads"),
    ("gateway/http/", "auth, admission, bodies"),
    ("gateway/observability/", "metrics and log"),
    ("prometheus_client/", "metrics and log"),
    ("gateway/upstream/", "upstream call"),
    ("gateway/", "request, attempts, stream"),
    ("dialects/", "dialects"),
    ("routing/", "routing"),
    ("proxy_server.py", "the view"),
    ("flask/", "Flask and werkzeug"),
    ("werkzeug/", "Flask and werkzeug"),
)
"""How the path of a file begins, in the checkout or among installed packages, and the part it is of: the first counts.

What is in none of them works for its caller: the standard library, and small packages.
"""
_SITE = "site-packages/"


@dataclass(frozen=True, slots=True)
class Frame:
    """A function and its file: relative to the checkout or to what is installed, absolute elsewhere."""

    function: str
    path: str

    @property
    def part(self) -> str | None:
        """The part of the proxy that the file belongs to; None if it works for its caller."""
        return next((part for beginning, part in PARTS if self.path.startswith(beginning)), None)

    def __str__(self) -> str:
        return f"{self.function} ({Path(self.path).name if self.path.startswith('/') else self.path})"


@dataclass(frozen=True, slots=True)
class Stack:
    """What was on a thread's stack, the outermost first, and in how many samples."""

    frames: tuple[Frame, ...]
    samples: int

    @property
    def part(self) -> str:
        """The part of the innermost frame that belongs to one."""
        return next((part for frame in reversed(self.frames) if (part := frame.part)), OTHER)


def folded(lines: Iterable[str], checkout: Path) -> list[Stack]:
    """Read stacks as py-spy writes them raw: frames with semicolons between them, and a count."""
    found = []
    for line in lines:
        frames, _, samples = line.strip().rpartition(" ")
        if samples.isdigit() and (read := tuple(_frames(frames, f"{checkout}/"))):
            found.append(Stack(read, int(samples)))
    return found


def _frames(text: str, checkout: str) -> Iterator[Frame]:
    """Read frames that name a function and a file; what else is there, such as a torn frame, is left out."""
    for each in text.split(";"):
        function, there, path = each.rpartition(" (")
        name = path.removesuffix(")")
        if there and (name.endswith(".py") or name.startswith("<")):
            name = name.rpartition(_SITE)[2] if _SITE in name else name.removeprefix(checkout)
            yield Frame(function, name)


def by_part(stacks: Sequence[Stack]) -> Counter[str]:
    """Count the samples of each part."""
    counted: Counter[str] = Counter()
    for stack in stacks:
        counted[stack.part] += stack.samples
    return counted


def by_function(stacks: Sequence[Stack]) -> tuple[Counter[Frame], Counter[Frame]]:
    """Count the samples of each function: those in itself, and those with what it calls, once for each stack."""
    own: Counter[Frame] = Counter()
    whole: Counter[Frame] = Counter()
    for stack in stacks:
        own[stack.frames[-1]] += stack.samples
        for frame in set(stack.frames):
            whole[frame] += stack.samples
    return own, whole


def profile_tables(stacks: Sequence[Stack], top: int) -> str:
    """Write the share of each part, and of the *top* functions by what they take themselves."""
    total = sum(stack.samples for stack in stacks)
    parts = [[part, f"{count / total:.1%}"] for part, count in by_part(stacks).most_common()]
    own, whole = by_function(stacks)
    functions = [
        [str(frame), f"{count / total:.1%}", f"{whole[frame] / total:.1%}"] for frame, count in own.most_common(top)
    ]
    return f"{table(['part', 'share'], parts)}\n\n{table(['function', 'itself', 'with what it calls'], functions)}"
