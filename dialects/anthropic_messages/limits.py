"""Anthropic messages: what Claude on Bedrock behind SAP AI Core refuses in a request.

Bedrock takes a body with ``anthropic_version`` and refuses every field that it does not know. Each model has rules of
its own as well. Whatever is left out of a request is reported as dropped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any

from dialects.adapt import attachments, claude_limits
from dialects.adapt.signatures import unpack
from dialects.adapt.tool_choice import cannot_call, nothing_to_call
from dialects.adapt.tool_names import named_once
from dialects.adapt.turn_order import BEGINNING, wrapped
from dialects.adapt.unsupported import by_id
from dialects.anthropic_messages.request_parser import parse_block
from dialects.anthropic_messages.vocabulary import DIALECT
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, Family, Media, MediaKind, Opaque, Text
from dialects.core.faults import invalid
from dialects.interface import Rendered

VERSION = "bedrock-2023-05-31"
# The fields that Bedrock accepts at the top of the body. It refuses others with "Extra inputs are not permitted".
_TOP = frozenset({"messages", "system", "stop_sequences", "tools", "tool_choice"})
# Fields that do not pass as they are: the path says them, or `_RequestLimits` sets them itself.
_HANDLED = frozenset(
    {
        "model",
        "stream",
        "anthropic_version",
        "anthropic_beta",
        "max_tokens",
        "thinking",
        "output_config",
        "output_format",
        "temperature",
        "top_p",
        "top_k",
        "cache_control",
    }
)
# Betas that AWS's documentation (https://docs.aws.amazon.com/bedrock) lists under another name than Anthropic.
_BETA_NAMES = {"advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19"}
# Fields that a beta unlocks. They pass if the model's profile lists the beta.
_BY_BETA = {"context_management": "context-management-2025-06-27"}
_TOOL_SEARCH = "tool-search-tool-2025-10-19"
_TOOL_SEARCH_BLOCKS = frozenset({"server_tool_use", "tool_search_tool_result", "tool_reference"})
# Prefixes of the types of tools that the client runs. Other typed tools run on Anthropic's servers, which SAP AI Core
# does not offer.
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_")
# The beta that each version of the computer tool needs. A model that takes one of these betas refuses the others.
_COMPUTERS = {
    "computer_20241022": "computer-use-2024-10-22",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
}
_TOOL_FIELDS = frozenset({"type", "name", "description", "input_schema", "cache_control", "strict", "defer_loading"})
"""Fields of a tool that some models know, or that need a beta."""
_SERVER_BLOCKS = ("server_tool_use", "tool_reference", "container_upload", "mcp_", "compaction")
_UNMARKED = ("thinking", "redacted_thinking")
"""Blocks that cannot have a cache mark."""
_CONFIG = frozenset({"effort", "format"})
_REMOTE = {"url": "a URL", "file": "a file id"}


def fit_request(body: JSON, profile: ModelProfile) -> Rendered:
    """Change only what Bedrock or the model refuses in a request. *body* itself is not modified."""
    limits = _RequestLimits(profile, _betas(body, profile))
    return Rendered(limits.fit(body), tuple(sorted(limits.dropped)))


@dataclass(slots=True)
class _RequestLimits:
    """Fits one body to the model. *dropped* collects the names of what is left out."""

    profile: ModelProfile
    betas: list[str]
    dropped: set[str] = field(default_factory=set)

    def fit(self, body: JSON) -> JSON:
        messages = self.messages(body.get("messages"))
        out = {name: value for name, value in body.items() if self.keeps(name, value)} | {
            "anthropic_version": VERSION,
            "messages": messages,
        }
        if "system" in out:
            out["system"] = self.content(out["system"], "system")
        if not out.get("system"):
            out.pop("system", None)
        self.tools(out)
        self.mark_end(out, body.get("cache_control"))
        for beta in _betas_of(body):
            if _BETA_NAMES.get(beta, beta) not in self.betas:
                self.dropped.add(f"anthropic_beta {beta}")
        self.model_rules(out, body)
        if self.betas:
            out["anthropic_beta"] = self.betas
        return out

    def keeps(self, name: str, value: Any) -> bool:
        """Return whether a field at the top of the body passes as it is; report it as dropped if not."""
        if name in _HANDLED:
            return False
        if name in _TOP or _BY_BETA.get(name) in self.betas:
            return True
        if value is not None:
            self.dropped.add(name)
        return False

    def model_rules(self, out: JSON, body: JSON) -> None:
        """Set the length, thinking, effort, sampling and output format to values that the model accepts."""
        config = body["output_config"] if isinstance(body.get("output_config"), dict) else {}
        choice = out.get("tool_choice")
        requested = claude_limits.RequestedSettings(
            max_tokens=_number(body.get("max_tokens")),
            thinking=body["thinking"] if isinstance(body.get("thinking"), dict) else None,
            effort=config["effort"] if isinstance(config.get("effort"), str) else None,
            temperature=_number(body.get("temperature")),
            top_p=_number(body.get("top_p")),
            top_k=_number(body.get("top_k")),
            forced=isinstance(choice, dict) and choice.get("type") in ("any", "tool"),
            unsigned_calls=_unsigned_calls(out["messages"]),
        )
        plan = claude_limits.reconcile(requested, self.profile)
        self.dropped |= plan.dropped
        self.dropped |= {f"output_config.{name}" for name, value in config.items() if name not in _CONFIG and value}
        ruled = {
            "max_tokens": plan.max_tokens,
            "thinking": plan.thinking,
            "temperature": plan.temperature,
            "top_p": plan.top_p,
            "top_k": plan.top_k,
        }
        out |= {name: value for name, value in ruled.items() if value is not None}
        kept = {"effort": plan.effort, "format": self.format(config.get("format") or body.get("output_format"))}
        if kept := {name: value for name, value in kept.items() if value}:
            out["output_config"] = kept
        self.betas = claude_limits.with_effort_beta(self.betas, plan, self.profile)

    def format(self, format: Any) -> JSON | None:
        """Return the requested output format if the model supports one; report it as dropped otherwise."""
        if not isinstance(format, dict):
            return None
        if not self.profile.native_schema:
            self.dropped.add("output_config.format")
            return None
        return format

    def messages(self, messages: Any) -> list[JSON]:
        if not isinstance(messages, list):
            raise invalid("messages must be a list", "messages")
        turns: list[JSON] = []
        for index, message in enumerate(messages):
            if not isinstance(message, dict):
                raise invalid(f"messages[{index}] must be an object", f"messages[{index}]")
            where = f"messages[{index}].content"
            content = self.content(message.get("content"), where)
            if message.get("role") == "user" and (places := _uploads(message.get("content"), where)):
                raise by_id(places[0], self.profile.name)
            if content:
                turns.append(message | {"content": content})
        if turns and turns[-1].get("role") == "assistant":
            turns[-1] = turns[-1] | {"content": _without_space_at_the_end(turns[-1]["content"])}
        if self.profile.mid_system or all(turn.get("role") in ("user", "assistant") for turn in turns):
            return turns
        return _without_system(turns)

    def content(self, content: Any, where: str) -> Any:
        """Leave out the blocks that are refused. Content that is a plain string stays a string."""
        if isinstance(content, str):
            return content if content.strip() else []
        if not isinstance(content, list):
            return []
        return [block for index, value in enumerate(content) if (block := self.block(value, f"{where}[{index}]"))]

    def block(self, block: Any, where: str) -> JSON | None:
        match block.get("type") if isinstance(block, dict) else None:
            case "text":
                text = block.get("text")
                return None if isinstance(text, str) and not text.strip() else self.marked(block)
            case "thinking" | "redacted_thinking":
                if _is_claudes(block):
                    return self.marked(block)
                self.dropped.add("thinking")
                return None
            case "image" | "document":
                return self.marked(self.attached(block, where))
            case "tool_result":
                inner = block.get("content")
                held = {"content": self.content(inner, f"{where}.content")} if isinstance(inner, list) else {}
                return self.marked(block | held)
            case str(kind):
                return self.approximated(block, where) if self.is_the_servers(kind) else self.marked(block)
            case _:
                raise invalid(f"{where} must be a block with a type", where)

    def attached(self, block: JSON, where: str) -> JSON:
        """Correct the media type of an attachment; raises `FaultError` if the data is at a URL or behind a file id."""
        match block.get("source"):
            case {"type": "url" | "file" as source}:
                raise invalid(
                    f"{where} is a {block['type']} by {_REMOTE[source]}, which model {self.profile.name} cannot fetch: "
                    "send the data itself, as base64",
                    where,
                )
            case {"type": "base64", "media_type": str()}:
                return block | {"source": _known_source(block["source"])}
            case _:
                return block

    def approximated(self, block: JSON, where: str) -> JSON | None:
        """Approximate a block of a tool on Anthropic's servers as text; report it as dropped if it has none."""
        part, _ = parse_block(block, where)
        parts = part.approximation if isinstance(part, Opaque) else ()
        if text := "".join(each.text for each in parts if isinstance(each, Text)).strip():
            return {"type": "text", "text": text}
        self.dropped.add(str(block["type"]))
        return None

    def is_the_servers(self, kind: str) -> bool:
        """Return whether a block belongs to a tool that runs on Anthropic's servers."""
        if _TOOL_SEARCH in self.betas and kind in _TOOL_SEARCH_BLOCKS:
            return False
        return kind.startswith(_SERVER_BLOCKS) or kind.endswith("_tool_result")

    def marked(self, block: JSON) -> JSON:
        """Leave out the fields of cache marks and calls that Bedrock does not know."""
        if block.get("caller") is not None:
            block = {name: value for name, value in block.items() if name != "caller"}
        mark = block.get("cache_control")
        if not isinstance(mark, dict) or mark.keys() <= {"type", "ttl"}:
            return block
        self.dropped |= {f"cache_control.{name}" for name in mark.keys() - {"type", "ttl"}}
        return block | {"cache_control": {name: mark[name] for name in ("type", "ttl") if name in mark}}

    def mark_end(self, out: JSON, mark: Any) -> None:
        """Move the cache mark that is a field of the request to the last block that can have one."""
        if mark is None:
            return
        places = [
            (at, place)
            for at, message in enumerate(out["messages"])
            for place, block in enumerate(_blocks(message["content"], is_system=False))
            if block["type"] not in _UNMARKED
        ]
        if not places or not isinstance(mark, dict):
            self.dropped.add("cache_control")
            return
        at, place = places[-1]
        blocks = _blocks(out["messages"][at]["content"], is_system=False)
        if "cache_control" in blocks[place]:
            return
        if sum(_marks_in(out)) >= claude_limits.MAX_CACHE_MARKS:
            self.dropped.add("cache_control")
            return
        blocks[place] = self.marked(blocks[place] | {"cache_control": mark})
        out["messages"][at] = out["messages"][at] | {"content": blocks}

    def tools(self, out: JSON) -> None:
        """Leave out the tools and the fields of tools that Bedrock does not know."""
        offered = out.get("tools")
        if not isinstance(offered, list):
            out.pop("tools", None)
            out.pop("tool_choice", None)
            return
        out["tools"], differing = named_once([tool for value in offered if (tool := self.tool(value))], "cache_control")
        self.dropped |= differing
        self.choice(out, offered)
        if not out["tools"]:
            out.pop("tool_choice", None)

    def choice(self, out: JSON, offered: list[JSON]) -> None:
        """Raise `FaultError` if the tool choice demands a tool that had to be left out."""
        choice = out.get("tool_choice")
        kind, named = (choice.get("type"), choice.get("name")) if isinstance(choice, dict) else (None, None)
        if kind == "any" and offered and not out["tools"]:
            raise nothing_to_call([Opaque(DIALECT, tool) for tool in offered], self.profile.name)
        if offered and named and named not in [tool.get("name") for tool in out["tools"]]:
            is_declared = any(tool.get("name") == named for tool in offered)
            raise cannot_call(str(named), self.profile.name, is_declared=is_declared)

    def tool(self, tool: Any) -> JSON | None:
        if not isinstance(tool, dict):
            raise invalid("tools must be a list of objects", "tools")
        kind = tool.get("type")
        searched = _TOOL_SEARCH in self.betas
        if isinstance(kind, str) and kind.startswith("computer_"):
            self.check_computer(kind)
            return self.marked(tool)
        if isinstance(kind, str) and kind != "custom":
            if kind.startswith(_CLIENT_TOOLS) or (searched and kind.startswith("tool_search_tool_")):
                return self.marked(tool)
            self.dropped.add(f"tool {kind}")
            return None
        known = _TOOL_FIELDS if self.profile.native_schema else _TOOL_FIELDS - {"strict"}
        known = known if searched else known - {"defer_loading"}
        if not tool.keys() <= known:
            self.dropped |= {f"tools[].{name}" for name, value in tool.items() if name not in known and value}
            tool = {name: value for name, value in tool.items() if name in known}
        return self.marked(tool)

    def check_computer(self, kind: str) -> None:
        """Raise `FaultError` if the model does not know this version of the computer tool, or its beta was not sent.

        The request is refused because the model could not do the task without the tool.
        """
        beta = _COMPUTERS.get(kind)
        if beta not in self.profile.betas:
            raise invalid(f"model {self.profile.name} does not know the tool {kind}", "tools")
        if beta not in self.betas:
            raise invalid(f"the tool {kind} needs {beta} in the header anthropic-beta", "tools")


