"""The matrix as a page of the documentation."""

from collections.abc import Iterator
from pathlib import Path

from tests.matrix.cells import BACKENDS, CLIENTS, cells, limit_of, scenes_for
from tests.matrix.limits import LIMITS, Limit
from tests.matrix.scenes import SCENES

PATH = Path(__file__).parent.parent.parent / "docs" / "matrix.md"
_CLIENTS = {
    "openai-chat": "OpenAI chat completions",
    "openai-responses": "OpenAI Responses",
    "anthropic-messages": "Anthropic messages",
    "gemini": "Gemini",
}
_HEAD = """\
# What reaches whom

*Written by `python -m tests.matrix`; a test holds that it is current.*

Each cell below is two tests, one of a stream and one of an answer in one piece: a vendor's own SDK asks the proxy, the
proxy asks the emulator of SAP AI Core, and what comes back is judged: words, calls and their arguments, the reason it
ended, tokens (a stream costs what a whole answer costs), thoughts, cached tokens. What the proxy sends is held against
the vendor's own definitions: botocore's service model, and the types of the `anthropic`, `google-genai` and `openai`
packages. Nothing may be missing that the header `x-proxy-dropped` does not name.

{cells} cells: {whole} carry everything, {less} carry what they can. **✓** is everything; a number is the reason below.
"""


def render() -> str:
    """Write the page."""
    every = list(cells())
    less = sum(cell.limit is not None for cell in every)
    head = _HEAD.format(cells=len(every), whole=len(every) - less, less=less)
    return "\n".join([head, *_what(), *(line for client in CLIENTS for line in _table(client)), *_reasons()])


def _what() -> Iterator[str]:
    yield "| | what must be carried |"
    yield "|---|---|"
    yield from (f"| {scene.name} | {scene.what} |" for scene in SCENES)
    yield ""


def _table(client: str) -> Iterator[str]:
    yield f"## {_CLIENTS[client]}"
    yield ""
    yield "| | " + " | ".join(backend.model.rpartition("--")[2] for backend in BACKENDS) + " |"
    yield "|---" * (len(BACKENDS) + 1) + "|"
    yield "| *asked in* | " + " | ".join(f"*{backend.dialect_for(client)}*" for backend in BACKENDS) + " |"
    for scene in scenes_for(client):
        marks = [_mark(limit_of(client, backend, scene)) for backend in BACKENDS]
        yield f"| {scene.name} | " + " | ".join(marks) + " |"
    yield ""


def _mark(limit: Limit | None) -> str:
    return "✓" if limit is None else str(_numbers()[limit.why])


def _reasons() -> Iterator[str]:
    """The reasons, each with what the header names then."""
    yield "## What cannot be carried, and why"
    yield ""
    for why, number in _numbers().items():
        names = sorted({limit.dropped for limit in _shown() if limit.why == why and limit.dropped})
        header = f" Named as {' or '.join(f'`{name}`' for name in names)}." if names else ""
        yield f"{number}. {why}{header}"
    yield ""


def _numbers() -> dict[str, int]:
    """Number the reasons; rows of one reason have one number."""
    return {why: number for number, why in enumerate(dict.fromkeys(limit.why for limit in _shown()), 1)}


def _shown() -> list[Limit]:
    """List the rows that are about a model of the page."""
    used = {id(cell.limit) for cell in cells()}
    return [limit for limit in LIMITS if id(limit) in used]
