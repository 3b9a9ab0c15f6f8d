"""Titles of conversations, which agents ask for in requests of their own."""

import re

from emulator.model_io import ModelRequest

_ASKED = re.compile(
    r"\btitle generator\b|\b(?:generate|write|create|give|suggest)\b[^.\n]{0,60}\btitle\b|\bnew conversation topic\b",
    re.IGNORECASE,
)
_AROUND = re.compile(r"</?[\w-]+>|\bscene:\w+|^.*\btitle for (?:this|the) conversation:?", re.IGNORECASE | re.MULTILINE)
_WORDS = 6
_NONE = "New conversation"


def title_of(ask: ModelRequest) -> str | None:
    """Return a title if the request asks for one; None otherwise."""
    if ask.tools or not (_ASKED.search(ask.system) or _ASKED.match(ask.text)):
        return None
    words = re.findall(r"[^\s\"`*#{}]+", _AROUND.sub(" ", ask.text))[:_WORDS]
    title = " ".join(words).strip(" .,:;?!-")
    return title[:1].upper() + title[1:] if title else _NONE
