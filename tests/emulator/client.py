"""Hands to ask an emulator with: one client, and one way to say a thing in every protocol."""

import base64
import json
from ast import literal_eval
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import requests
from botocore.eventstream import EventStreamBuffer

from tests.support.processes import until

AWS = "application/vnd.amazon.eventstream"
SONNET = "anthropic--claude-4.5-sonnet"
HAIKU = "anthropic--claude-4.5-haiku"
OPUS = "anthropic--claude-4.8-opus"
OLD_SONNET = "anthropic--claude-3.5-sonnet"
CHAT = "chat/completions?api-version=2025-03-01-preview"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

EVERY_DOOR = [
    ("invoke", SONNET),
    ("invoke", OPUS),
    ("converse", HAIKU),
    ("converse", "amazon--nova-pro"),
    ("gemini", "gemini-2.5-flash"),
    ("gemini", "gemini-2.5-pro"),
    ("gemini", "gemini-3.5-flash"),
    ("chat", "gpt-4.1"),
    ("chat", "gpt-5"),
    ("responses", "gpt-5"),
    ("responses", "gpt-5.3-codex"),
]


@dataclass
class Client:
    """Somebody who holds the service keys."""

    url: str
    tenant: str = "eu"
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.tenants = self.session.get(f"{self.url}/admin/tenants").json()
        self.key = self.tenants[self.tenant]["service_key"]
        self.group = self.tenants[self.tenant]["resource_group"]
        self.token = self.new_token()

    def new_token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.key["clientid"],
            "client_secret": self.key.get("clientsecret", ""),
        }
        return self.session.post(self.key["url"] + "/oauth/token", data=form).json()["access_token"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "AI-Resource-Group": self.group}

    def deployment(self, model: str | None, number: int = 0) -> str:
        found = [one for one in self.tenants[self.tenant]["deployments"] if one["model"] == model]
        return [one["id"] for one in found if one["status"] == "RUNNING"][number]

    def post(self, model: str | None, path: str, body: Any, **kwargs: Any) -> requests.Response:
        return self.send("POST", model, path, json=body, **kwargs)

    def send(self, method: str, model: str | None, path: str, **kwargs: Any) -> requests.Response:
        headers = {**self.headers, **kwargs.pop("headers", {})}
        url = f"{self.url}/v2/inference/deployments/{self.deployment(model, kwargs.pop('number', 0))}/{path}"
        return self.session.request(method, url, headers=headers, timeout=60, **kwargs)

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        headers = {**self.headers, **kwargs.pop("headers", {})}
        return self.session.get(self.url + path, headers=headers, timeout=60, **kwargs)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, f"{self.url}/admin/{path}", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def break_(self, model: str | None, number: int = 0, **fault: Any) -> str:
        seat = self.deployment(model, number)
        self.admin("PUT", f"faults/{seat}", fault)
        return seat


def left(client: Client, seat: str) -> dict[str, Any]:
    """Wait for the record of a client that has left."""

    def record() -> Any:
        return next(reversed(client.admin("GET", f"requests?deployment={seat}")), None)

    until(lambda: (found := record()) and found["client_left"], amiss=record)
    found: dict[str, Any] = record()
    assert found["client_left_at"] >= found["at"]
    return found


@dataclass
class Said:
    """What came back, whatever wire it came over."""

    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    stop: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)


