"""Anthropic's SDK as a client."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import anthropic

from tests.matrix.clients import BUDGET, LENGTH, Call, Client, Counted, Headers, RefusedError, Seen
from tests.matrix.scenes import Ask, End, File


class AnthropicClient(Client):
    """Messages."""

    dialect = "anthropic-messages"
    ends: ClassVar[Mapping[End, str]] = {
        End.DONE: "end_turn",
        End.CALLS: "tool_use",
        End.LENGTH: "max_tokens",
        End.STRING: "stop_sequence",
        End.REFUSED: "refusal",
    }

    def __init__(self, url: str, key: str) -> None:
        self.headers = Headers()
        transport = anthropic.DefaultHttpxClient(event_hooks={"response": [self.headers.hear]})
        self.sdk = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, http_client=transport)

    def request(self, model: str, ask: Ask) -> dict[str, Any]:
        messages: list[Any] = []
        for user, model_said in ask.history:
            messages += [{"role": "user", "content": user}, {"role": "assistant", "content": model_said}]
        words = {"type": "text", "text": ask.text}
        messages.append({"role": "user", "content": [_block(ask.file), words] if ask.file else ask.text})
        request: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": ask.limit or LENGTH}
        if ask.system:
            block = {"type": "text", "text": ask.system, "cache_control": {"type": "ephemeral"}}
            request["system"] = [block] if ask.marked else ask.system
        if ask.tools:
            request["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.schema} for tool in ask.tools
            ]
        search = {"type": "web_search_20250305", "name": "web_search"}
        request |= {"tools": [search]} if ask.searches else {}
        request |= {"tool_choice": {"type": "tool", "name": ask.forced}} if ask.forced else {}
        request |= {"output_config": {"format": {"type": "json_schema", "schema": ask.schema}}} if ask.schema else {}
        request |= {"stop_sequences": [ask.stop]} if ask.stop else {}
        request |= {"thinking": {"type": "enabled", "budget_tokens": BUDGET}} if ask.thinks else {}
        return request

    def followed(self, request: dict[str, Any], said: Any, results: list[tuple[Call, str]]) -> dict[str, Any]:
        answers = [{"type": "tool_result", "tool_use_id": call.id, "content": result} for call, result in results]
        turns = [{"role": "assistant", "content": said}, {"role": "user", "content": answers}]
        return {**request, "messages": [*request["messages"], *turns]}

    def send(self, request: dict[str, Any], *, stream: bool) -> Seen:
        try:
            if not stream:
                return self._seen(self.sdk.messages.create(**request))
            with self.sdk.messages.stream(**request) as events:
                return self._seen(events.get_final_message())
        except anthropic.APIStatusError as error:
            raise RefusedError(error.status_code, str(error)) from error

    def close(self) -> None:
        self.sdk.close()

    def _seen(self, message: Any) -> Seen:
        blocks = message.content
        usage = message.usage
        cached = usage.cache_read_input_tokens or 0
        thinking = usage.output_tokens_details
        return Seen(
            "".join(block.text for block in blocks if block.type == "text"),
            message.stop_reason,
            Counted(
                usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
                usage.output_tokens,
                cached,
                (thinking.thinking_tokens or 0) if thinking else 0,
            ),
            [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in blocks],
            "".join(block.thinking for block in blocks if block.type == "thinking"),
            tuple(Call(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"),
            self.headers.dropped,
            tuple(each.url for block in blocks if block.type == "text" for each in block.citations or []),
        )


def _block(file: File) -> dict[str, Any]:
    data = base64.b64encode(file.data).decode()
    block = {"type": file.kind, "source": {"type": "base64", "media_type": file.mime, "data": data}}
    return block if file.kind == "image" else {**block, "title": file.name}
