"""Rewriting of frames that pass through, for both of OpenAI's dialects."""

import re

from dialects.framing.json_text import dumps

_NAMED = '"model"'
_MODEL = re.compile(rf'({_NAMED}\s*:\s*)"[^"\\]*(?:\\.[^"\\]*)*"')


def public_model(data: str, model: str) -> str | None:
    """Replace the backend's model name in a frame; return None if that requires parsing the frame.

    An unescaped ``"model":`` cannot occur inside a JSON string, so a single match is the field itself.
    """
    place = data.find(_NAMED)
    if place < 0:
        return data
    match = _MODEL.match(data, place)
    if data.find(_NAMED, place + 1) >= 0:
        found = list(_MODEL.finditer(data))
        if len(found) > 1:
            return None
        match = found[0] if found else None
    if match is None:
        return data
    return f"{data[: match.start()]}{match[1]}{dumps(model)}{data[match.end() :]}"
