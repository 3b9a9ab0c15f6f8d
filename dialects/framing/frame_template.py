"""Fast writing and recognition of frames that differ only in one text, as nearly all frames of a stream do."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from dialects.framing.json_text import dumps_or_nothing
from dialects.framing.sse import Frame, FrameDecoder

_MARK = "no text but this one \u2026"
"""A marker text. Its last character is not ASCII, so it is not found in a frame that escapes such characters."""
_TEXT: Final = {
    '"': re.compile(rb'(?:[^"\\\x00-\x1f]|\\["\\bfnrt])+'),
    "'": re.compile(rb"""[^'"\\\x00-\x1f]+"""),
}
"""The texts between quotes that are recognised, by the quotation mark.

Double quotes are those of JSON, as `dumps` writes it. Single quotes are those of Python's `repr`, for texts that JSON
would write in the same way.
"""

_TRIES: Final = 8
"""The number of frames that are learnt in a row without recognising any, before a stream is given up."""


class FrameTemplate:
    """Renders the deltas of one block fast, by rendering the bytes around the text only once.

    The result of *render* must depend on the text alone, and contain it as one JSON string. Then the bytes before and
    after a marker text are the same for any other text.
    """

    def __init__(self, render: Callable[[str], bytes]) -> None:
        self._render = render
        self._around: list[bytes] | None = None
        self._written = 0

    def write(self, text: str) -> bytes:
        """Render the frame for *text*."""
        if self._around and (quoted := dumps_or_nothing(text)):
            return quoted.join(self._around)
        self._written += 1
        if self._written == 2:
            around = self._render(_MARK).split(dumps_or_nothing(_MARK))
            self._around = around if len(around) == 2 else None
        return self._render(text)


class FramePattern:
    """Recognises, without parsing them, frames that differ only in their text from the frame that was learnt last.

    `match` may be called only while the decoder holds no part of a frame.
    """

    def __init__(self) -> None:
        self._before = self._behind = self._between = b""
        self._text = _TEXT['"']
        self._tries = _TRIES

    def match(self, data: bytes) -> list[bytes]:
        """Return the texts of the frames in *data*, each as it is written between the quotes.

        The result is empty if anything but the texts differs from the frame that was learnt.
        """
        before, behind = self._before, self._behind
        if not (before and data.startswith(before) and data.endswith(behind)):
            return []
        texts = data[len(before) : -len(behind)].split(self._between)
        if not (all(map(self._text.fullmatch, texts)) and (data.isascii() or _is_utf8(data))):
            return []
        self._tries = _TRIES
        return texts

    def learn(self, frames: Sequence[Frame], text: str, decoder: FrameDecoder) -> bool:
        """Learn the last of the *frames* that *decoder* has just returned, and return whether it could be learnt.

        *text* is the text of that frame. In a frame without a backslash, strings are written without escapes, so the
        text's place is known if it is found exactly once between quotes. After some attempts without a match, as in a
        stream with random padding, nothing more is learnt.
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
        """Recognise no frame until another one is learnt."""
        self._before = b""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
