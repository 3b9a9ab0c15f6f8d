"""Frames that differ in one text only, as nearly all frames of a stream do: how they are written, and recognised."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from dialects.framing.json_text import dumps_or_nothing
from dialects.framing.sse import Frame, FrameDecoder

_MARK = "no text but this one \u2026"
"""Text with a character beyond ASCII: it is not found in a frame whose writer escapes those, unlike `dumps`."""
_TEXT: Final = {
    '"': re.compile(rb'(?:[^"\\\x00-\x1f]|\\["\\bfnrt])+'),
    "'": re.compile(rb"""[^'"\\\x00-\x1f]+"""),
}
"""What may stand between quotes: in JSON as `dumps` writes it, and in Python's `repr` what means the same in JSON."""

_TRIES: Final = 8
"""How many frames are learnt one after the other without recognising any."""


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
        if self._around and (quoted := dumps_or_nothing(text)):
            return quoted.join(self._around)
        self._written += 1
        if self._written == 2:
            around = self._render(_MARK).split(dumps_or_nothing(_MARK))
            self._around = around if len(around) == 2 else None
        return self._render(text)


class FramePattern:
    """Recognises frames that differ in one text only from the frame that was learnt last, without parsing them.

    To be asked about bytes before which no part of a frame is held.
    """

    def __init__(self) -> None:
        self._before = self._behind = self._between = b""
        self._text = _TEXT['"']
        self._tries = _TRIES

    def match(self, data: bytes) -> list[bytes]:
        """Give the texts of the frames in *data*, each as it stands between quotes; none if more than texts differs."""
        before, behind = self._before, self._behind
        if not (before and data.startswith(before) and data.endswith(behind)):
            return []
        texts = data[len(before) : -len(behind)].split(self._between)
        if not (all(map(self._text.fullmatch, texts)) and (data.isascii() or _is_utf8(data))):
            return []
        self._tries = _TRIES
        return texts

    def learn(self, frames: Sequence[Frame], text: str, decoder: FrameDecoder) -> bool:
        """Learn the last of the *frames* that a decoder has just cut, which holds a *text*; tell whether that was done.

        Without a backslash in it every string stands there as it is: if the text is found once between quotes, that is
        its place. A stream whose frames all differ in more, such as in random padding, is given up.
        """
        self._before = b""
        if not (self._tries and frames and text and (separator := decoder.separator)):
            return False
        self._tries -= 1
        data = frames[-1].data
        if frames[-1].event is not None or "\\" in data or data[-1] != "}":
            return False
        quote_mark = '"' if '"' in data else "'"
        around = data.split(f"{quote_mark}{text}{quote_mark}")
        if len(around) != 2:
            return False
        self._text = _TEXT[quote_mark]
        self._before = f"data: {around[0]}{quote_mark}".encode()
        self._behind = f"{quote_mark}{around[1]}".encode() + separator
        self._between = self._behind + self._before
        return True

    def forget(self) -> None:
        """Recognise nothing until a frame is learnt again."""
        self._before = b""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
