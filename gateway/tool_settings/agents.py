"""Agents for the terminal, each with its settings file and its start: Claude Code, Codex, Gemini CLI, opencode.

The formats are those of the pages named in each row.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.tool_settings import KEY_VARIABLE
from gateway.tool_settings.deployed import best, best_claude, best_gemini, best_gpt, best_opus, smallest
from gateway.tool_settings.tool import (
    PROVIDER,
    TITLE,
    Connection,
    Edits,
    Format,
    Snippet,
    Start,
    Tool,
)

GEMINI_LOGIN: Final = Path(__file__).with_name("gemini_login.json")
"""Settings of Gemini CLI that say it has a key: with a base URL it would not ask for one, and not find it."""
_OWN_GEMINI_LOGIN: Final = "~/.gemini-sap-ai-core.json"
"""The same, where it is not on the machine of the proxy."""
_GEMINI_LOGIN: Final = ("security", "auth", "selectedType")
_OPENCODE: Final = (
    # family    name of the provider       package of the AI SDK           path
    ("claude", f"{PROVIDER}-claude", "@ai-sdk/anthropic", "/v1"),
    ("gemini", f"{PROVIDER}-gemini", "@ai-sdk/google", "/v1beta"),
    ("gpt", f"{PROVIDER}-gpt", "@ai-sdk/openai", "/v1"),
    ("", PROVIDER, "@ai-sdk/openai-compatible", "/v1"),
)
"""By which API opencode asks the models of a family: their own vendor's, by which least is lost."""


def _exports(to: Connection, variables: Mapping[str, str]) -> str:
    """Write shell lines; the key is taken from its variable."""
    written = {
        name: f'"${KEY_VARIABLE}"' if value == to.key else shlex.quote(value) for name, value in variables.items()
    }
    return "".join(f"export {name}={value}\n" for name, value in written.items())


# Claude Code


def claude_variables(to: Connection) -> dict[str, str]:
    """Name the models by Anthropic's own ids: of others Claude Code assumes that they are its latest."""
    main = best_claude(to.models).anthropic_id
    return {
        "ANTHROPIC_BASE_URL": to.url,
        "ANTHROPIC_AUTH_TOKEN": to.key,
        "ANTHROPIC_MODEL": main,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": main,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": best_opus(to.models).anthropic_id,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": smallest(to.models).anthropic_id,
    }


def _claude_snippet(to: Connection) -> Snippet:
    return Snippet(
        f"{_exports(to, claude_variables(to))}unset ANTHROPIC_API_KEY\nclaude\n", "your shell", is_shell=True
    )


def _claude_places(env: Mapping[str, str], home: Path) -> tuple[tuple[Path, Format], ...]:
    return ((Path(env.get("CLAUDE_CONFIG_DIR") or home / ".claude") / "settings.json", Format.JSON),)


def _claude_edits(to: Connection) -> tuple[Edits, ...]:
    return ({("env", name): value for name, value in claude_variables(to).items()},)


def _claude_start(to: Connection) -> Start:
    return Start("claude", (), claude_variables(to), unset=("ANTHROPIC_API_KEY",))


# Codex


def codex_settings(to: Connection, *, key: Mapping[str, str]) -> Edits:
    """Say which model of which provider is asked; *key* says where its key is found."""
    return {
        ("model",): best_gpt(to.models).name,
        ("model_provider",): PROVIDER,
        ("model_providers", PROVIDER): {
            "name": TITLE,
            "base_url": f"{to.url}/v1",
            "wire_api": "responses",
            **key,
        },
    }


def _codex_snippet(to: Connection) -> Snippet:
    edits = codex_settings(to, key={"env_key": KEY_VARIABLE})
    lines = []
    for path, value in edits.items():
        if isinstance(value, dict):
            lines += ["", f"[{'.'.join(path)}]", *(f"{name} = {json.dumps(one)}" for name, one in value.items())]
        else:
            lines.append(f"{path[-1]} = {json.dumps(value)}")
    return Snippet("\n".join(lines) + "\n", "~/.codex/config.toml, the first two lines at its top")


def _codex_places(env: Mapping[str, str], home: Path) -> tuple[tuple[Path, Format], ...]:
    return ((Path(env.get("CODEX_HOME") or home / ".codex") / "config.toml", Format.TOML),)


def _codex_edits(to: Connection) -> tuple[Edits, ...]:
    return (codex_settings(to, key={"experimental_bearer_token": to.key}),)


def _codex_start(to: Connection) -> Start:
    arguments: list[str] = []
    for path, value in codex_settings(to, key={"env_key": KEY_VARIABLE}).items():
        written = json.dumps(value)
        if isinstance(value, dict):
            written = "{" + ", ".join(f"{name}={json.dumps(one)}" for name, one in value.items()) + "}"
        arguments += ["-c", f"{'.'.join(path)}={written}"]
    return Start("codex", tuple(arguments), {KEY_VARIABLE: to.key})


# Gemini CLI


