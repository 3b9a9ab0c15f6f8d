"""Renderer of OpenAI Responses requests.

https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from dialects.adapt.media_turns import with_media_moved
from dialects.adapt.turn_order import failure_in_words
from dialects.capabilities.models import ModelProfile, ThinkingStyle
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
from dialects.openai_common.limits import check_media, drop_refused_sampling, fit_length, fit_tool, nearest_effort
from dialects.openai_common.request_renderer import (
    AS_JSON,
    answered,
    own_thinking,
    plain_text,
    record_cache_marks,
    says_json,
    texts_of,
    tool_fields,
    user_of,
)
from dialects.openai_common.strict_schemas import answer_schema
from dialects.openai_common.vocabulary import CHAT, CHOICE, RESPONSES, data_uri
from dialects.openai_responses.request_parser import SIGNED
from dialects.openai_responses.vocabulary import MEDIA_ROLES, accepted_call_id

_SHORTEST = 16
_CARRIED = frozenset({"include", "max_tool_calls", "metadata", "text", "top_logprobs", "truncation"})
"""Extra fields that only this dialect has, and that are put back into the body."""


def render_request(conversation: Conversation, profile: ModelProfile) -> Rendered:
    """Render a request; raises `FaultError` if leaving something out would change the meaning.

    The backend stores nothing. It returns thoughts in signed form, and the client sends them back with the history.
    """
    dropped: set[str] = set()
    items = _Items(profile, dropped)
    record_cache_marks(conversation.system, dropped)
    body: JSON = {"model": profile.name, "store": False}
    instructions = "\n\n".join(text.text for text in conversation.system if text.text)
    if conversation.dialect != RESPONSES and not says_json(conversation, texts_of(conversation)):
        # OpenAI looks for the word JSON only in the input, so the instructions go there.
        said = Message(Role.SYSTEM, (Text("\n\n".join(filter(None, (instructions, AS_JSON.text)))),))
        conversation = replace(conversation, messages=(said, *conversation.messages))
    elif instructions:
        body["instructions"] = instructions
    body["input"] = list(items.write(conversation))
    if not body["input"]:
        raise invalid("messages must not be empty", "messages")
    body |= _sampling(conversation, profile, dropped)
    body |= _tools(conversation, profile, dropped)
    body |= _reasoning(conversation, profile, dropped)
    if conversation.output:
        body["text"] = {"format": _format(conversation, conversation.output, dropped)}
    body |= {"stream": True} if conversation.stream else {}
    body |= user_of(conversation)
    body |= {"prompt_cache_key": conversation.cache_key} if conversation.cache_key else {}
    _carry_extra(conversation, body, profile, dropped)
    drop_refused_sampling(body, profile, dropped)
    return Rendered(body, tuple(sorted(dropped)))


class _Items:
    """Renders the history as items; adds the names of what it cannot render to *dropped*."""

    def __init__(self, profile: ModelProfile, dropped: set[str]) -> None:
        self._profile = profile
        self._dropped = dropped

    def write(self, conversation: Conversation) -> Iterator[JSON]:
        """Render the history."""
        conversation = with_media_moved(conversation, self._media, self._dropped, MEDIA_ROLES)
        for message in answered(conversation.messages):
            record_cache_marks(message.parts, self._dropped)
            match message.role:
                case Role.USER:
                    yield from self._user(message.parts)
                case Role.ASSISTANT:
                    for part in message.parts:
                        yield from self._said(part)
                case Role.SYSTEM:
                    yield {"role": "developer", "content": self._alone(self._content(message.parts))}

    def _user(self, parts: tuple[Part, ...]) -> Iterator[JSON]:
        results = [part for part in parts if isinstance(part, ToolResult)]
        for result in results:
            yield self._result(result)
        content = list(self._content(part for part in parts if not isinstance(part, ToolResult)))
        if content or not results:
            yield {"role": "user", "content": self._alone(content)}

    @staticmethod
    def _alone(parts: Iterable[JSON]) -> Any:
        """Return content that is a single text as a string."""
        content = list(parts)
        alone = content[0]["text"] if len(content) == 1 and content[0]["type"] == "input_text" else content
        return alone or ""

    def _result(self, result: ToolResult) -> JSON:
        content = list(self._content(failure_in_words(result).parts))
        output: Any = content
        if all(part["type"] == "input_text" for part in content):
            output = "\n".join(part["text"] for part in content)
        return {"type": "function_call_output", "call_id": accepted_call_id(result.call_id), "output": output}

    def _content(self, parts: Iterable[Part]) -> Iterator[JSON]:
        for part in parts:
            match part:
                case Text(text) | Refusal(text):
                    if text:
                        yield {"type": "input_text", "text": text}
                case Media():
                    yield self._media(part)
                case Opaque():
                    yield from self._opaque(part)
                case Thinking():
                    self._dropped.add("thinking")
                case ToolCall() | ToolResult():
                    raise invalid("a user message contains a function call, which only assistant messages can have")

    def _media(self, part: Media) -> JSON:
        if (text := plain_text(part)) is not None:
            return {"type": "input_text", "text": text}
        check_media(part, self._profile)
        match part.kind:
            case MediaKind.IMAGE:
                return {"type": "input_image", "image_url": data_uri(part), "detail": part.detail or "auto"}
            case MediaKind.DOCUMENT if part.url:
                return {"type": "input_file", "file_url": part.url}
            case MediaKind.DOCUMENT:
                return {"type": "input_file", "filename": part.name or "document.pdf", "file_data": data_uri(part)}
            case _:
                raise invalid(f"messages contains {part.kind.value} content, which the Responses API does not support")

    def _said(self, part: Part) -> Iterator[JSON]:
        """Render a part of the model's turn."""
        match part:
            case Text(text) | Refusal(text):
                if text:
                    yield {"role": "assistant", "content": text}
            case Thinking():
                yield from self._thought(part)
            case ToolCall(id, name, arguments):
                yield {
                    "type": "function_call",
                    "call_id": accepted_call_id(id),
                    "name": name,
                    "arguments": arguments or "{}",
                }
            case Opaque():
                yield from self._opaque(part)
            case Media():
                # It has been moved to the user's turn.
                pass
            case ToolResult():
                yield self._result(part)

    def _thought(self, part: Thinking) -> Iterator[JSON]:
        if own_thinking(part):
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            yield {"type": "reasoning", "summary": summary, "encrypted_content": part.signature}
        elif part.text or part.signature or part.redacted:
            self._dropped.add("thinking")

    def _opaque(self, part: Opaque) -> Iterator[JSON]:
        if part.dialect == RESPONSES:
            yield part.payload
        else:
            self._dropped.add(part.kind)


