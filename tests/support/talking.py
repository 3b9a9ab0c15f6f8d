"""The models that talk, and plain requests to them in every dialect."""

from typing import Any

from emulator.models import MODELS_BY_NAME, Family
from tests.support.agents import Body
from tests.support.running import Proxy

_TALKS = (Family.CLAUDE, Family.NOVA, Family.GEMINI, Family.GPT)
_TWINS = {
    "anthropic--claude-4.5-haiku",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-3.1-flash-lite",
    "gemini-3.5-flash-lite",
    "gpt-5-mini",
    "gpt-5.6-luna",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
}
"""Models that differ from others in nothing a client can notice."""
MODELS = tuple(model.name for model in MODELS_BY_NAME.values() if model.family in _TALKS and model.name not in _TWINS)
CLAUDES = [name for name in MODELS if MODELS_BY_NAME[name].family is Family.CLAUDE]
ODD = [
    "anthropic--claude-4-sonnet",
    "anthropic--claude-4.8-opus",
    "amazon--nova-pro",
    "gemini-2.5-pro",
    "gemini-3.5-flash",
    "gpt-4o",
    "gpt-5.3-codex",
]
"""Models that take the least, or take it each in a way of its own."""
ONE_OF_EACH = ["anthropic--claude-4.5-sonnet", "amazon--nova-pro", "gemini-2.5-pro", "gpt-4.1", "gpt-5.3-codex"]

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
DIALECTS = ("chat", "messages", "responses", "gemini")
SHAPES = {"chat": "openai", "messages": "anthropic", "responses": "openai", "gemini": "google"}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""The smallest picture: a PNG, in base64."""
HELLO = [{"role": "user", "content": "Hello there"}]


def gemini_path(model: str, *, stream: bool, version: str = "v1beta") -> str:
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/{version}/models/{model}:{verb}"


def request_of(dialect: str, model: str, *, stream: bool, text: str = "Hello there") -> tuple[str, Body]:
    """Write a plain request in a dialect."""
    messages = [{"role": "user", "content": text}]
    match dialect:
        case "chat":
            return CHAT, {"model": model, "stream": stream, "messages": messages}
        case "messages":
            return MESSAGES, {"model": model, "stream": stream, "max_tokens": 1000, "messages": messages}
        case "responses":
            return RESPONSES, {"model": model, "stream": stream, "input": text}
        case _:
            return gemini_path(model, stream=stream), {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def sent(proxy: Proxy) -> list[tuple[int, Any]]:
    """What reached the models: statuses and bodies."""
    return [(each["status"], each["body"]) for each in proxy.cloud.requests()]
