"""What a Gemini client asks: ``generateContent`` bodies, understood.

Names may be in camel or snake case, and one object may stand for a list of
one, as everywhere in Google's JSON. ``model`` and ``stream``, which Gemini
says in the path, are expected in the body.
"""

from dataclasses import replace
from typing import Any

from dialects.adapt.schemas import from_google
from dialects.adapt.tool_names import narrowed
from dialects.core.conversation import (
    JSON,
    Conversation,
    Effort,
    Opaque,
    OutputFormat,
    Reasoning,
    Sampling,
    Text,
    ToolChoice,
    ToolMode,
    ToolSpec,
)
from dialects.core.faults import invalid
from dialects.gemini.contents import Contents
from dialects.gemini.fields import keep_apart, name_in, object_in, objects_in, take_number, take_whole, text_in
from dialects.gemini.vocabulary import DECLARED, DIALECT, EFFORTS, camelled

_MODES = {"AUTO": ToolMode.AUTO, "ANY": ToolMode.REQUIRED, "NONE": ToolMode.NONE}
_CALLING = "toolConfig.functionCallingConfig"
_SPEC = frozenset({"name", "description", "parameters", "parametersJsonSchema"})


def parse_request(body: JSON) -> Conversation:
    """Understand a request; fields only Gemini knows are kept in ``extra`` under their path."""
    fields = camelled(body)
    config = camelled(object_in(fields.pop("generationConfig", None), "generationConfig"))
    extra: JSON = {}
    tools = _tools(fields.pop("tools", None), extra)
    tool_choice, allowed = _tool_choice(fields.pop("toolConfig", None), extra)
    sampling = _sampling(config)
    output = _output(config)
    reasoning = _reasoning(config, extra)
    conversation = Conversation(
        model=text_in(fields.pop("model", ""), "model"),
        dialect=DIALECT,
        system=_system(fields.pop("systemInstruction", None), extra),
        messages=Contents(extra).messages(fields.pop("contents", None)),
        tools=narrowed(tools, allowed, f"{_CALLING}.allowedFunctionNames") if allowed else tools,
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
    content = camelled(object_in(value, "systemInstruction"))
    keep_apart(extra, content, ("role", "parts"), "systemInstruction")
    texts = []
    for index, item in enumerate(objects_in(content.get("parts"), "systemInstruction.parts")):
        where = f"systemInstruction.parts[{index}]"
        if item and "text" not in item:
            raise invalid(f"{where} must be text", where)
        keep_apart(extra, camelled(item), ("text",), "systemInstruction.parts[]")
        texts.append(Text(text_in(item.get("text"), f"{where}.text")))
    return tuple(text for text in texts if text.text)


def _tools(value: Any, extra: JSON) -> tuple[ToolSpec | Opaque, ...]:
    tools: list[ToolSpec | Opaque] = []
    for index, item in enumerate(objects_in(value, "tools")):
        for name, tool in camelled(item).items():
            where = f"tools[{index}].{name}"
            if name == "functionDeclarations":
                for place, declaration in enumerate(objects_in(tool, where)):
                    tools.append(_spec(camelled(declaration), f"{where}[{place}]", extra))
            elif tool is not None:
                tools.append(Opaque(DIALECT, {name: tool}))
    return tuple(tools)


def _spec(declaration: JSON, where: str, extra: JSON) -> ToolSpec:
    name = name_in(declaration, where)
    schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
    rest = {key: value for key, value in declaration.items() if key not in _SPEC}
    if rest:
        extra.setdefault(DECLARED, {})[name] = rest
    spec = ToolSpec(name, text_in(declaration.get("description"), f"{where}.description"))
    if schema is None:
        return spec
    return replace(spec, parameters=from_google(object_in(schema, f"{where}.parameters")))


def _tool_choice(value: Any, extra: JSON) -> tuple[ToolChoice | None, list[str]]:
    """Read how free the model is to call, and the names of the only functions it may, if it may not call all."""
    config = camelled(object_in(value, "toolConfig"))
    calling = camelled(object_in(config.pop("functionCallingConfig", None), _CALLING))
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
        max_tokens=take_whole(config, "maxOutputTokens"),
        temperature=take_number(config, "temperature"),
        top_p=take_number(config, "topP"),
        top_k=take_whole(config, "topK"),
        stop=tuple(stop),
        seed=take_whole(config, "seed"),
        presence_penalty=take_number(config, "presencePenalty"),
        frequency_penalty=take_number(config, "frequencyPenalty"),
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
        return OutputFormat(from_google(object_in(schema, "generationConfig.responseSchema")))
    return OutputFormat() if config.pop("responseMimeType", None) else None


def _reasoning(config: JSON, extra: JSON) -> Reasoning | None:
    value = config.pop("thinkingConfig", None)
    if value is None:
        return None
    thinking = camelled(object_in(value, "generationConfig.thinkingConfig"))
    # Gemini shows no thoughts unless it is asked to.
    reasoning = Reasoning(shown=thinking.pop("includeThoughts", False) is True)
    match take_whole(thinking, "thinkingBudget", "generationConfig.thinkingConfig"):
        case None:
            pass
        case 0:
            reasoning = replace(reasoning, effort=Effort.NONE)
        case budget if budget > 0:
            reasoning = replace(reasoning, budget=budget)
        case _:
            reasoning = replace(reasoning, adaptive=True)
    level = text_in(thinking.pop("thinkingLevel", None), "generationConfig.thinkingConfig.thinkingLevel").upper()
    if level in EFFORTS:
        reasoning = replace(reasoning, effort=EFFORTS[level])
    elif level not in ("", "THINKING_LEVEL_UNSPECIFIED"):
        thinking["thinkingLevel"] = level
    extra |= {f"generationConfig.thinkingConfig.{name}": item for name, item in thinking.items()}
    return reasoning