def _marks_in(value: Any) -> Iterator[int]:
    """Yield 1 for each cache mark in a body, and 0 for each object without one."""
    match value:
        case dict():
            yield int(isinstance(value.get("cache_control"), dict))
            for name in ("tools", "system", "messages", "content"):
                yield from _marks_in(value.get(name))
        case list():
            for each in value:
                yield from _marks_in(each)
        case _:
            pass


def _betas(body: JSON, profile: ModelProfile) -> list[str]:
    """Return the betas that the model is known to accept.

    Bedrock refuses a whole request for one beta it does not know.
    """
    renamed = (_BETA_NAMES.get(beta, beta) for beta in _betas_of(body))
    return list(dict.fromkeys(beta for beta in renamed if beta in profile.betas))


def _betas_of(body: JSON) -> list[str]:
    betas = body.get("anthropic_beta")
    return [beta for beta in betas if isinstance(beta, str)] if isinstance(betas, list) else []


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_claudes(block: JSON) -> bool:
    """Return whether this thinking was made and signed by Claude."""
    proof = block.get("data") if block["type"] == "redacted_thinking" else block.get("signature")
    return isinstance(proof, str) and bool(proof) and unpack(proof, Family.CLAUDE)[0] is Family.CLAUDE


def _unsigned_calls(messages: list[JSON]) -> bool:
    """Return whether the last turn of the assistant calls tools without the thinking that led to the calls.

    It matters only if the results of the calls follow, since Claude then continues that turn.
    """
    if not messages or not _kinds(messages[-1]) & {"tool_result"}:
        return False
    last = next((message for message in reversed(messages) if message.get("role") == "assistant"), {})
    content = last.get("content")
    first = content[0].get("type") if isinstance(content, list) and content else None
    return "tool_use" in _kinds(last) and first not in ("thinking", "redacted_thinking")


