"""What is rewritten alike in frames of both of OpenAI's dialects that pass through."""

import re

from dialects.framing.json_text import dumps

_NAMED = '"model"'
_MODEL = re.compile(rf'({_NAMED}\s*:\s*)"[^"\\]*(?:\\.[^"\\]*)*"')


def public_model(data: str, model: str) -> str | None:
    """Write the public name over the backend's in a frame; None if that takes parsing the frame.

    An unescaped ``"model":`` cannot stand inside a JSON string, so that one match is the field itself.
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
