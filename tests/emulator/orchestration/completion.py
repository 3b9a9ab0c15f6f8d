"""Hands to ask orchestration with."""

import json
from typing import Any

import requests

from tests.emulator.client import WEATHER, Client, data_lines

PATH = "v2/completion"
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
GPT, GEMINI, NOVA = "gpt-5", "gemini-3.5-flash", "amazon--nova-pro"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def modules(model: str, template: Any = "Hello", **more: Any) -> dict[str, Any]:
    """Write a configuration of modules; *template* is a text or messages, None for no template at all."""
    details = {"name": model} | {key: more.pop(key) for key in ("params", "version", "max_retries") if key in more}
    prompt = {key: more.pop(key) for key in ("defaults", "tools", "response_format") if key in more}
    messages = [user(template)] if isinstance(template, str) else template
    templating: dict[str, Any] = {"model": details}
    if template is not None:
        templating["prompt"] = {"template": messages, **prompt}
    return {"prompt_templating": templating, **more}


def masking(method: str = "anonymization", *, key: str = "providers", **more: Any) -> dict[str, Any]:
    """Write a masking module."""
    entities = [{"type": "profile-email"}, {"type": "profile-phone"}, {"type": "profile-person"}]
    provider = {"type": "sap_data_privacy_integration", "method": method, "entities": entities}
    return {key: [provider | more]}


def body(*configurations: dict[str, Any], stream: Any = None, **more: Any) -> dict[str, Any]:
    """Write a body: one configuration stands alone, several in a list."""
    several = configurations[0] if len(configurations) == 1 else list(configurations)
    options = {"stream": {"enabled": True, **stream}} if stream is not None else {}
    return {"config": {"modules": several, **options}, **more}


def post(client: Client, *configurations: dict[str, Any], **more: Any) -> requests.Response:
    return client.post(None, PATH, body(*configurations, **more))


def result(client: Client, *configurations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Ask, and give what came of it in the end."""
    answer = post(client, *configurations, **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["final_result"]
    return found


def message(client: Client, *configurations: dict[str, Any], **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = result(client, *configurations, **more)["choices"][0]["message"]
    return found


def refused(client: Client, *configurations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Ask, and give the error."""
    answer = post(client, *configurations, **more)
    assert answer.status_code == 400, answer.text
    found: dict[str, Any] = answer.json()["error"]
    return found


def chunks(client: Client, *configurations: dict[str, Any], **more: Any) -> list[Any]:
    """Ask for a stream, and give its events; the last is `[DONE]` if it ended well."""
    answer = post(client, *configurations, **{"stream": {}, **more})
    assert answer.status_code == 200, answer.text
    return [line.decode() if line == b"[DONE]" else json.loads(line) for line in data_lines(answer.content)]


def deltas(found: list[Any]) -> list[dict[str, Any]]:
    """List what the chunks of a stream add."""
    return [chunk["final_result"]["choices"][0]["delta"] for chunk in found if isinstance(chunk, dict)]
