"""What was said so far, as Gemini's clients say it: turn by turn, and part by part.

A part holds one thing. What else stands beside it, or in it, and has no
neutral word is kept apart under its place, such as
``contents[].parts[].videoMetadata``, and the part counts without it.
"""

from collections.abc import Container
from dataclasses import replace
from typing import Any

from dialects.adapt.attachments import kind_of
from dialects.adapt.signatures import REDACTED, unpack
from dialects.core.conversation import (
    JSON,
    Family,
    Media,
    Message,
    Opaque,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from dialects.core.faults import invalid
from dialects.framing.json_text import dumps
from dialects.gemini.fields import keep_apart, name_in, object_in, objects_in, text_in
from dialects.gemini.limits import FIELDS
from dialects.gemini.vocabulary import BESIDE, DIALECT, PARTS, RESOLUTIONS, TURNS, camelled, mime_by_suffix

_ROLES = {"user": Role.USER, "function": Role.USER, "model": Role.ASSISTANT}
_DETAILS = {level: detail for detail, level in RESOLUTIONS.items()}
_UNSPECIFIED = "MEDIA_RESOLUTION_UNSPECIFIED"
_HELD = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
"""What a part may hold that has a neutral word."""
_HELD_BESIDE = {"inlineData": ("mediaResolution",), "fileData": ("mediaResolution",)}


class Contents:
    """Understands the turns of one request; *extra* collects what has no neutral word."""

    def __init__(self, extra: JSON) -> None:
        self._extra = extra
        self._ledger = _Ledger()

    def messages(self, value: Any) -> tuple[Message, ...]:
        """Understand the turns."""
        contents = objects_in(value, "contents")
        if not contents:
            raise invalid("contents must hold at least one turn", "contents")
        messages: list[Message] = []
        for index, item in enumerate(contents):
            self._add_message(messages, camelled(item), f"contents[{index}]")
        return tuple(messages)

    def _add_message(self, messages: list[Message], content: JSON, where: str) -> None:
        """Append a turn; the model's go on with the one before: Google's clients keep a stream as a turn per chunk."""
        said = content.get("role") or "user"
        if not isinstance(said, str) or said not in _ROLES:
            raise invalid(f'{where}.role must be "user" or "model"', f"{where}.role")
        self._keep(content, FIELDS["contents"], TURNS)
        role = _ROLES[said]
        goes_on = role is Role.ASSISTANT and bool(messages) and messages[-1].role is role
        parts: list[Part] = [*messages.pop().parts] if goes_on else []
        for index, item in enumerate(objects_in(content.get("parts"), f"{where}.parts")):
            self._add_part(parts, camelled(item), f"{where}.parts[{index}]")
        messages.append(Message(role, tuple(parts)))

    def _add_part(self, parts: list[Part], part: JSON, where: str) -> None:
        """Append what a part says, with the thinking its signature seals before it."""
        signature = text_in(part.pop("thoughtSignature", None), f"{where}.thoughtSignature")
        if "text" in part and part.get("thought") is True:
            text = text_in(part["text"], f"{where}.text")
            if text or not signature:
                _think(parts, text)
            if signature:
                _seal(parts, signature)
            self._keep(part, {"text", "thought"}, PARTS)
            return
        if signature:
            _seal(parts, signature)
        meaning = self._part(part, where)
        if meaning is not None:
            parts.append(meaning)

    def _part(self, part: JSON, where: str) -> Part | None:
        """Understand what a part holds; nothing if it says nothing, or nothing but what is kept apart."""
        held = [name for name in _HELD if part.get(name) not in (None, "")]
        if len(held) > 1:
            raise invalid(f"{where} must hold one thing, not both {held[0]} and {held[1]}", where)
        if not held:
            return self._unheld(part, where)
        self._keep(part, {held[0], "thought", *_HELD_BESIDE.get(held[0], ())}, PARTS)
        match held[0]:
            case "functionCall":
                return self._call(camelled(object_in(part["functionCall"], f"{where}.functionCall")), where)
            case "functionResponse":
                return self._result(camelled(object_in(part["functionResponse"], f"{where}.functionResponse")), where)
            case "inlineData" | "fileData":
                return self._media(part, where)
            case _:
                return Text(text_in(part["text"], f"{where}.text"))

    def _unheld(self, part: JSON, where: str) -> Opaque | None:
        """Keep a part whole that holds something only Gemini has a word for."""
        said = {name: value for name, value in part.items() if value is not None}
        if said.keys() - BESIDE - {*_HELD}:
            return Opaque(DIALECT, said, where=where)
        self._keep(said, {"thought", "text"}, PARTS)
        return None

    def _media(self, part: JSON, where: str) -> Media | Opaque:
        if part.get("thought") is True:
            return Opaque(DIALECT, part, where=where)
        held = "inlineData" if part.get("inlineData") is not None else "fileData"
        blob = camelled(object_in(part.get(held), where))
        self._keep(blob, FIELDS[f"contents.parts.{held}"], f"{PARTS}.{held}")
        mime = text_in(blob.get("mimeType"), f"{where}.mimeType")
        data = text_in(blob.get("data"), f"{where}.inlineData.data").replace("-", "+").replace("_", "/")
        url = text_in(blob.get("fileUri"), f"{where}.fileData.fileUri")
        if bool(data) == bool(url):
            raise invalid(f"{where} must hold data or a fileUri", where)
        name = text_in(blob.get("displayName"), f"{where}.displayName")
        kind = kind_of(mime or mime_by_suffix(url or name) or "image/")
        return Media(kind, mime, data, url, name, self._detail(part))

    def _detail(self, part: JSON) -> str:
        """Say how closely to look, if others than Gemini know the word for it."""
        resolution = part.get("mediaResolution")
        level = resolution.get("level") if isinstance(resolution, dict) else resolution
        if isinstance(level, str) and level in _DETAILS:
            return _DETAILS[level]
        if level not in (None, _UNSPECIFIED):
            self._keep({"mediaResolution": resolution}, (), PARTS)
        return ""

    def _call(self, call: JSON, where: str) -> ToolCall:
        where = f"{where}.functionCall"
        self._keep(call, FIELDS["contents.parts.functionCall"], f"{PARTS}.functionCall")
        name = name_in(call, where)
        arguments = object_in(call.get("args"), f"{where}.args")
        return ToolCall(self._ledger.called(text_in(call.get("id"), f"{where}.id"), name), name, dumps(arguments))

    def _result(self, response: JSON, where: str) -> ToolResult:
        where = f"{where}.functionResponse"
        self._keep(response, FIELDS["contents.parts.functionResponse"], f"{PARTS}.functionResponse")
        call_id = self._ledger.answered(text_in(response.get("id"), f"{where}.id"), name_in(response, where))
        said = object_in(response.get("response"), f"{where}.response")
        parts: list[Text | Media | Opaque] = []
        failed = said.keys() == {"error"}
        match said:
            case {"error": value} | {"result": value} | {"output": value} if len(said) == 1:
                text = value if isinstance(value, str) else dumps(value)
            case _:
                text = dumps(said) if said else ""
        if text:
            parts.append(Text(text))
        for index, item in enumerate(objects_in(response.get("parts"), f"{where}.parts")):
            part = camelled(item)
            self._keep(part, {"inlineData", "fileData", "mediaResolution"}, f"{PARTS}.functionResponse.parts[]")
            parts.append(self._media(part, f"{where}.parts[{index}]"))
        return ToolResult(call_id, tuple(parts), failed)

    def _keep(self, holder: JSON, known: Container[str], place: str) -> None:
        keep_apart(self._extra, holder, known, place)


class _Ledger:
    """Which calls wait for their results: clients may leave out the ids, and then names and order tell."""

    def __init__(self) -> None:
        self._minted = 0
        self._waiting: list[tuple[str, str]] = []

    def called(self, id: str, name: str) -> str:
        call_id = id or self._mint()
        self._waiting.append((call_id, name))
        return call_id

    def answered(self, id: str, name: str) -> str:
        for call in self._waiting:
            if call[0] == id or (not id and call[1] == name):
                self._waiting.remove(call)
                return call[0]
        return id or self._mint()

    def _mint(self) -> str:
        self._minted += 1
        return f"call_{self._minted}"


def _think(parts: list[Part], text: str) -> None:
    """Append thoughts: what was streamed piece by piece is one thought, and sealed as one."""
    if open_thought := _open_thought(parts):
        parts[-1] = replace(open_thought, text=open_thought.text + text)
    else:
        parts.append(Thinking(text, family=Family.GEMINI))


def _seal(parts: list[Part], signature: str) -> None:
    """Put a signature on the thinking that came just before, or on an empty one."""
    family, native = unpack(signature, Family.GEMINI)
    if native.startswith(REDACTED):
        parts.append(Thinking(redacted=native.removeprefix(REDACTED), family=family))
    elif open_thought := _open_thought(parts):
        parts[-1] = replace(open_thought, signature=native, family=family)
    else:
        parts.append(Thinking(signature=native, family=family))


def _open_thought(parts: list[Part]) -> Thinking | None:
    """Find the thought that was said last, if nothing seals it yet."""
    last = parts[-1] if parts else None
    return last if isinstance(last, Thinking) and not last.signature and not last.redacted else None
