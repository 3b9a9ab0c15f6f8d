"""Sums of sampled stacks: by part of the proxy, and by function."""

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
"""The start of a file's path, in the checkout or among installed packages, and its part. The first match counts.

Files in none of the parts, such as the standard library and small packages, count for their caller.
"""
_SITE = "site-packages/"


@dataclass(frozen=True, slots=True)
class Frame:
    """A function and its file.

    The path is relative to the checkout or to the installed packages, and absolute elsewhere.
    """

    function: str
    path: str

    @property
    def part(self) -> str | None:
        """The part of the proxy that the file belongs to; None if it counts for its caller."""
        return next((part for beginning, part in PARTS if self.path.startswith(beginning)), None)

    def __str__(self) -> str:
        return f"{self.function} ({Path(self.path).name if self.path.startswith('/') else self.path})"


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack of a thread, outermost frame first, and the number of samples with it."""

    frames: tuple[Frame, ...]
    samples: int

    @property
    def part(self) -> str:
        """The part of the innermost frame that belongs to one."""
        return next((part for frame in reversed(self.frames) if (part := frame.part)), OTHER)


def folded(lines: Iterable[str], checkout: Path) -> list[Stack]:
    """Parse the stacks in py-spy's raw format: frames separated by semicolons, and a count."""
    found = []
    for line in lines:
        frames, _, samples = line.strip().rpartition(" ")
        if samples.isdigit() and (read := tuple(_frames(frames, f"{checkout}/"))):
            found.append(Stack(read, int(samples)))
    return found


def _frames(text: str, checkout: str) -> Iterator[Frame]:
    """Yield the frames that have a function and a file; others, such as incomplete ones, are left out."""
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
    """Count the samples of each function: those in itself, and those including what it calls, once for each stack."""
    own: Counter[Frame] = Counter()
    whole: Counter[Frame] = Counter()
    for stack in stacks:
        own[stack.frames[-1]] += stack.samples
        for frame in set(stack.frames):
            whole[frame] += stack.samples
    return own, whole


def profile_tables(stacks: Sequence[Stack], top: int) -> str:
    """Render the share of each part, and of the *top* functions by their own samples."""
    total = sum(stack.samples for stack in stacks)
    parts = [[part, f"{count / total:.1%}"] for part, count in by_part(stacks).most_common()]
    own, whole = by_function(stacks)
    functions = [
        [str(frame), f"{count / total:.1%}", f"{whole[frame] / total:.1%}"] for frame, count in own.most_common(top)
    ]
    return f"{table(['part', 'share'], parts)}\n\n{table(['function', 'itself', 'with what it calls'], functions)}"
