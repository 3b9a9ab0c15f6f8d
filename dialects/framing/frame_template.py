"""Templates of frames that differ in one text only."""

from collections.abc import Callable

from dialects.framing.json_text import quote

_MARK = "no text but this one \u2026"
"""Text with a character beyond ASCII: it is not found in a frame whose writer escapes those, unlike `quote`."""


class FrameTemplate:
    """Renders the deltas of one block; the bytes around the text are rendered once.

    *render* must be a function of the text alone that writes it as one JSON string. Then the bytes before and behind
    the only occurrence of a marker text are those around any text.
    """

    def __init__(self, render: Callable[[str], bytes]) -> None:
        self._render = render
        self._around: list[bytes] | None = None
        self._written = 0

    def write(self, text: str) -> bytes:
        """Render the frame of a text."""
        if self._around and (quoted := quote(text)):
            return quoted.join(self._around)
        self._written += 1
        if self._written == 2:
            around = self._render(_MARK).split(quote(_MARK))
            self._around = around if len(around) == 2 else None
        return self._render(text)
