"""Parser of Gemini requests: ``generateContent`` bodies.

As everywhere in Google's JSON, names may be in camel or snake case, and one object may stand for a list of one.
``model`` and ``stream``, which Gemini has in the path, are expected in the body.

A part has one kind of content. Fields beside the content, or in it, that have no neutral field go to ``extra`` under
their path, such as ``contents[].parts[].videoMetadata``.
"""

from collections.abc import Container
from dataclasses import replace
from typing import Any

from dialects.adapt.attachments import kind_of
from dialects.adapt.field_reader import must_be, read_number, read_object, read_text, read_whole_number
from dialects.adapt.schemas import from_google
from dialects.adapt.signatures import REDACTED, unpack
from dialects.adapt.tool_names import narrowed
from dialects.core.conversation import (
    JSON,
    Conversation,
    Effort,
    Family,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import invalid
from dialects.framing.json_text import dumps
from dialects.gemini.limits import FIELDS
from dialects.gemini.vocabulary import (
    BESIDE,
    DECLARED,
    DIALECT,
    EFFORTS,
    PARTS,
    RESOLUTIONS,
    TURNS,
    camelled,
    mime_by_suffix,
)

_MODES = {"AUTO": ToolMode.AUTO, "ANY": ToolMode.REQUIRED, "NONE": ToolMode.NONE}
_CALLING = "toolConfig.functionCallingConfig"
_SPEC = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
_ROLES = {"user": Role.USER, "function": Role.USER, "model": Role.ASSISTANT}
_DETAILS = {level: detail for detail, level in RESOLUTIONS.items()}
_UNSPECIFIED = "MEDIA_RESOLUTION_UNSPECIFIED"
_HELD = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
"""Contents of a part that have a neutral value."""
_HELD_BESIDE = {"inlineData": ("mediaResolution",), "fileData": ("mediaResolution",)}


def parse_request(body: JSON) -> Conversation:
    """Parse a request. Fields that only Gemini has go to ``extra`` under their path."""
    fields = camelled(body)
    config = camelled(_object(fields.pop("generationConfig", None), "generationConfig"))
    extra: JSON = {}
    tools = _tools(fields.pop("tools", None), extra)
    tool_choice, allowed = _tool_choice(fields.pop("toolConfig", None), extra)
    sampling = _sampling(config)
    output = _output(config)
    reasoning = _reasoning(config, extra)
    conversation = Conversation(
        model=read_text(fields.pop("model", ""), "model"),
        dialect=DIALECT,
        system=_system(fields.pop("systemInstruction", None), extra),
        messages=_Contents(extra).messages(fields.pop("contents", None)),
        tools=narrowed(tools, {*allowed}, f"{_CALLING}.allowedFunctionNames") if allowed else tools,
        tool_choice=tool_choice if tools else None,
        sampling=sampling,
        reasoning=reasoning,
        output=output,
        stream=fields.pop("stream", False) is True,
        stream_usage=True,
    )
    if config.get("candidateCount") == 1:
        del config["candidateCount"]
    extra |= {f"generationConfig.{name}": value for name, value in config.items() if value is not None}
    extra |= {name: value for name, value in fields.items() if value not in (None, []) and "." not in name}
    return replace(conversation, extra=extra)


def _system(value: Any, extra: JSON) -> tuple[Text, ...]:
    if isinstance(value, str):
        return (Text(value),) if value else ()
    content = camelled(_object(value, "systemInstruction"))
    _keep_apart(extra, content, ("role", "parts"), "systemInstruction")
    texts = []
    for index, item in enumerate(_objects(content.get("parts"), "systemInstruction.parts")):
        where = f"systemInstruction.parts[{index}]"
        if item and "text" not in item:
            raise invalid(f"{where} must be text", where)
        _keep_apart(extra, camelled(item), ("text",), "systemInstruction.parts[]")
        texts.append(Text(read_text(item.get("text"), f"{where}.text")))
    return tuple(text for text in texts if text.text)


def _tools(value: Any, extra: JSON) -> tuple[ToolSpec | Opaque, ...]:
    tools: list[ToolSpec | Opaque] = []
    for index, item in enumerate(_objects(value, "tools")):
        for name, tool in camelled(item).items():
            where = f"tools[{index}].{name}"
            if name == "functionDeclarations":
                for place, declaration in enumerate(_objects(tool, where)):
                    tools.append(_spec(camelled(declaration), f"{where}[{place}]", extra))
            elif tool is not None:
                tools.append(Opaque(DIALECT, {name: tool}))
    return tuple(tools)


def _spec(declaration: JSON, where: str, extra: JSON) -> ToolSpec:
    name = _name(declaration, where)
    schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
    rest = {key: value for key, value in declaration.items() if key not in _SPEC}
    if rest:
        extra.setdefault(DECLARED, {})[name] = rest
    spec = ToolSpec(name, read_text(declaration.get("description"), f"{where}.description"))
    if schema is None:
        return spec
    return replace(spec, parameters=from_google(_object(schema, f"{where}.parameters")))


def _tool_choice(value: Any, extra: JSON) -> tuple[ToolChoice | None, list[str]]:
    """Parse how free the model is to call functions, and the names of the functions it may call if not all."""
    config = camelled(_object(value, "toolConfig"))
    calling = camelled(_object(config.pop("functionCallingConfig", None), _CALLING))
    extra |= {f"toolConfig.{name}": item for name, item in config.items() if item is not None}
    mode, names = calling.pop("mode", None), calling.pop("allowedFunctionNames", None) or []
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid(f"{_CALLING}.allowedFunctionNames must be a list of names", f"{_CALLING}.allowedFunctionNames")
    choice = ToolChoice(_MODES[mode]) if isinstance(mode, str) and mode in _MODES else None
    if choice is None and mode not in (None, "MODE_UNSPECIFIED"):
        calling["mode"] = mode
    extra |= {f"{_CALLING}.{name}": item for name, item in calling.items()}
    if choice == ToolChoice(ToolMode.REQUIRED) and len(names) == 1:
        return ToolChoice(ToolMode.NAMED, names[0]), []
    return choice, names


def _sampling(config: JSON) -> Sampling:
    stop = config.pop("stopSequences", None) or []
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or not all(isinstance(item, str) for item in stop):
        raise invalid("generationConfig.stopSequences must be a list of strings", "generationConfig.stopSequences")
    return Sampling(
        max_tokens=_take_whole(config, "maxOutputTokens"),
        temperature=_take_number(config, "temperature"),
        top_p=_take_number(config, "topP"),
        top_k=_take_whole(config, "topK"),
        stop=tuple(stop),
        seed=_take_whole(config, "seed"),
        presence_penalty=_take_number(config, "presencePenalty"),
        frequency_penalty=_take_number(config, "frequencyPenalty"),
    )


def _output(config: JSON) -> OutputFormat | None:
    if config.get("responseMimeType") not in (None, "", "application/json"):
        if config["responseMimeType"] == "text/plain":
            del config["responseMimeType"]
        return None
    schemas = [config.pop(name, None) for name in ("responseJsonSchema", "_responseJsonSchema", "responseSchema")]
    schema = next((schema for schema in schemas if schema is not None), None)
    if schema is not None:
        config.pop("responseMimeType", None)
        return OutputFormat(from_google(_object(schema, "generationConfig.responseSchema")))
    return OutputFormat() if config.pop("responseMimeType", None) else None


def _reasoning(config: JSON, extra: JSON) -> Reasoning | None:
    value = config.pop("thinkingConfig", None)
    if value is None:
        return None
    thinking = camelled(_object(value, "generationConfig.thinkingConfig"))
    # Gemini shows thoughts only on request.
    reasoning = Reasoning(shown=thinking.pop("includeThoughts", False) is True)
    match read_whole_number(thinking.pop("thinkingBudget", None), "generationConfig.thinkingConfig.thinkingBudget"):
        case None:
            pass
        case 0:
            reasoning = replace(reasoning, effort=Effort.NONE)
        case budget if budget > 0:
            reasoning = replace(reasoning, budget=budget)
        case _:
            reasoning = replace(reasoning, adaptive=True)
    level = read_text(thinking.pop("thinkingLevel", None), "generationConfig.thinkingConfig.thinkingLevel").upper()
    if level in EFFORTS:
        reasoning = replace(reasoning, effort=EFFORTS[level])
    elif level not in ("", "THINKING_LEVEL_UNSPECIFIED"):
        thinking["thinkingLevel"] = level
    extra |= {f"generationConfig.thinkingConfig.{name}": item for name, item in thinking.items()}
    return reasoning


class _Contents:
    """Parses the turns of one request. *extra* collects what has no neutral field."""

    def __init__(self, extra: JSON) -> None:
        self._extra = extra
        self._ledger = _Ledger()

    def messages(self, value: Any) -> tuple[Message, ...]:
        """Parse the turns; raises `FaultError` if there are none."""
        contents = _objects(value, "contents")
        if not contents:
            raise invalid("contents must have at least one turn", "contents")
        turns: list[_Turn] = []
        for index, item in enumerate(contents):
            self._add_message(turns, camelled(item), f"contents[{index}]")
        return tuple(Message(turn.role, turn.finish()) for turn in turns)

    def _add_message(self, turns: "list[_Turn]", content: JSON, where: str) -> None:
        """Append a turn. A turn of the model after another one continues it.

        Google's clients keep a stream as one turn for each chunk.
        """
        said = content.get("role") or "user"
        if not isinstance(said, str) or said not in _ROLES:
            raise invalid(f'{where}.role must be "user" or "model"', f"{where}.role")
        self._keep(content, FIELDS["contents"], TURNS)
        role = _ROLES[said]
        if role is not Role.ASSISTANT or not turns or turns[-1].role is not role:
            turns.append(_Turn(role))
        for index, item in enumerate(_objects(content.get("parts"), f"{where}.parts")):
            self._add_part(turns[-1], camelled(item), f"{where}.parts[{index}]")

    def _add_part(self, turn: "_Turn", part: JSON, where: str) -> None:
        """Append the content of a part, after the thinking that its signature signs."""
        signature = read_text(part.pop("thoughtSignature", None), f"{where}.thoughtSignature")
        if "text" in part and part.get("thought") is True:
            text = read_text(part["text"], f"{where}.text")
            if text or not signature:
                turn.think(text)
            if signature:
                turn.sign(signature)
            self._keep(part, {"text", "thought"}, PARTS)
            return
        if signature:
            turn.sign(signature)
        meaning = self._part(part, where)
        if meaning is not None:
            turn.add(meaning)

    def _part(self, part: JSON, where: str) -> Part | None:
        """Parse the content of a part; return None if it is empty or went to ``extra``."""
        held = [name for name in _HELD if part.get(name) not in (None, "")]
        if len(held) > 1:
            raise invalid(f"{where} must have one kind of content, not both {held[0]} and {held[1]}", where)
        if not held:
            return self._unheld(part, where)
        self._keep(part, {held[0], "thought", *_HELD_BESIDE.get(held[0], ())}, PARTS)
        match held[0]:
            case "functionCall":
                return self._call(camelled(_object(part["functionCall"], f"{where}.functionCall")), where)
            case "functionResponse":
                return self._result(camelled(_object(part["functionResponse"], f"{where}.functionResponse")), where)
            case "inlineData" | "fileData":
                return self._media(part, where)
            case _:
                return Text(read_text(part["text"], f"{where}.text"))

    def _unheld(self, part: JSON, where: str) -> Opaque | None:
        """Keep a part as `Opaque` if its content is something that only Gemini has."""
        said = {name: value for name, value in part.items() if value is not None}
        if said.keys() - BESIDE - {*_HELD}:
            return Opaque(DIALECT, said, where=where)
        self._keep(said, {"thought", "text"}, PARTS)
        return None

    def _media(self, part: JSON, where: str) -> Media | Opaque:
        if part.get("thought") is True:
            return Opaque(DIALECT, part, where=where)
        held = "inlineData" if part.get("inlineData") is not None else "fileData"
        blob = camelled(_object(part.get(held), where))
        self._keep(blob, FIELDS[f"contents.parts.{held}"], f"{PARTS}.{held}")
        mime = read_text(blob.get("mimeType"), f"{where}.mimeType")
        data = read_text(blob.get("data"), f"{where}.inlineData.data").replace("-", "+").replace("_", "/")
        url = read_text(blob.get("fileUri"), f"{where}.fileData.fileUri")
        if bool(data) == bool(url):
            raise invalid(f"{where} must have data or a fileUri", where)
        name = read_text(blob.get("displayName"), f"{where}.displayName")
        kind = kind_of(mime or mime_by_suffix(url or name) or "image/")
        return Media(kind, mime, data, url, name, self._detail(part))

    def _detail(self, part: JSON) -> str:
        """Return the level of detail for an image; keep a level that only Gemini has in ``extra`` instead."""
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
        name = _name(call, where)
        arguments = _object(call.get("args"), f"{where}.args")
        return ToolCall(self._ledger.called(read_text(call.get("id"), f"{where}.id"), name), name, dumps(arguments))

    def _result(self, response: JSON, where: str) -> ToolResult:
        where = f"{where}.functionResponse"
        self._keep(response, FIELDS["contents.parts.functionResponse"], f"{PARTS}.functionResponse")
        call_id = self._ledger.answered(read_text(response.get("id"), f"{where}.id"), _name(response, where))
        said = _object(response.get("response"), f"{where}.response")
        parts: list[Text | Media | Opaque] = []
        failed = said.keys() == {"error"}
        match said:
            case {"error": value} | {"result": value} | {"output": value} if len(said) == 1:
                text = value if isinstance(value, str) else dumps(value)
            case _:
                text = dumps(said) if said else ""
        if text:
            parts.append(Text(text))
        for index, item in enumerate(_objects(response.get("parts"), f"{where}.parts")):
            part = camelled(item)
            self._keep(part, {"inlineData", "fileData", "mediaResolution"}, f"{PARTS}.functionResponse.parts[]")
            parts.append(self._media(part, f"{where}.parts[{index}]"))
        return ToolResult(call_id, tuple(parts), failed)

    def _keep(self, holder: JSON, known: Container[str], place: str) -> None:
        _keep_apart(self._extra, holder, known, place)


class _Ledger:
    """Assigns results to calls. Clients may leave out the ids; the names and the order then decide."""

    def __init__(self) -> None:
        self._minted = 0
        self._waiting: dict[str, dict[str, None]] = {}
        """For each function, the ids of the calls without a result, in order."""
        self._names: dict[str, str] = {}

    def called(self, id: str, name: str) -> str:
        call_id = id or self._mint()
        self._waiting.setdefault(name, {})[call_id] = None
        self._names[call_id] = name
        return call_id

    def answered(self, id: str, name: str) -> str:
        waiting = self._waiting.get(self._names.get(id, "") if id else name)
        call_id = id or next(iter(waiting or ()), "") or self._mint()
        if waiting:
            waiting.pop(call_id, None)
        return call_id

    def _mint(self) -> str:
        self._minted += 1
        return f"call_{self._minted}"


class _Turn:
    """The parts of a turn so far. Thoughts without a signature stay open, since more of them may follow."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self._parts: list[Part] = []
        self._thoughts: list[str] = []
        self._family = Family.GEMINI
        """The family of the open thoughts."""

    def add(self, part: Part) -> None:
        """Append a part, after the open thoughts."""
        self._parts += self._closed()
        self._parts.append(part)

    def think(self, text: str) -> None:
        """Append thoughts. Consecutive pieces are joined to one thought, because a signature covers all of them."""
        self._thoughts.append(text)

    def sign(self, signature: str) -> None:
        """Add a signature to the thinking just before it, or to an empty one."""
        family, native = unpack(signature, Family.GEMINI)
        if native.startswith(REDACTED):
            self.add(Thinking(redacted=native.removeprefix(REDACTED), family=family))
            return
        self._thoughts.append("")
        self._family = family
        if native:
            self._parts += self._closed(native)

    def finish(self) -> tuple[Part, ...]:
        """Return all parts."""
        return (*self._parts, *self._closed())

    def _closed(self, signature: str = "") -> list[Thinking]:
        thoughts, family = self._thoughts, self._family
        self._thoughts, self._family = [], Family.GEMINI
        return [Thinking("".join(thoughts), signature, family=family)] if thoughts else []


def _object(value: Any, where: str) -> JSON:
    """Read an object; return an empty one for None."""
    return {} if value is None else read_object(value, where)


def _objects(value: Any, where: str) -> list[JSON]:
    """Read a list of objects. A single object stands for a list of one."""
    if isinstance(value, dict):
        return [value]
    if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        raise must_be(where, "a list of objects")
    return value or []


def _name(value: JSON, where: str) -> str:
    """Read a name; raises `FaultError` if it is empty."""
    name = read_text(value.get("name"), f"{where}.name")
    if not name:
        raise invalid(f"{where}.name is missing", f"{where}.name")
    return name


def _take_number(config: JSON, name: str) -> float | None:
    """Remove a number from the ``generationConfig`` and return it."""
    return read_number(config.pop(name, None), f"generationConfig.{name}")


def _take_whole(config: JSON, name: str) -> int | None:
    """Remove a whole number from the ``generationConfig`` and return it."""
    return read_whole_number(config.pop(name, None), f"generationConfig.{name}")


def _keep_apart(extra: JSON, holder: JSON, known: Container[str], place: str) -> None:
    """Add the non-empty fields of *holder* that are not *known* to *extra*."""
    for name, value in holder.items():
        if name not in known and value:
            extra.setdefault(f"{place}.{name}", []).append(value)