def _without_space_at_the_end(content: Any) -> Any:
    """Remove white space from the end of an answer that Claude is to continue; it refuses one that ends in some."""
    match content:
        case str(text):
            return text.rstrip()
        case [*before, {"type": "text", "text": str(text)} as last]:
            return [*before, last | {"text": text.rstrip()}]
        case _:
            return content


def _known_source(source: JSON) -> JSON:
    """Use the media type that Claude knows, and send a document that holds text as text."""
    attached = Media(MediaKind.DOCUMENT, source["media_type"], data=str(source.get("data")))
    text = attachments.text_of(attached)
    if text is None:
        return source | {"media_type": attachments.official_type(source["media_type"])}
    return {"type": "text", "media_type": "text/plain", "data": text}


def _uploads(content: Any, where: str) -> list[str]:
    """List the places of files that a user has uploaded to a container of Anthropic's."""
    blocks = content if isinstance(content, list) else []
    return [
        f"{where}[{index}]"
        for index, block in enumerate(blocks)
        if isinstance(block, dict) and block.get("type") == "container_upload"
    ]


def _kinds(message: JSON) -> set[str]:
    content = message.get("content")
    return {block["type"] for block in content} if isinstance(content, list) else set()


def _without_system(messages: Iterable[JSON]) -> list[JSON]:
    """Turn system messages into parts of the user's turns, in which tool results stay first."""
    turns: list[JSON] = []
    for is_answer, run in groupby(messages, lambda message: message.get("role") == "assistant"):
        if is_answer:
            turns += run
            continue
        contents = [_blocks(message["content"], is_system=message.get("role") != "user") for message in run]
        blocks = list(chain.from_iterable(contents))
        if len(contents) > 1:
            blocks.sort(key=lambda block: block["type"] != "tool_result")
        turns.append({"role": "user", "content": blocks})
    if turns and turns[0].get("role") == "assistant":
        turns.insert(0, {"role": "user", "content": BEGINNING})
    return turns


def _blocks(content: Any, *, is_system: bool) -> list[JSON]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not is_system:
        return list(blocks)
    return [block | {"text": wrapped(str(block.get("text")))} if block["type"] == "text" else block for block in blocks]
