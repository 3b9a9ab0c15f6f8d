"""What a Gemini client asks: ``generateContent`` bodies, understood.

Names may be in camel or snake case, and one object may stand for a list of
one, as everywhere in Google's JSON. ``model`` and ``stream``, which Gemini
says in the path, are expected in the body.
"""

from dataclasses import replace
from typing import Any

from dialects.attachments import kind_of
from dialects.conversation import (
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
from dialects.faults import invalid
from dialects.gemini.wire import DECLARED, DIALECT, EFFORTS, RESOLUTIONS, camelled, mime_by_suffix
from dialects.jsontext import dumps
from dialects.schemas import from_google
from dialects.signatures import REDACTED, unpack

_ROLES = {"user": Role.USER, "function": Role.USER, "model": Role.ASSISTANT}
_MODES = {"AUTO": ToolMode.AUTO, "ANY": ToolMode.REQUIRED, "NONE": ToolMode.NONE}
_DETAILS = {level: detail for detail, level in RESOLUTIONS.items()}
_BESIDE = frozenset({"thought", "thoughtSignature"})
_MEDIA = frozenset({"inlineData", "fileData", "mediaResolution", *_BESIDE})
_BLOB = frozenset({"mimeType", "data", "fileUri", "displayName"})
_SPEC = frozenset({"name", "description", "parameters", "parametersJsonSchema"})


def parse_request(body: JSON) -> Conversation:
    """Understand a request; fields only Gemini knows are kept in ``extra`` under their path."""
    fields = camelled(body)
    config = camelled(_object(fields.pop("generationConfig", None), "generationConfig"))
    extra: JSON = {}
    tools = _tools(fields.pop("tools", None), extra)
    tool_choice = _tool_choice(fields.pop("toolConfig", None), extra)
    sampling = _sampling(config)
    output = _output(config)
    reasoning = _reasoning(config, extra)
    conversation = Conversation(
        model=_text(fields.pop("model", ""), "model"),
        dialect=DIALECT,
        system=_system(fields.pop("systemInstruction", None)),
        messages=_messages(fields.pop("contents", None)),
        tools=tools,
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


def _system(value: Any) -> tuple[Text, ...]:
    if isinstance(value, str):
        return (Text(value),) if value else ()
    content = camelled(_object(value, "systemInstruction"))
    texts = []
    for index, item in enumerate(_objects(content.get("parts"), "systemInstruction.parts")):
        where = f"systemInstruction.parts[{index}]"
        if item and "text" not in item:
            raise invalid(f"{where} must be text", where)
        texts.append(Text(_text(item.get("text"), f"{where}.text")))
    return tuple(text for text in texts if text.text)


def _messages(value: Any) -> tuple[Message, ...]:
    contents = _objects(value, "contents")
    if not contents:
        raise invalid("contents must hold at least one turn", "contents")
    ledger = _Ledger()
    messages: list[Message] = []
    for index, item in enumerate(contents):
        _add_message(messages, camelled(item), f"contents[{index}]", ledger)
    return tuple(messages)


def _add_message(messages: list[Message], content: JSON, where: str, ledger: _Ledger) -> None:
    """Append a turn; the model's go on with the one before, for Google's clients keep a stream as a turn per chunk."""
    said = content.get("role") or "user"
    if not isinstance(said, str) or said not in _ROLES:
        raise invalid(f'{where}.role must be "user" or "model"', f"{where}.role")
    role = _ROLES[said]
    goes_on = role is Role.ASSISTANT and bool(messages) and messages[-1].role is role
    parts: list[Part] = [*messages.pop().parts] if goes_on else []
    for index, item in enumerate(_objects(content.get("parts"), f"{where}.parts")):
        _add_part(parts, camelled(item), f"{where}.parts[{index}]", ledger)
    messages.append(Message(role, tuple(parts)))


def _add_part(parts: list[Part], part: JSON, where: str, ledger: _Ledger) -> None:
    """Append what a part says, with the thinking its signature seals before it."""
    signature = _text(part.pop("thoughtSignature", None), f"{where}.thoughtSignature")
    if "text" in part and part.get("thought") is True:
        text = _text(part["text"], f"{where}.text")
        if text or not signature:
            _think(parts, text)
        if signature:
            _seal(parts, signature)
        return
    if signature:
        _seal(parts, signature)
    meaning = _part(part, where, ledger)
    if meaning is not None:
        parts.append(meaning)


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


def _part(part: JSON, where: str, ledger: _Ledger) -> Part | None:
    match part:
        case {"text": text} if part.keys() <= {"text", *_BESIDE}:
            said = _text(text, f"{where}.text")
            return Text(said) if said else None
        case {"inlineData": blob} | {"fileData": blob}:
            return _media(part, camelled(_object(blob, where)), where)
        case {"functionCall": call}:
            call = camelled(_object(call, f"{where}.functionCall"))
            name = _name(call, f"{where}.functionCall")
            arguments = _object(call.get("args"), f"{where}.functionCall.args")
            call_id = ledger.called(_text(call.get("id"), f"{where}.functionCall.id"), name)
            return ToolCall(call_id, name, dumps(arguments))
        case {"functionResponse": response}:
            return _result(camelled(_object(response, f"{where}.functionResponse")), where, ledger)
        case _:
            return Opaque(DIALECT, part) if part else None


def _media(part: JSON, blob: JSON, where: str) -> Media | Opaque:
    resolution = part.get("mediaResolution")
    level = resolution.get("level") if isinstance(resolution, dict) else resolution
    known = part.keys() <= _MEDIA and blob.keys() <= _BLOB and part.get("thought") is not True
    detail = _DETAILS.get(level, "") if isinstance(level, str) else ""
    if not known or (resolution is not None and not detail):
        return Opaque(DIALECT, part)
    mime = _text(blob.get("mimeType"), f"{where}.mimeType")
    data = _text(blob.get("data"), f"{where}.inlineData.data").replace("-", "+").replace("_", "/")
    url = _text(blob.get("fileUri"), f"{where}.fileData.fileUri")
    if bool(data) == bool(url):
        raise invalid(f"{where} must hold data or a fileUri", where)
    name = _text(blob.get("displayName"), f"{where}.displayName")
    kind = kind_of(mime or mime_by_suffix(url or name) or "image/")
    return Media(kind, mime, data, url, name, detail)


def _result(response: JSON, where: str, ledger: _Ledger) -> ToolResult:
    where = f"{where}.functionResponse"
    call_id = ledger.answered(_text(response.get("id"), f"{where}.id"), _name(response, where))
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
        blob = part.get("inlineData", part.get("fileData"))
        parts.append(_media(part, camelled(_object(blob, where)), f"{where}.parts[{index}]"))
    return ToolResult(call_id, tuple(parts), failed)


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
    spec = ToolSpec(name, _text(declaration.get("description"), f"{where}.description"))
    if schema is None:
        return spec
    return replace(spec, parameters=from_google(_object(schema, f"{where}.parameters")))


def _tool_choice(value: Any, extra: JSON) -> ToolChoice | None:
    config = camelled(_object(value, "toolConfig"))
    calling = camelled(_object(config.pop("functionCallingConfig", None), "toolConfig.functionCallingConfig"))
    extra |= {f"toolConfig.{name}": item for name, item in config.items() if item is not None}
    mode, names = calling.pop("mode", None), calling.pop("allowedFunctionNames", None)
    choice = ToolChoice(_MODES[mode]) if isinstance(mode, str) and mode in _MODES else None
    if choice is None and mode not in (None, "MODE_UNSPECIFIED"):
        calling["mode"] = mode
    match names:
        case [str(name)] | str(name) if choice == ToolChoice(ToolMode.REQUIRED):
            choice = ToolChoice(ToolMode.NAMED, name)
        case None | []:
            pass
        case _:
            calling["allowedFunctionNames"] = names
    extra |= {f"toolConfig.functionCallingConfig.{name}": item for name, item in calling.items()}
    return choice


def _sampling(config: JSON) -> Sampling:
    stop = config.pop("stopSequences", None) or []
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or not all(isinstance(item, str) for item in stop):
        raise invalid("generationConfig.stopSequences must be a list of strings", "generationConfig.stopSequences")
    return Sampling(
        max_tokens=_whole(config, "maxOutputTokens"),
        temperature=_number(config, "temperature"),
        top_p=_number(config, "topP"),
        top_k=_whole(config, "topK"),
        stop=tuple(stop),
        seed=_whole(config, "seed"),
        presence_penalty=_number(config, "presencePenalty"),
        frequency_penalty=_number(config, "frequencyPenalty"),
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
    # Gemini shows no thoughts unless it is asked to.
    reasoning = Reasoning(shown=thinking.pop("includeThoughts", False) is True)
    match _whole(thinking, "thinkingBudget", "generationConfig.thinkingConfig"):
        case None:
            pass
        case 0:
            reasoning = replace(reasoning, effort=Effort.NONE)
        case budget if budget > 0:
            reasoning = replace(reasoning, budget=budget)
        case _:
            reasoning = replace(reasoning, adaptive=True)
    level = _text(thinking.pop("thinkingLevel", None), "generationConfig.thinkingConfig.thinkingLevel").upper()
    if level in EFFORTS:
        reasoning = replace(reasoning, effort=EFFORTS[level])
    elif level not in ("", "THINKING_LEVEL_UNSPECIFIED"):
        thinking["thinkingLevel"] = level
    extra |= {f"generationConfig.thinkingConfig.{name}": item for name, item in thinking.items()}
    return reasoning


def _object(value: Any, where: str) -> JSON:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{where} must be an object", where)
    return value


def _objects(value: Any, where: str) -> list[JSON]:
    if isinstance(value, dict):
        return [value]
    if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        raise invalid(f"{where} must be a list of objects", where)
    return value or []


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(f"{where} must be a string", where)
    return value


def _name(value: JSON, where: str) -> str:
    name = _text(value.get("name"), f"{where}.name")
    if not name:
        raise invalid(f"{where}.name is missing", f"{where}.name")
    return name


def _number(config: JSON, name: str, within: str = "generationConfig") -> float | None:
    value = config.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{within}.{name} must be a number", f"{within}.{name}")
    return value


def _whole(config: JSON, name: str, within: str = "generationConfig") -> int | None:
    value = _number(config, name, within)
    if value is None or isinstance(value, int):
        return value
    if not value.is_integer():
        raise invalid(f"{within}.{name} must be a whole number", f"{within}.{name}")
    return int(value)
