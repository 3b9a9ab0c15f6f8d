"""The simulated model of all deployments. Its response depends only on the request."""

import json
import re
from dataclasses import replace
from typing import Any

from emulator.agent_context import without_context
from emulator.agent_tasks import call_for, is_agent
from emulator.json_schema import value_for
from emulator.model_io import (
    ModelRequest,
    ModelResponse,
    Part,
    RedactedThought,
    StopReason,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    count_tokens,
    digest,
    part_tokens,
)
from emulator.models import Thinking
from emulator.titles import title_of

_SCENE = re.compile(r"scene:(\w+)")
_SLOW = re.compile(r"scene:slow\s+(\d+)")
_LONG = re.compile(r"scene:long\s+(\d+)")
_CALL = re.compile(r"scene:call\s+(\S+)\s*")
_PLAIN = re.compile(r"[A-Za-z]{2,}")
"""Names of tools that are plain words. They occur in many texts that ask for no tool."""
_LONGEST = 100_000
_QUOTED = 12
_HIDDEN = 64
_THINKING = "Let me think about this step by step. The question is clear, so I can answer it."
_ABILITIES = (
    "I am only a simulation of a model, but I can call your tools: ask me to write hello.py, to list the files, "
    "to run the tests, or to run a command in quotation marks."
)
_REFUSAL = "I can't help with that."
QUIRKS = (
    "It's \"quoted\" and 'quoted', a back\\slash, C:\\new\\table, data: not a line,\n"
    "data: nor this one,\ta tab, \u2028 a line separator, \u200b a zero-width space, \ufeff a mark, "
    "\U0001f680 a rocket, \u00e9\u00fc\u4e16\u754c, None, True, False, {'a': None}, [DONE]."
)


def respond(ask: ModelRequest, take: int = 0, notice: str = "") -> ModelResponse:
    """Answer a request. `take` distinguishes several answers to one request; `notice` is added to small talk."""
    ask = _bare(ask)
    if (title := title_of(ask)) is not None:
        return _limited(ModelResponse((Text(_titled(ask, title)),), StopReason.END), ask.limit)
    scenes = set(_SCENE.findall(ask.text))
    slow = _SLOW.search(ask.text)
    delay = int(slow[1]) / 1000 if slow else 0.0
    if "empty" in scenes:
        return ModelResponse((), StopReason.END, delay=delay)
    if "refusal" in scenes:
        return ModelResponse((Text(_REFUSAL),), StopReason.REFUSAL, delay=delay)
    said = _parts(ask, scenes, take, notice)
    stop = StopReason.TOOLS if any(isinstance(part, ToolCall) for part in said) else StopReason.END
    thoughts = _thoughts(ask, scenes)
    full = ModelResponse((*thoughts, *said), stop, delay=delay, hidden=0 if thoughts else _hidden(ask))
    return _limited(_stopped(full, ask.stops), ask.limit)


def _bare(ask: ModelRequest) -> ModelRequest:
    """Remove what an agent adds to texts and tool results, since it may name tools and scenes."""
    results = tuple(replace(result, text=without_context(result.text)) for result in ask.results)
    return replace(ask, text=without_context(ask.text), results=results)


def _titled(ask: ModelRequest, title: str) -> str:
    """Return a title in the requested format."""
    if ask.schema is None:
        return title
    document = _document(ask.schema)
    return json.dumps(document | {"title": title} if isinstance(document, dict) else document, ensure_ascii=False)


def _parts(ask: ModelRequest, scenes: set[str], take: int, notice: str) -> tuple[Part, ...]:
    """Return the text, tool calls or JSON that answers a request."""
    scripted = _CALL.search(ask.text)
    if scripted:
        return (_scripted(ask, scripted),)
    if "parallel" in scenes and ask.tools and ask.choice is not ToolChoice.NONE:
        return _several(ask)
    if not scenes and (task := call_for(ask)) is not None:
        return (ToolCall(*task, digest(ask.seed, 0)),)
    tool = _wanted(ask) if not (scenes - {"slow", "think", "redacted"}) or ask.choice is ToolChoice.REQUIRED else None
    if tool is not None:
        return (_call(ask, tool, 0),)
    return (Text(_text(ask, scenes, take, notice)),)


def _scripted(ask: ModelRequest, found: re.Match[str]) -> ToolCall:
    """Call the tool that the text names, with the JSON that follows its name."""
    rest = ask.text[found.end() :]
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except ValueError:
        return ToolCall(found[1], "{}", digest(ask.seed, 0))
    return ToolCall(found[1], rest[:end], digest(ask.seed, 0))


def _several(ask: ModelRequest) -> tuple[ToolCall, ...]:
    """Call two or three tools at once, or one if only one is allowed."""
    chosen = ask.tools[:3] if len(ask.tools) > 1 else ask.tools * 2
    chosen = chosen if ask.parallel else chosen[:1]
    return tuple(_call(ask, tool, at) for at, tool in enumerate(chosen))


