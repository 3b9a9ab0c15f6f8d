"""OpenAI's SDK as two clients: chat completions, and Responses."""

import base64
import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.matrix.clients import Call, Client, Counted, Headers, RefusedError, Seen
from tests.matrix.scenes import Ask, End, File, Tool


class OpenAIClient(Client):
    """What OpenAI's two dialects share."""

    def __init__(self, url: str, key: str) -> None:
        self.headers = Headers()
        transport = openai.DefaultHttpxClient(event_hooks={"response": [self.headers.hear]})
        self.sdk = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=transport)

    def send(self, request: dict[str, Any], *, stream: bool) -> Seen:
        try:
            return self.streamed(request) if stream else self.whole(request)
        except openai.APIStatusError as error:
            raise RefusedError(error.status_code, error.message) from error

    @abstractmethod
    def whole(self, request: dict[str, Any]) -> Seen:
        """Ask for an answer in one piece."""

    @abstractmethod
    def streamed(self, request: dict[str, Any]) -> Seen:
        """Ask for a stream."""

    def close(self) -> None:
        self.sdk.close()


class ChatClient(OpenAIClient):
    """Chat completions."""

    dialect = "openai-chat"
    ends: ClassVar[Mapping[End, str]] = {
        End.DONE: "stop",
        End.CALLS: "tool_calls",
        End.LENGTH: "length",
        End.STRING: "stop",
        End.REFUSED: "content_filter",
    }

    def request(self, model: str, ask: Ask) -> dict[str, Any]:
        messages: list[Any] = []
        if ask.system:
            # Not OpenAI's, but what many of its clients send to gateways.
            part = {"type": "text", "text": ask.system, "cache_control": {"type": "ephemeral"}}
            messages.append({"role": "system", "content": [part] if ask.marked else ask.system})
        for user, model_said in ask.history:
            messages += [{"role": "user", "content": user}, {"role": "assistant", "content": model_said}]
        words = {"type": "text", "text": ask.text}
        messages.append({"role": "user", "content": [_chat_file(ask.file), words] if ask.file else ask.text})
        request: dict[str, Any] = {"model": model, "messages": messages}
        if ask.tools:
            request["tools"] = [_chat_tool(tool) for tool in ask.tools]
        request |= {"tools": [{"type": "web_search"}]} if ask.searches else {}
        if ask.forced:
            request["tool_choice"] = {"type": "function", "function": {"name": ask.forced}}
        if ask.schema:
            schema = {"name": "person", "schema": ask.schema, "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        request |= {"stop": [ask.stop]} if ask.stop else {}
        request |= {"max_tokens": ask.limit} if ask.limit else {}
        request |= {"reasoning_effort": "high"} if ask.thinks else {}
        return request

    def followed(self, request: dict[str, Any], said: Any, results: list[tuple[Call, str]]) -> dict[str, Any]:
        answers = [{"role": "tool", "tool_call_id": call.id, "content": result} for call, result in results]
        return {**request, "messages": [*request["messages"], said, *answers]}

    def whole(self, request: dict[str, Any]) -> Seen:
        return self._seen(self.sdk.chat.completions.create(**request))

    def streamed(self, request: dict[str, Any]) -> Seen:
        state = ChatCompletionStreamState()
        ends: list[str] = []
        chunks = self.sdk.chat.completions.create(**request, stream=True, stream_options={"include_usage": True})
        for chunk in chunks:
            state.handle_chunk(chunk)
            ends += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
        assert len(ends) == 1, f"one finish_reason, not {ends}"
        return self._seen(state.current_completion_snapshot)

    def _seen(self, completion: Any) -> Seen:
        choice, usage = completion.choices[0], completion.usage
        message = choice.message
        calls = tuple(map(_chat_call, message.tool_calls or []))
        said = message.model_dump(exclude_none=True, exclude={"parsed"})
        for call in said.get("tool_calls", []):
            call.pop("index", None)
            call.get("function", {}).pop("parsed_arguments", None)
        assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens
        return Seen(
            message.content or "",
            choice.finish_reason,
            Counted(
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.prompt_tokens_details.cached_tokens or 0,
                usage.completion_tokens_details.reasoning_tokens or 0,
            ),
            said,
            getattr(message, "reasoning_content", None) or "",
            calls,
            self.headers.dropped,
            tuple(_address(each) for each in message.annotations or []),
        )


class ResponsesClient(OpenAIClient):
    """Responses."""

    dialect = "openai-responses"
    ends: ClassVar[Mapping[End, str]] = {
        End.DONE: "completed",
        End.CALLS: "completed",
        End.LENGTH: "max_output_tokens",
        End.STRING: "completed",
        End.REFUSED: "content_filter",
    }

    def request(self, model: str, ask: Ask) -> dict[str, Any]:
        items: list[Any] = []
        for user, model_said in ask.history:
            items += [{"role": "user", "content": user}, {"role": "assistant", "content": model_said}]
        words = {"type": "input_text", "text": ask.text}
        items.append({"role": "user", "content": [_responses_file(ask.file), words] if ask.file else ask.text})
        request: dict[str, Any] = {"model": model, "input": items, "store": False}
        request |= {"include": ["reasoning.encrypted_content"]} if ask.tools else {}
        request |= {"instructions": ask.system} if ask.system else {}
        if ask.tools:
            request["tools"] = [_responses_tool(tool) for tool in ask.tools]
        request |= {"tools": [{"type": "web_search"}]} if ask.searches else {}
        if ask.forced:
            request["tool_choice"] = {"type": "function", "name": ask.forced}
        if ask.schema:
            schema = {"type": "json_schema", "name": "person", "schema": ask.schema, "strict": True}
            request["text"] = {"format": schema}
        request |= {"max_output_tokens": ask.limit} if ask.limit else {}
        if ask.stop:
            # Responses has no word for it; it is said anyway, to see that it is named as dropped.
            request["extra_body"] = {"stop": [ask.stop]}
        request |= {"reasoning": {"effort": "high", "summary": "auto"}} if ask.thinks else {}
        return request

    def followed(self, request: dict[str, Any], said: Any, results: list[tuple[Call, str]]) -> dict[str, Any]:
        answers = [
            {
                "type": "custom_tool_call_output" if call.custom else "function_call_output",
                "call_id": call.id,
                "output": result,
            }
            for call, result in results
        ]
        return {**request, "input": [*request["input"], *said, *answers]}

    def whole(self, request: dict[str, Any]) -> Seen:
        return self._seen(self.sdk.responses.create(**request))

    def streamed(self, request: dict[str, Any]) -> Seen:
        pieces: dict[str, list[str]] = {"response.output_text.delta": [], "response.refusal.delta": []}
        items, last, numbers = [], None, []
        for event in self.sdk.responses.create(**request, stream=True):
            numbers.append(event.sequence_number)
            if event.type in pieces:
                pieces[event.type].append(event.delta)
            if event.type == "response.output_item.done":
                items.append(event.item)
            last = event
        assert last is not None
        assert last.type in ("response.completed", "response.incomplete"), last
        assert numbers == list(range(len(numbers)))
        assert "".join(pieces["response.output_text.delta"]) == last.response.output_text
        assert items == last.response.output
        return self._seen(last.response)

    def _seen(self, response: Any) -> Seen:
        calls = tuple(
            Call(item.call_id, item.name, {"input": item.input}, custom=True)
            if item.type == "custom_tool_call"
            else Call(item.call_id, item.name, json.loads(item.arguments))
            for item in response.output
            if item.type in ("function_call", "custom_tool_call")
        )
        parts = [part for item in response.output if item.type == "message" for part in item.content]
        cited = [each.url for part in parts for each in getattr(part, "annotations", [])]
        thoughts = [part.text for item in response.output if item.type == "reasoning" for part in item.summary]
        usage = response.usage
        assert usage.input_tokens + usage.output_tokens == usage.total_tokens
        return Seen(
            response.output_text,
            response.incomplete_details.reason if response.incomplete_details else response.status,
            Counted(
                usage.input_tokens,
                usage.output_tokens,
                usage.input_tokens_details.cached_tokens,
                usage.output_tokens_details.reasoning_tokens,
            ),
            [item.model_dump(exclude_none=True) for item in response.output],
            "".join(thoughts),
            calls,
            self.headers.dropped,
            tuple(cited),
        )


def _chat_tool(tool: Tool) -> dict[str, Any]:
    named = {"name": tool.name, "description": tool.description}
    if tool.custom:
        return {"type": "custom", "custom": named}
    return {"type": "function", "function": {**named, "parameters": tool.schema}}


def _chat_call(call: Any) -> Call:
    if call.type == "custom":
        # The SDK puts calls of a stream together as it finds them.
        custom = call.custom if isinstance(call.custom, dict) else call.custom.model_dump()
        return Call(call.id, custom["name"], {"input": custom["input"]}, custom=True)
    return Call(call.id, call.function.name, json.loads(call.function.arguments))


def _address(annotation: Any) -> str:
    """The SDK puts annotations of a stream together as it finds them."""
    cited = annotation["url_citation"] if isinstance(annotation, dict) else annotation.url_citation
    return str(cited["url"] if isinstance(cited, dict) else cited.url)


def _responses_tool(tool: Tool) -> dict[str, Any]:
    named = {"name": tool.name, "description": tool.description}
    if tool.custom:
        return {"type": "custom", **named}
    return {"type": "function", **named, "parameters": tool.schema, "strict": False}


def _uri(file: File) -> str:
    return f"data:{file.mime};base64,{base64.b64encode(file.data).decode()}"


def _chat_file(file: File) -> dict[str, Any]:
    if file.kind == "image":
        return {"type": "image_url", "image_url": {"url": _uri(file)}}
    return {"type": "file", "file": {"filename": file.name, "file_data": _uri(file)}}


def _responses_file(file: File) -> dict[str, Any]:
    if file.kind == "image":
        return {"type": "input_image", "image_url": _uri(file), "detail": "auto"}
    return {"type": "input_file", "filename": file.name, "file_data": _uri(file)}
