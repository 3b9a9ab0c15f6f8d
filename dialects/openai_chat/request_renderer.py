"""Renderer of OpenAI chat completions requests.

The dialect is that of Azure OpenAI, and, with fewer fields, of Mistral, Perplexity, Cohere and open models. Their chat
templates require alternating roles and instructions only at the front. For them, a late system message becomes a user's
text in ``<system>``, and consecutive turns of one role are merged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any

from dialects.adapt.media_turns import with_media_moved
from dialects.adapt.schemas import answer_for_openai
from dialects.adapt.turn_order import failure_in_words, wrapped
from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import (
    JSON,
    Conversation,
    Media,
    MediaKind,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import invalid
from dialects.interface import Rendered
from dialects.openai_chat.limits import keep_known_fields
from dialects.openai_chat.vocabulary import accepted_call_id
from dialects.openai_common.limits import check_media, drop_refused_sampling, fit_length, fit_tool, nearest_effort
from dialects.openai_common.request_renderer import (
    AS_JSON,
    answered,
    plain_text,
    record_cache_marks,
    says_json,
    texts_of,
    tool_fields,
    user_of,
)
from dialects.openai_common.strict_schemas import answer_schema
from dialects.openai_common.vocabulary import CHAT, CHOICE, LOGPROBS, MESSAGES, RESPONSES, data_uri, merged_text

_AUDIO_FORMAT = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav"}
_SHOWN_BELOW = "(shown below)"
"""Stands in a tool's message for an image, because only a user's message can hold one."""


def render_request(conversation: Conversation, profile: ModelProfile) -> Rendered:
    """Render a request; raises `FaultError` if leaving something out would change the meaning."""
    dropped: set[str] = set()
    body = chat_body(conversation, MessageWriter(profile, dropped), profile, dropped)
    if profile.model_in_body:
        body["model"] = profile.name
    if effort := nearest_effort(conversation.reasoning, profile, dropped):
        body["reasoning_effort"] = effort
    if conversation.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body = keep_known_fields(body, profile, dropped)
    return Rendered(body, tuple(sorted(dropped)))


def chat_body(conversation: Conversation, writer: "MessageWriter", profile: ModelProfile, dropped: set[str]) -> JSON:
    """Render a request except for the model, the reasoning effort and whether it streams."""
    if conversation.tools and not profile.tools:
        raise invalid(f"tools cannot be used with model {profile.name}", "tools")
    unaware = profile.vendor is Vendor.OPENAI and conversation.dialect not in (CHAT, RESPONSES)
    if unaware and not says_json(conversation, [*conversation.system, *texts_of(conversation)]):
        conversation = replace(conversation, system=(*conversation.system, AS_JSON))
    body: JSON = {"messages": writer.write(conversation)}
    body |= _sampling(conversation, profile, dropped)
    body |= _tools(conversation, profile, dropped)
    if conversation.output is not None:
        body |= _output(conversation, conversation.output, profile, dropped)
    body |= user_of(conversation)
    body |= {"prompt_cache_key": conversation.cache_key} if conversation.cache_key else {}
    body |= _extra(conversation, dropped)
    drop_refused_sampling(body, profile, dropped)
    return body


def messages_for(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> list[JSON]:
    """Render the instructions and the history; add the names of what is left out to *dropped*."""
    return MessageWriter(profile, dropped).write(conversation)


def _alternating(messages: list[JSON]) -> list[JSON]:
    """Merge consecutive turns of one role, for chat templates that require alternating roles."""
    runs: list[list[JSON]] = []
    for message in messages:
        before = runs[-1][-1] if runs else None
        same = before is not None and before.get("role") == message.get("role")
        if before is None or not same or message.get("role") == "tool" or "tool_calls" in before:
            runs.append([message])
        else:
            runs[-1].append(message)
    return [_merged(run) if len(run) > 1 else run[0] for run in runs]


def _merged(messages: list[JSON]) -> JSON:
    merged: JSON = {}
    for message in messages:
        merged |= message
    return {**merged, "content": _joined([message.get("content") for message in messages])}


def _joined(contents: list[Any]) -> Any:
    """Join contents. Strings before the first list are joined to one text."""
    said = [content for content in contents if content]
    if len(said) < 2:
        return said[0] if said else contents[-1]
    texts = list(takewhile(lambda content: isinstance(content, str), said))
    text = "\n\n".join(texts)
    if len(texts) == len(said):
        return text
    lists = [text, *said[len(texts) :]] if texts else said
    return [part for content in lists for part in _as_parts(content)]


def _as_parts(content: Any) -> list[Any]:
    if not isinstance(content, str | list):
        raise invalid("messages must have content that is a string or a list of parts", "messages")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


class MessageWriter:
    """Renders the history; adds the names of what it cannot render to *dropped*.

    Subclasses render the messages of similar dialects, and override what differs in them.
    """

    def __init__(self, profile: ModelProfile, dropped: set[str]) -> None:
        self._profile = profile
        self._dropped = dropped
        self._native = profile.vendor is Vendor.OPENAI

    def write(self, conversation: Conversation) -> list[JSON]:
        """Render the instructions and the history."""
        conversation = with_media_moved(conversation, self._media, self._dropped)
        system, turns = self._ordered(conversation)
        messages = self._system(system)
        for message in turns:
            messages += self._message(message)
        if not messages:
            raise invalid("messages must not be empty", "messages")
        return messages if self._native else _alternating(messages)

    def _ordered(self, conversation: Conversation) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
        """Return the instructions, and the turns in an order that the model accepts."""
        return conversation.system, answered(conversation.messages)

    def _system(self, system: tuple[Text, ...]) -> list[JSON]:
        texts = tuple(text for text in system if text.text)
        self._record_marks(texts)
        if not texts:
            return []
        if len(texts) == 1 or not self._native:
            return [{"role": "system", "content": "\n\n".join(text.text for text in texts)}]
        return [{"role": "system", "content": [{"type": "text", "text": text.text} for text in texts]}]

    def _message(self, message: Message) -> Iterator[JSON]:
        self._record_marks(message.parts)
        match message.role:
            case Role.USER:
                yield from self._user(message)
            case Role.ASSISTANT:
                yield from self._assistant(message)
            case Role.SYSTEM:
                yield self._instruction(message)

    def _record_marks(self, parts: tuple[Part, ...]) -> None:
        """Report cache marks as dropped, because the model does not take them."""
        record_cache_marks(parts, self._dropped)

    def _instruction(self, message: Message) -> JSON:
        """Render an instruction among the messages, which can only be text."""
        text = merged_text(message.parts)
        self._dropped |= {part.kind for part in message.parts if isinstance(part, Opaque) and not _is_name(part)}
        if self._profile.mid_system:
            return {"role": "system", "content": text, **self._name(message)}
        return {"role": "user", "content": wrapped(text)}

    def _user(self, message: Message) -> Iterator[JSON]:
        """Render a user's turn. Tool results come first, because they must directly follow their calls."""
        shown: list[Part] = []
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            yield self._result(result)
            shown += [part for part in result.parts if isinstance(part, Media) and plain_text(part) is None]
        others = [part for part in message.parts if not isinstance(part, ToolResult)]
        content = list(self._content([*shown, *others]))
        if content or not results:
            yield {"role": "user", "content": alone(content), **self._name(message)}

    def _result(self, result: ToolResult) -> JSON:
        result = failure_in_words(result)
        texts: list[str] = []
        for part in result.parts:
            match part:
                case Text(text):
                    texts.append(text)
                case Media():
                    texts.append(plain_text(part) or f"{part.kind.value} {part.name} {_SHOWN_BELOW}".replace("  ", " "))
                case Opaque():
                    self._dropped.add(part.kind)
        return {
            "role": "tool",
            "tool_call_id": self._call_id(result.call_id),
            "content": "\n".join(texts),
        }

    def _content(self, parts: Iterable[Part]) -> Iterator[JSON]:
        for part in parts:
            match part:
                case Text():
                    if part.text:
                        yield self._marked({"type": "text", "text": part.text}, part)
                case Media():
                    yield self._marked(self._media(part), part)
                case Opaque():
                    yield from self._opaque(part)
                case Refusal(text):
                    yield {"type": "text", "text": text}
                case Thinking():
                    self._dropped.add("thinking")
                case ToolCall() | ToolResult():
                    raise invalid("a user message contains a function call, which only assistant messages can have")

    def _marked(self, block: JSON, part: Text | Media) -> JSON:  # noqa: ARG002 - for who can be told
        """Add the cache mark of *part* to its block, in a dialect that has cache marks. This one has none."""
        return block

    def _opaque(self, part: Opaque) -> Iterator[JSON]:
        if _is_name(part):
            return
        if part.dialect == CHAT and self._native:
            yield part.payload
        else:
            self._dropped.add(part.kind)

    def _media(self, part: Media) -> JSON:
        if (text := plain_text(part)) is not None:
            return {"type": "text", "text": text}
        check_media(part, self._profile)
        match part.kind:
            case MediaKind.IMAGE:
                detail = {"detail": part.detail} if part.detail else {}
                return {"type": "image_url", "image_url": {"url": data_uri(part), **detail}}
            case MediaKind.AUDIO if part.data:
                form = _AUDIO_FORMAT.get(part.mime, part.mime.rpartition("/")[2])
                return {"type": "input_audio", "input_audio": {"data": part.data, "format": form}}
            case MediaKind.DOCUMENT if part.data:
                name = part.name or "document.pdf"
                return {"type": "file", "file": {"filename": name, "file_data": data_uri(part)}}
            case _:
                what = f"messages contains {part.kind.value} content by URL"
                raise invalid(f"{what}: send the data itself to model {self._profile.name}")

    def _assistant(self, message: Message) -> Iterator[JSON]:
        texts = [part.text for part in message.parts if isinstance(part, Text) and part.text]
        refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        said: JSON = {"role": "assistant", "content": "".join(texts) if texts else None, **self._name(message)}
        if refusals and self._native:
            said["refusal"] = "".join(refusals)
        elif refusals:
            said["content"] = "".join([*texts, *refusals])
        tools = [self._call(call) for call in calls]
        if tools:
            said["tool_calls"] = tools
        elif not refusals and not texts:
            said["content"] = ""
        for part in message.parts:
            self._record_dropped(part)
        if said["content"] or tools or refusals:
            yield said

    def _call(self, call: ToolCall) -> JSON:
        function = {"name": call.name, "arguments": call.arguments or "{}"}
        return {"id": self._call_id(call.id), "type": "function", "function": function}

    def _call_id(self, id: str) -> str:
        return accepted_call_id(id, self._profile)

    def _record_dropped(self, part: Part) -> None:
        match part:
            case Thinking(text, signature, redacted):
                if text or signature or redacted:
                    self._dropped.add("thinking")
            case Opaque() if not _is_name(part):
                self._dropped.add(part.kind)
            case _:
                pass

    def _name(self, message: Message) -> JSON:
        names = [part.payload for part in message.parts if isinstance(part, Opaque) and _is_name(part)]
        return {"name": names[0]["name"]} if names else {}