def _sampling(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> JSON:
    asked = conversation.sampling
    unsupported_settings = {
        "top_k": asked.top_k,
        "stop": asked.stop or None,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty or None,
        "frequency_penalty": asked.frequency_penalty or None,
    }
    dropped |= {name for name, value in unsupported_settings.items() if value is not None}
    fields = {
        "max_output_tokens": length_for(asked.max_tokens, profile, dropped),
        "temperature": asked.temperature,
        "top_p": asked.top_p,
    }
    return {name: value for name, value in fields.items() if value is not None}


def length_for(length: int | None, profile: ModelProfile, dropped: set[str]) -> int | None:
    """Limit the requested length to the model's maximum and to the minimum of Responses."""
    if length is None or length >= _SHORTEST:
        return fit_length(length, profile, dropped)
    dropped.add(f"max_tokens below {_SHORTEST}")
    return _SHORTEST


def _tools(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> JSON:
    own = conversation.dialect in (CHAT, RESPONSES)

    def declare(tool: ToolSpec) -> JSON:
        return render_function(fit_tool(tool, dropped, choices=profile.choice_at_root, own=own))

    return tool_fields(conversation, dropped, declare, _choice)


def render_function(tool: ToolSpec) -> JSON:
    """Declare a function; it always says whether it is strict, because Responses, unlike chat, assumes that it is."""
    described = {"description": tool.description} if tool.description else {}
    strict = bool(tool.strict)
    return {"type": "function", "name": tool.name, **described, "parameters": dict(tool.parameters), "strict": strict}


def _choice(choice: ToolChoice) -> JSON:
    parallel = {} if choice.parallel is None else {"parallel_tool_calls": choice.parallel}
    if choice.mode is ToolMode.NAMED:
        return {"tool_choice": {"type": "function", "name": choice.name}, **parallel}
    return {"tool_choice": CHOICE[choice.mode], **parallel}


def _reasoning(conversation: Conversation, profile: ModelProfile, dropped: set[str]) -> JSON:
    """Render the reasoning settings. Models that think are asked for signed thoughts, so that they can be sent back."""
    asked = conversation.reasoning
    effort = nearest_effort(asked, profile, dropped)
    if profile.thinking is not ThinkingStyle.EFFORT:
        return {}
    said: JSON = {"effort": effort} if effort else {}
    if asked and (asked.summary or asked.shown):
        said["summary"] = asked.summary or "auto"
    return {"include": [SIGNED], **({"reasoning": said} if said else {})}


def _format(conversation: Conversation, output: OutputFormat, dropped: set[str]) -> JSON:
    if output.schema is None:
        return {"type": "json_object"}
    schema, strict = answer_schema(conversation, output, dropped)
    said = {"type": "json_schema", "name": output.name or "answer", "schema": schema}
    described = {"description": output.description} if output.description else {}
    return {**said, **described, **({"strict": strict} if strict is not None else {})}


def _taken_from(extra: Mapping[str, Any], body: JSON, profile: ModelProfile) -> JSON:
    """Move the fields of chat completions that Responses has as well into *body*; return the remaining ones."""
    rest = dict(extra)
    if profile.verbosity and "verbosity" in rest:
        body["text"] = {**body.get("text", {}), "verbosity": rest.pop("verbosity")}
    if "metadata" in rest:
        body["metadata"] = rest.pop("metadata")
    return rest


def _carry_extra(conversation: Conversation, body: JSON, profile: ModelProfile, dropped: set[str]) -> None:
    own = conversation.dialect == RESPONSES
    if conversation.dialect == CHAT:
        conversation = replace(conversation, extra=_taken_from(conversation.extra, body, profile))
    for name, value in conversation.extra.items():
        if not own or name not in _CARRIED:
            dropped |= {name} if value not in (None, False, [], {}) and name != "functions" else set()
        elif name == "text":
            body["text"] = {**body.get("text", {}), **value}
        elif name == "include":
            body["include"] = [*body.get("include", []), *value]
        else:
            body[name] = value