def request(
    door: str,
    model: str,
    text: str,
    *,
    stream: bool = False,
    tools: tuple[str, ...] = (),
    system: str = "",
    limit: int | None = None,
    stops: list[str] | None = None,
) -> tuple[str, dict[str, Any]]:
    """Write a request: its path and its body."""
    body: dict[str, Any]
    match door:
        case "invoke":
            body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": limit or 100_000}
            body |= {"messages": [{"role": "user", "content": text}]}
            body |= {"system": system} if system else {}
            body |= {"stop_sequences": stops} if stops else {}
            body |= {"tools": [{"name": name, "input_schema": WEATHER} for name in tools]} if tools else {}
            return ("invoke-with-response-stream" if stream else "invoke"), body
        case "converse":
            specs = [{"toolSpec": {"name": name, "inputSchema": {"json": WEATHER}}} for name in tools]
            config = {"maxTokens": limit or 100_000} | ({"stopSequences": stops} if stops else {})
            body = {"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": config}
            body |= {"system": [{"text": system}]} if system else {}
            body |= {"toolConfig": {"tools": specs}} if tools else {}
            return ("converse-stream" if stream else "converse"), body
        case "gemini":
            functions = [{"name": name, "parametersJsonSchema": WEATHER} for name in tools]
            config = ({"maxOutputTokens": limit} if limit else {}) | ({"stopSequences": stops} if stops else {})
            body = {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": config}
            body |= {"systemInstruction": {"parts": [{"text": system}]}} if system else {}
            body |= {"tools": [{"functionDeclarations": functions}]} if tools else {}
            return f"models/{model}:{'streamGenerateContent' if stream else 'generateContent'}", body
        case "chat":
            functions = [{"type": "function", "function": {"name": name, "parameters": WEATHER}} for name in tools]
            body = {"messages": [{"role": "user", "content": text}]}
            body["messages"][:0] = [{"role": "system", "content": system}] if system else []
            body |= {"max_completion_tokens": limit} if limit else {}
            body |= {"stop": stops} if stops else {}
            body |= {"tools": functions} if tools else {}
            body |= {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
            return CHAT, body
        case _:
            body = {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]}
            body |= {"instructions": system} if system else {}
            body |= {"max_output_tokens": limit} if limit else {}
            body |= (
                {"tools": [{"type": "function", "name": name, "parameters": WEATHER} for name in tools]}
                if tools
                else {}
            )
            return "responses", body | ({"stream": True} if stream else {})


def say(client: Client, door: str, model: str, text: str, *, stream: bool = False, **options: Any) -> Said:
    """Say a thing, and read what comes back."""
    headers = options.pop("headers", {})
    path, body = request(door, model, text, stream=stream, **options)
    answer = client.post(model, path, body, headers=headers)
    assert answer.status_code == 200, answer.text
    return read(door, answer, stream=stream)


def read(door: str, answer: requests.Response, *, stream: bool) -> Said:
    """Read an answer."""
    readers = {
        "invoke": (_claude, _claude_events),
        "converse": (_converse, _converse_events),
        "gemini": (lambda body: _gemini([body]), _gemini),
        "chat": (_chat, _chat_events),
        "responses": (_responses, lambda found: _responses(found[-1]["response"])),
    }
    return readers[door][1](events(answer)) if stream else readers[door][0](answer.json())


def data_lines(raw: bytes) -> list[bytes]:
    """List the data of server-sent events, as strictly as AI Core's first client did."""
    lines = [line for line in raw.split(b"\n") if line]
    assert all(line.startswith(b"data: ") for line in lines), raw
    return [line[6:] for line in lines]


def events(answer: requests.Response) -> list[Any]:
    """List the events of a stream, in whichever framing."""
    if answer.headers["content-type"].startswith(AWS):
        return list(_aws(answer.content))
    return [_loaded(line) for line in data_lines(answer.content) if line != b"[DONE]"]


def _loaded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return literal_eval(line.decode())


def _aws(raw: bytes) -> Iterator[Any]:
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    for event in buffer:
        payload = json.loads(event.payload)
        if "bytes" in payload:
            yield json.loads(base64.b64decode(payload["bytes"]))
        else:
            del payload["p"]
            yield {event.headers[":event-type"]: payload}


def _claude(body: Any) -> Said:
    said = Said(stop=body["stop_reason"], usage=body["usage"])
    for block in body["content"]:
        match block["type"]:
            case "text":
                said.text += block["text"]
            case "thinking":
                said.thoughts += block["thinking"]
            case "tool_use":
                said.calls.append((block["name"], block["input"]))
    return said


def _claude_events(found: list[Any]) -> Said:
    blocks: dict[int, Any] = {}
    whole = found[0]["message"]
    for event in found:
        match event["type"]:
            case "content_block_start":
                blocks[event["index"]] = event["content_block"] | {"json": ""}
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                key = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
                if delta["type"] == "input_json_delta":
                    block["json"] += delta["partial_json"]
                else:
                    block[key[delta["type"]]] += delta[key[delta["type"]]]
            case "message_delta":
                whole |= event["delta"]
                whole["usage"] |= event["usage"]
    for block in blocks.values():
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"] or "{}")
    return _claude(whole | {"content": list(blocks.values())})


def _converse(body: Any) -> Said:
    said = Said(stop=body["stopReason"], usage=body["usage"])
    for block in body["output"]["message"]["content"]:
        said.text += block.get("text", "")
        said.thoughts += block.get("reasoningContent", {}).get("reasoningText", {}).get("text", "")
        if "toolUse" in block:
            said.calls.append((block["toolUse"]["name"], block["toolUse"]["input"]))
    return said


def _converse_events(found: list[Any]) -> Said:
    said = Said()
    calls: dict[int, list[str]] = {}
    for event in found:
        [(name, value)] = event.items()
        match name:
            case "contentBlockStart":
                calls[value["contentBlockIndex"]] = [value["start"]["toolUse"]["name"], ""]
            case "contentBlockDelta":
                delta = value["delta"]
                said.text += delta.get("text", "")
                said.thoughts += delta.get("reasoningContent", {}).get("text", "")
                if "toolUse" in delta:
                    calls[value["contentBlockIndex"]][1] += delta["toolUse"]["input"]
            case "messageStop":
                said.stop = value["stopReason"]
            case "metadata":
                said.usage = value["usage"]
    said.calls = [(name, json.loads(arguments or "{}")) for name, arguments in calls.values()]
    return said


def _gemini(chunks: list[Any]) -> Said:
    said = Said()
    for chunk in chunks:
        candidate = chunk["candidates"][0]
        said.stop = candidate.get("finishReason", said.stop)
        said.usage |= chunk["usageMetadata"]
        for part in candidate.get("content", {}).get("parts", []):
            if "functionCall" in part:
                said.calls.append((part["functionCall"]["name"], part["functionCall"]["args"]))
            elif part.get("thought"):
                said.thoughts += part["text"]
            else:
                said.text += part["text"]
    return said


def _chat(body: Any) -> Said:
    choice = body["choices"][0]
    calls = [call["function"] for call in choice["message"].get("tool_calls", [])]
    read_calls = [(call["name"], json.loads(call["arguments"])) for call in calls]
    return Said(choice["message"]["content"] or "", "", read_calls, choice["finish_reason"], body["usage"])


def _chat_events(found: list[Any]) -> Said:
    said = Said()
    calls: dict[int, list[str]] = {}
    for chunk in found:
        said.usage = chunk.get("usage") or said.usage
        for choice in chunk["choices"]:
            said.stop = choice["finish_reason"] or said.stop
            said.text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", []):
                held = calls.setdefault(call["index"], ["", ""])
                held[0] += call["function"].get("name", "")
                held[1] += call["function"]["arguments"]
    said.calls = [(name, json.loads(arguments)) for name, arguments in calls.values()]
    return said


def _responses(body: Any) -> Said:
    said = Said(stop=body["status"], usage=body["usage"])
    for item in body["output"]:
        match item["type"]:
            case "message":
                said.text += item["content"][0]["text"]
            case "reasoning":
                said.thoughts += "".join(part["text"] for part in item["summary"])
            case "function_call":
                said.calls.append((item["name"], json.loads(item["arguments"])))
    return said
