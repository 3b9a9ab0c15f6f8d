"""Frames that say one piece of text after another, and differ in nothing else."""

from collections.abc import Callable

from dialects.jsontext import quote

_MARK = "no text but this one \u2026"
"""Holds a letter that `quote` leaves as it is: a frame that escapes it is written otherwise, and not taken apart."""


class Pieces:
    """Renders the pieces of one block; what stands around the text in a frame is rendered once.

    *render* gives a frame for a text; frames of two texts differ in nothing but the JSON string that the text is.
    So where a mark stands in its frame, if it stands there once, any other text stands in its own.
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
