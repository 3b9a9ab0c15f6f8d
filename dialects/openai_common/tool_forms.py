"""Tools that OpenAI's clients declare besides functions, and that are functions to the models on SAP AI Core.

A custom tool is called with one text. Models see a function with the single argument ``input``; the client gets the
text alone, whole or streamed. A search for tools is a function with the name ``tool_search``.
"""

import re
from enum import Enum

from dialects.adapt.field_reader import FieldReader
from dialects.core.conversation import JSON, CacheMark, ToolForm, ToolSpec
from dialects.framing.json_text import dumps, object_from
from dialects.openai_common.request_parser import function_spec

SEARCH = "tool_search"
"""The function name of a search for tools, whose declaration has no name."""
_INPUT = "input"
_BLANK = " \t\r\n"
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_NUMBER = re.compile(r"\\u([0-9a-fA-F]{4})")
_CUT = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")


def custom_spec(tool: FieldReader, name: str, cache: CacheMark | None, declared: JSON) -> ToolSpec:
    """Declare a custom tool as a function with one text argument. Its grammar goes into the description.

    *tool* holds its description and format; *declared* is the whole declaration.
    """
    parameters = {
        "type": "object",
        "properties": {_INPUT: {"type": "string", "description": "What the tool is given, as it is."}},
        "required": [_INPUT],
        "additionalProperties": False,
    }
    description = "\n\n".join(filter(None, [tool.text("description"), _grammar(tool)]))
    return ToolSpec(name, description, parameters, cache=cache, form=ToolForm.CUSTOM, declared=declared)


def _grammar(tool: FieldReader) -> str:
    form = tool.object("format")
    if form is None or form.text("type") != "grammar":
        return ""
    grammar = form.object("grammar") or form
    return f"The {_INPUT} must follow this {grammar.text('syntax')} grammar:\n{grammar.text('definition')}"


def search_spec(tool: FieldReader, declared: JSON) -> ToolSpec:
    """Declare a search for tools as a function."""
    spec = function_spec(tool, SEARCH, None)
    described = spec.description or "Finds further tools, which can be called from then on."
    return ToolSpec(SEARCH, described, spec.parameters, form=ToolForm.SEARCH, declared=declared)


def input_text(arguments: str) -> str:
    """Return the input text of a custom tool, from the arguments of a function."""
    text = InputText()
    return text.feed(arguments) + text.finish()


def search_arguments(arguments: str) -> JSON:
    """Parse the arguments of a search for tools. Arguments that are no object become an empty one."""
    return object_from(arguments) or {}


def arguments_of_search(arguments: object) -> str:
    """Render the arguments of a search for tools as a function's arguments."""
    return arguments if isinstance(arguments, str) else dumps(arguments or {})


class _Stage(Enum):
    """The state of `InputText`."""

    HEAD = "head"
    TEXT = "text"
    TAIL = "tail"
    OTHER = "other"


_HEAD = re.compile(rf'\s*\{{\s*"{_INPUT}"\s*:\s*"')
_BEGINNING = re.compile(r'\s*(?:\{\s*(?:"(?:i(?:n(?:p(?:u(?:t(?:"\s*(?::\s*)?)?)?)?)?)?)?)?)?')


class InputText:
    """Extracts X from the arguments ``{"input": "X"}`` of a function, which arrive in pieces cut anywhere.

    ====== =========================== ====== ===========================
    state  input                       next   output
    ====== =========================== ====== ===========================
    HEAD   ``{"input":"``              TEXT   none
    HEAD   anything else               OTHER  the input and all before it
    TEXT   more of X                   TEXT   X without its escapes
    TEXT   ``"`` after X               TAIL   none
    TAIL   anything                    TAIL   none
    OTHER  anything                    OTHER  the input
    ====== =========================== ====== ===========================

    An empty object is an empty text. Half of a surrogate pair, which no client can decode, becomes U+FFFD.
    """

    def __init__(self) -> None:
        self._stage = _Stage.HEAD
        self._held = ""
        self._blank: list[str] = []
        """Pieces of white space after `_held`. There may be many, and they decide nothing."""

    def feed(self, text: str) -> str:
        """Take a piece of the arguments; return the text in it."""
        match self._stage:
            case _Stage.HEAD:
                return self._open(text)
            case _Stage.TEXT:
                return self._inside(text)
            case _Stage.TAIL:
                return ""
            case _Stage.OTHER:
                return text

    def finish(self) -> str:
        """End the arguments; return the rest of the text."""
        held, self._held = "".join((self._held, *self._blank)), ""
        match self._stage:
            case _Stage.HEAD:
                return "" if held.translate({ord(blank): None for blank in _BLANK}) in ("", "{}") else held
            case _Stage.TEXT:
                # The arguments were cut off, so half an escape is discarded.
                return ""
            case _Stage.TAIL | _Stage.OTHER:
                return ""

    def _open(self, text: str) -> str:
        if text.isspace():
            self._blank.append(text)
            return ""
        held, self._held, self._blank = "".join((self._held, *self._blank, text)), "", []
        if head := _HEAD.match(held):
            self._stage = _Stage.TEXT
            return self._inside(held[head.end() :])
        if _BEGINNING.fullmatch(held) or held.translate({ord(blank): None for blank in _BLANK}) == "{}":
            self._held = held
            return ""
        self._stage = _Stage.OTHER
        return held

    def _inside(self, text: str) -> str:
        """Take more of the text. An incomplete escape at its end is kept for the next piece."""
        text, self._held = self._held + text, ""
        given: list[str] = []
        place = 0
        while place < len(text):
            char = text[place]
            if char == '"':
                self._stage = _Stage.TAIL
                break
            taken, said = _unescaped(text, place) if char == "\\" else (1, char)
            if not taken:
                self._held = text[place:]
                break
            given.append(said)
            place += taken
        return _SURROGATE.sub("\ufffd", "".join(given))


def _unescaped(text: str, place: int) -> tuple[int, str]:
    """Read the escape at *place*; return its length and its text. A length of 0 means that it is incomplete."""
    if _CUT.match(text, place):
        return 0, ""
    if not (found := _NUMBER.match(text, place)):
        # An invalid escape loses its backslash.
        return 2, _ESCAPED.get(text[place + 1], text[place + 1])
    code = int(found[1], 16)
    if code not in _HIGH:
        return 6, chr(code)
    if _CUT.match(text, place + 6) or len(text) == place + 6:
        return 0, ""
    other = _NUMBER.match(text, place + 6)
    low = int(other[1], 16) if other else 0
    return (12, chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00))) if low in _LOW else (6, chr(code))
