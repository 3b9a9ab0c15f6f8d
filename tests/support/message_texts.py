"""How much of a line of output stands in our code, word for word."""

import re
from functools import cache

from tests.support.sources import LAYERS, files

SOURCES = (*LAYERS, "emulator")
"""Where texts are looked for; the emulator has those of SAP AI Core and of the vendors behind it."""
_SEAM = re.compile(r'"\s*\n\s*f?"')
"""Where a string goes on in the next line of the source."""
_CLAUSE = re.compile(r"[:;,.()] |[()]|[:;,.]$")
"""What parts a line into clauses, each of which may come from elsewhere."""
_PROSE = re.compile(r"[A-Za-z][A-Za-z'_-]*")
"""A word that is no value: names of deployments, numbers, paths and what is quoted have other characters."""
_TOGETHER = 3
"""How many words in a row are looked for: two stand together by chance."""


@cache
def _sources() -> str:
    texts = [path.read_text(encoding="utf-8") for path in files(*SOURCES)]
    return _SEAM.sub("", "\n".join(texts))


def share_of(line: str) -> float:
    """Say which part of the prose in *line* stands in the code, from 0 to 1; names and numbers are no prose."""
    clauses = [clause.split() for clause in _CLAUSE.split(line)]
    rows = [words[at : at + _TOGETHER] for words in clauses for at in range(len(words) - _TOGETHER + 1)]
    prose = [row for row in rows if all(map(_PROSE.fullmatch, row))]
    return sum(" ".join(row) in _sources() for row in prose) / max(1, len(prose))