def gemini_variables(to: Connection) -> dict[str, str]:
    """Say where Google's API is, and the key for it."""
    return {"GOOGLE_GEMINI_BASE_URL": to.url, "GEMINI_API_KEY": to.key}


def _gemini_snippet(to: Connection) -> Snippet:
    lines = _exports(to, gemini_variables(to))
    if to.in_browser:
        lines += f"echo {shlex.quote(GEMINI_LOGIN.read_text().strip())} > {_OWN_GEMINI_LOGIN}\n"
    path = _OWN_GEMINI_LOGIN if to.in_browser else shlex.quote(str(GEMINI_LOGIN))
    lines += f"export GEMINI_CLI_SYSTEM_SETTINGS_PATH={path}\n"
    model = shlex.quote(best_gemini(to.models).name)
    return Snippet(f"{lines}gemini --model {model}\n", "your shell", is_shell=True)


def _gemini_places(env: Mapping[str, str], home: Path) -> tuple[tuple[Path, Format], ...]:
    folder = Path(env.get("GEMINI_CLI_HOME") or home) / ".gemini"
    return ((folder / "settings.json", Format.JSON), (folder / ".env", Format.ENV))


def _gemini_edits(to: Connection) -> tuple[Edits, ...]:
    settings: Edits = {_GEMINI_LOGIN: "gemini-api-key", ("model", "name"): best_gemini(to.models).name}
    return settings, {(name,): value for name, value in gemini_variables(to).items()}


def _gemini_start(to: Connection) -> Start:
    env = {**gemini_variables(to), "GEMINI_CLI_SYSTEM_SETTINGS_PATH": str(GEMINI_LOGIN)}
    return Start("gemini", ("--model", best_gemini(to.models).name), env)


# opencode


def opencode_settings(to: Connection, key: str) -> Edits:
    """Declare a provider for each family of models, which asks them by the API of their own vendor."""
    edits: dict[tuple[str, ...], object] = {}
    names: dict[str, str] = {}
    for family, provider, package, path in _OPENCODE:
        own = [each for each in to.models if each.family == family]
        names |= {each.name: f"{provider}/{each.name}" for each in own}
        if own:
            edits["provider", provider] = {
                "npm": package,
                "name": f"{TITLE} ({family})" if family else TITLE,
                "options": {"baseURL": to.url + path, "apiKey": key},
                "models": {
                    each.name: {"limit": {"context": each.context_window, "output": each.max_output}}
                    if each.context_window and each.max_output
                    else {}
                    for each in own
                },
            }
    main = best_claude(to.models) if any(each.family == "claude" for each in to.models) else best(to.models)
    edits["model",] = names[main.name]
    edits["small_model",] = names[smallest(to.models).name]
    return edits


def _opencode_text(edits: Edits) -> str:
    providers = {path[1]: value for path, value in edits.items() if path[0] == "provider"}
    rest = {path[0]: value for path, value in edits.items() if len(path) == 1}
    return json.dumps({"$schema": "https://opencode.ai/config.json", "provider": providers, **rest}, indent=2)


def _opencode_snippet(to: Connection) -> Snippet:
    text = _opencode_text(opencode_settings(to, f"{{env:{KEY_VARIABLE}}}"))
    return Snippet(text + "\n", "~/.config/opencode/opencode.json")


def _opencode_places(env: Mapping[str, str], home: Path) -> tuple[tuple[Path, Format], ...]:
    folder = Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    names = ("opencode.jsonc", "opencode.json")  # the former goes before the latter where both are there
    path = next((folder / name for name in names if (folder / name).exists()), folder / names[-1])
    return ((path, Format.JSON),)


def _opencode_edits(to: Connection) -> tuple[Edits, ...]:
    return (opencode_settings(to, to.key),)


def _opencode_start(to: Connection) -> Start:
    content = _opencode_text(opencode_settings(to, f"{{env:{KEY_VARIABLE}}}"))
    return Start("opencode", (), {KEY_VARIABLE: to.key, "OPENCODE_CONFIG_CONTENT": content})


AGENTS: Final = (
    Tool(
        "claude",
        "Claude Code",
        "https://code.claude.com/docs/en/llm-gateway",
        _claude_snippet,
        ("claude-code",),
        _claude_places,
        _claude_edits,
        _claude_start,
    ),
    Tool(
        "codex",
        "Codex CLI",
        "https://developers.openai.com/codex/config-reference",
        _codex_snippet,
        (),
        _codex_places,
        _codex_edits,
        _codex_start,
    ),
    Tool(
        "gemini",
        "Gemini CLI",
        "https://geminicli.com/docs/reference/configuration",
        _gemini_snippet,
        ("gemini-cli",),
        _gemini_places,
        _gemini_edits,
        _gemini_start,
    ),
    Tool(
        "opencode",
        "opencode",
        "https://opencode.ai/docs/providers",
        _opencode_snippet,
        (),
        _opencode_places,
        _opencode_edits,
        _opencode_start,
    ),
)
"""Tools that can also be written for, and started."""
