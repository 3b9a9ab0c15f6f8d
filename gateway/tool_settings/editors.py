"""Editors and their agents, each in the form its own pages document: Cursor, Cline, Continue, aider, Zed, VS Code."""

import json
import shlex
from typing import Final

from gateway.tool_settings import KEY_VARIABLE
from gateway.tool_settings.deployed import DeployedModel, best, best_claude
from gateway.tool_settings.tool import TITLE, Connection, Snippet, Tool

_CONTEXT, _OUTPUT = 128_000, 16_000
"""Tokens, of a model whose limits are not known."""
_API_TYPES: Final = {
    # family    what VS Code calls its API    path
    "claude": ("messages", "/v1/messages"),
    "gpt": ("responses", "/v1/responses"),
}
_CHAT: Final = ("chat-completions", "/v1/chat/completions")


def _form(**entries: str) -> str:
    """Write what is filled in by hand, in two columns."""
    width = max(map(len, entries)) + 2
    return "".join(f"{name.replace('_', ' '):<{width}}{value}\n" for name, value in entries.items())


def _cursor(to: Connection) -> Snippet:
    body = _form(
        Override_OpenAI_Base_URL=f"{to.url}/v1",
        OpenAI_API_Key=to.key_for_people,
        Add_model=", ".join(each.name for each in to.models),
    )
    return Snippet(body, "Cursor Settings, Models; Cursor's own servers ask, so they must reach the URL, by https")


def _cline(to: Connection) -> Snippet:
    body = _form(
        API_Provider="OpenAI Compatible",
        Base_URL=f"{to.url}/v1",
        API_Key=to.key_for_people,
        Model_ID=best_claude(to.models).name,
    )
    return Snippet(body, f"Cline's settings; Model ID may be any of: {', '.join(each.name for each in to.models)}")


def _continue(to: Connection) -> Snippet:
    lines = [f"name: {TITLE}", "version: 1.0.0", "schema: v1", "models:"]
    for each in to.models:
        lines += [
            f"  - name: {json.dumps(each.name)}",
            "    provider: openai",
            f"    model: {json.dumps(each.name)}",
            f"    apiBase: {to.url}/v1",
            f"    apiKey: ${{{{ secrets.{KEY_VARIABLE} }}}}",
            "    roles: [chat, edit, apply]",
            "    capabilities: [tool_use, image_input]" if each.sees_images else "    capabilities: [tool_use]",
        ]
    where = f"~/.continue/config.yaml; the key is a line {KEY_VARIABLE}=… of ~/.continue/.env"
    return Snippet("\n".join(lines) + "\n", where)


def _aider(to: Connection) -> Snippet:
    lines = [
        f"export OPENAI_API_BASE={shlex.quote(to.url + '/v1')}",
        f'export OPENAI_API_KEY="${KEY_VARIABLE}"',
        f"aider --model openai/{shlex.quote(best(to.models).name)}",
    ]
    return Snippet("\n".join(lines) + "\n", "your shell", is_shell=True)


def _zed_model(each: DeployedModel) -> dict[str, object]:
    limit = {"max_output_tokens": each.max_output} if each.max_output else {}
    return {
        "name": each.name,
        "display_name": each.name,
        "max_tokens": each.context_window or _CONTEXT,
        **limit,
        "capabilities": {"tools": True, "images": each.sees_images, "parallel_tool_calls": True},
    }


def _zed(to: Connection) -> Snippet:
    provider = {"api_url": f"{to.url}/v1", "available_models": [_zed_model(each) for each in to.models]}
    text = json.dumps({"language_models": {"openai_compatible": {TITLE: provider}}}, indent=2)
    start = f'SAP_AI_CORE_API_KEY="${KEY_VARIABLE}" zed'
    return Snippet(text + "\n", f"Zed's settings (zed: open settings file); start it as {start}")


def _vscode_model(to: Connection, each: DeployedModel) -> dict[str, object]:
    kind, path = _API_TYPES.get(each.family, _CHAT)
    output = each.max_output or _OUTPUT
    return {
        "id": each.name,
        "name": each.name,
        "url": to.url + path,
        "apiType": kind,
        "toolCalling": True,
        "vision": each.sees_images,
        # Together they are the context window.
        "maxInputTokens": max((each.context_window or _CONTEXT) - output, 1),
        "maxOutputTokens": output,
    }


def _vscode(to: Connection) -> Snippet:
    provider = {
        "name": TITLE,
        "vendor": "customendpoint",
        "apiKey": "${input:sapAiCoreKey}",
        "models": [_vscode_model(to, each) for each in to.models],
    }
    where = (
        "chatLanguageModels.json (Chat: Manage Language Models, Add Models, Custom Endpoint); VS Code asks for the key"
    )
    return Snippet(json.dumps([provider], indent=2) + "\n", where)


EDITORS: Final = (
    Tool("cursor", "Cursor", "https://cursor.com/docs/settings/api-keys", _cursor),
    Tool("cline", "Cline", "https://docs.cline.bot/provider-config/openai-compatible", _cline),
    Tool("continue", "Continue", "https://docs.continue.dev/reference", _continue),
    Tool("aider", "aider", "https://aider.chat/docs/llms/openai-compat.html", _aider),
    Tool("zed", "Zed", "https://zed.dev/docs/ai/use-api-access", _zed),
    Tool(
        "vscode",
        "VS Code",
        "https://code.visualstudio.com/docs/agent-customization/language-models",
        _vscode,
        ("copilot", "vs-code"),
    ),
)
"""Tools whose settings cannot be written, or are better reviewed by a person."""