def _wanted(ask: ModelRequest) -> Tool | None:
    """Return the tool to call, if one must be called or the text asks for one."""
    if ask.choice is ToolChoice.NONE or not ask.tools:
        return None
    if ask.choice is ToolChoice.REQUIRED:
        allowed = [tool for tool in ask.tools if not ask.forced or tool.name in ask.forced]
        named = [tool for tool in allowed if tool.name in ask.text]
        return next(iter(named or allowed), None)
    return next((tool for tool in ask.tools if _asked_for(tool.name, ask.text)), None)


def _asked_for(name: str, text: str) -> bool:
    """Return whether a text asks for a tool. A name that is a plain word must stand with "use", "call" or "tool"."""
    word = re.escape(name)
    if _PLAIN.fullmatch(name):
        return re.search(rf"\b(?:use|using|call) (?:the )?[`\"]?{word}\b|\b{word}[`\"]? tool\b", text) is not None
    return re.search(rf"\b{word}\b", text) is not None


def _call(ask: ModelRequest, tool: Tool, at: int) -> ToolCall:
    """Call a tool with arguments that fit its schema."""
    arguments = json.dumps(value_for(tool.schema if tool.schema.get("type") else {"type": "object", **tool.schema}))
    return ToolCall(tool.name, arguments, digest(ask.seed, at))


def _text(ask: ModelRequest, scenes: set[str], take: int, notice: str) -> str:
    """Return the text of the answer."""
    if "echo" in scenes:
        return ask.text.replace("scene:echo", "").strip() or ask.text
    if "quirks" in scenes:
        return QUIRKS
    long = _LONG.search(ask.text)
    if long:
        return " ".join(f"word{number}" for number in range(min(int(long[1]), _LONGEST)))
    if ask.schema is not None:
        return json.dumps(_document(ask.schema), ensure_ascii=False)
    if ask.results:
        return " ".join(_about(ask))
    if ask.media:
        return " ".join(f"I see {_article(one.kind)} ({one.mime}, {one.size} bytes)." for one in ask.media)
    return f"{_friendly(ask, take)} {notice}".strip()


def _document(schema: dict[str, Any]) -> Any:
    """Return a JSON value that fits the schema, or a fixed one if there is no schema."""
    return value_for(schema) if schema else {"answer": "yes", "confidence": 0.9}


def _about(ask: ModelRequest) -> list[str]:
    """Describe the results of the tools."""
    said = []
    for result in ask.results:
        said.append(f"The tool {'failed' if result.failed else 'answered'}: {result.text}")
        if result.images:
            said.append(f"It held {result.images} image{'s' if result.images > 1 else ''}.")
    return said


def _article(kind: str) -> str:
    """Put "a" or "an" before a kind of media."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _friendly(ask: ModelRequest, take: int) -> str:
    """Return a friendly sentence that proves the request was read."""
    words = " ".join(ask.text.split()[:_QUOTED])
    said = f'Happy to help! You said: "{words}".' if words else "Happy to help!"
    if is_agent(ask.tools):
        said += f" {_ABILITIES}"
    elif ask.system:
        said += f" My instructions are {len(ask.system)} characters long."
    return said + (f" (take {take + 1})" if take else "")


def _thoughts(ask: ModelRequest, scenes: set[str]) -> tuple[Part, ...]:
    """Return the thoughts, if the request asks for them and the model can think."""
    if ask.model.thinking is Thinking.NEVER:
        return ()
    found: list[Part] = []
    if ask.thinks or "think" in scenes:
        found.append(Thought(_THINKING))
    if "redacted" in scenes:
        found.append(RedactedThought(ask.seed))
    return tuple(found)


def _hidden(ask: ModelRequest) -> int:
    """Return the hidden reasoning tokens of a model that always thinks: at most half of its limit."""
    if ask.model.thinking is not Thinking.ALWAYS:
        return 0
    return _HIDDEN if ask.limit is None else min(_HIDDEN, ask.limit // 2)


def _stopped(full: ModelResponse, stops: tuple[str, ...]) -> ModelResponse:
    """Cut the answer at the first stop string."""
    kept: list[Part] = []
    for part in full.parts:
        hits = [(part.text.find(stop), stop) for stop in stops if stop in part.text] if isinstance(part, Text) else []
        if hits and isinstance(part, Text):
            at, stop = min(hits)
            kept.extend([Text(part.text[:at])] if at else [])
            return replace(full, parts=tuple(kept), stop=StopReason.STRING, stop_string=stop)
        kept.append(part)
    return full


def _limited(full: ModelResponse, limit: int | None) -> ModelResponse:
    """Cut the answer at the token limit."""
    if limit is None or full.hidden + sum(map(part_tokens, full.parts)) <= limit:
        return full
    left = limit - full.hidden
    kept: list[Part] = []
    for part in full.parts:
        if part_tokens(part) <= left:
            kept.append(part)
            left -= part_tokens(part)
            continue
        match part:
            case Text(text) if left:
                kept.append(Text(_head(text, left)))
            case Thought(text) if left:
                kept.append(Thought(_head(text, left)))
            case _:
                break
        break
    return replace(full, parts=tuple(kept), stop=StopReason.LENGTH, stop_string=None)


def _head(text: str, tokens: int) -> str:
    """Return the start of a text that fits into the number of tokens."""
    head = text[: tokens * 4]
    return head if count_tokens(head) <= tokens else head[:-1]