def alone(content: list[JSON]) -> str | list[JSON]:
    """Return content that is a single text as a string."""
    match content:
        case []:
            return ""
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case _:
            return content


def _is_name(part: Opaque) -> bool:
    is_name = part.payload.get("type") == "name" and isinstance(part.payload.get("name"), str)
    return part.dialect == CHAT and is_name


def _sampling(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> JSON:
    asked = conversation.sampling
    if asked.top_k is not None:
        dropped.add("top_k")
    length = "max_completion_tokens" if profile.max_completion_tokens else "max_tokens"
    fields = {
        length: fit_length(asked.max_tokens, profile, dropped),
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "stop": list(asked.stop) or None,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tools(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> JSON:
    own = conversation.dialect in (CHAT, RESPONSES)

    def declare(tool: ToolSpec) -> JSON:
        fitted = fit_tool(tool, dropped, own=own) if profile.vendor is Vendor.OPENAI else tool
        return {"type": "function", "function": _function(fitted)}

    return tool_fields(conversation, dropped, declare, _choice)


def _function(tool: ToolSpec) -> JSON:
    described = {"description": tool.description} if tool.description else {}
    strict = {"strict": tool.strict} if tool.strict is not None else {}
    return {"name": tool.name, **described, "parameters": dict(tool.parameters), **strict}


def _choice(choice: ToolChoice) -> JSON:
    parallel = {} if choice.parallel is None else {"parallel_tool_calls": choice.parallel}
    if choice.mode is not ToolMode.NAMED:
        return {"tool_choice": CHOICE[choice.mode], **parallel}
    return {"tool_choice": {"type": "function", "function": {"name": choice.name}}, **parallel}


def _output(conversation: Conversation, output: OutputFormat, profile: ModelProfile, dropped: set[str]) -> JSON:
    if output.schema is None and not profile.json_object:
        dropped.add("response_format json_object")
        output = replace(output, schema={"type": "object"})
    if output.schema is None:
        return {"response_format": {"type": "json_object"}}
    if not profile.native_schema:
        dropped.add("response_format")
        return {}
    schema, strict = answer_for_openai(output.schema), output.strict
    if profile.vendor is Vendor.OPENAI:
        schema, strict = answer_schema(conversation, output, dropped)
    wanted = {
        "name": output.name or "answer",
        "description": output.description or None,
        "schema": schema,
        "strict": strict,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    return {"response_format": {"type": "json_schema", "json_schema": wanted}}


def _extra(conversation: Conversation, dropped: set[str]) -> JSON:
    """Return the extra fields to send. Legacy functions are left out here, since they are sent as tools."""
    dropped |= fields_of_messages(conversation)
    elsewhere = fields_of_messages(conversation) | {"functions", "stream_options"}
    extra = {name: value for name, value in conversation.extra.items() if name not in elsewhere}
    if conversation.dialect == CHAT:
        dropped |= {"stream_options"} & conversation.extra.keys()
        return extra
    said = _taken_from(extra) if conversation.dialect == RESPONSES else {}
    dropped |= {name for name, value in extra.items() if value not in (None, False, [], {})}
    return said


def fields_of_messages(conversation: Conversation) -> set[str]:
    """Return the names of extra fields of messages, which no model takes."""
    return {name for name in conversation.extra if name.startswith(MESSAGES)}


def _taken_from(extra: JSON) -> JSON:
    """Remove the fields from a Responses request's extras that chat completions has under another name; return them."""
    said: JSON = {}
    text = dict(extra.get("text") or {})
    if (verbosity := text.pop("verbosity", None)) is not None:
        said["verbosity"] = verbosity
        extra["text"] = text
    if LOGPROBS in (include := extra.get("include") or []):
        said["logprobs"] = True
        extra["include"] = [name for name in include if name != LOGPROBS]
        if (most := extra.pop("top_logprobs", None)) is not None:
            said["top_logprobs"] = most
    return said
