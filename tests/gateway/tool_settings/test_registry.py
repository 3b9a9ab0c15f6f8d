"""What each tool is told, in the form that its own pages document."""

import ast
import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli.connect import json_text
from gateway.cli.connect.files import write
from gateway.tool_settings.deployed import DeployedModel
from gateway.tool_settings.registry import TOOLS, find_tool, instructions, key_line, list_tools
from gateway.tool_settings.tool import ConnectError, Connection, Format

KEY = "sk-secret"
URL = "http://127.0.0.1:3001"
TO = Connection(
    URL,
    KEY,
    (
        DeployedModel("anthropic--claude-4.6-sonnet", 1_000_000, 128_000, sees_images=True),
        DeployedModel("anthropic--claude-4.5-haiku", 200_000, 64_000, sees_images=True),
        DeployedModel("gemini-3.5-flash", 1_048_576, 65_535, sees_images=True),
        DeployedModel("gpt-5.5", 1_050_000, 128_000),
        DeployedModel("amazon--nova-pro"),
    ),
)
ONE = Connection(URL, KEY, (DeployedModel("amazon--nova-pro"),))


def body_of(name: str, to: Connection = TO) -> str:
    """What is printed of a tool, without what is for people."""
    return find_tool(name).snippet(to).body


def variables_of(name: str) -> dict[str, str]:
    """The variables that shell lines set."""
    lines = [shlex.split(line) for line in body_of(name).splitlines()]
    return dict(words[1].split("=", 1) for words in lines if words[0] == "export")


def written(name: str, home: Path, to: Connection = TO) -> dict[str, str]:
    """The files that are written in an empty home, by their paths in it."""
    write(find_tool(name).files(to, {}, home))
    return {
        str(path.relative_to(home)): path.read_text()
        for path in home.rglob("*")
        if path.is_file() and "before" not in path.name
    }


@pytest.mark.parametrize("tool", TOOLS, ids=[tool.name for tool in TOOLS])
@pytest.mark.parametrize("to", [TO, ONE], ids=["of all vendors", "of one"])
def test_no_tool_prints_the_key_and_each_names_the_url_and_a_model(tool, to):
    said = instructions(tool, to, None)

    assert KEY not in said
    assert "PROXY_KEY" in said or "${input:" in said
    assert URL in said
    assert any(name in said for model in to.models for name in (model.name, model.anthropic_id))
    assert said.startswith(f"# {tool.title} (https://")


def test_a_tool_is_found_by_any_of_its_names():
    names = [name for tool in TOOLS for name in (tool.name, *tool.aliases)]

    assert [find_tool(name.upper()).name for name in names] == [
        tool.name for tool in TOOLS for _ in ("", *tool.aliases)
    ]
    assert len(set(names)) == len(names)
    assert [name for name, _ in list_tools()] == [tool.name for tool in TOOLS]
    with pytest.raises(ConnectError, match="there is no tool 'emacs'; the tools are claude, codex"):
        find_tool("emacs")


def test_the_key_is_set_where_a_shell_is_and_said_where_none_is():
    setter = key_line("it's")

    assert instructions(find_tool("curl"), TO, setter).splitlines()[2] == """export PROXY_KEY='it'"'"'s'"""
    assert instructions(find_tool("openai"), TO, setter).splitlines()[2].startswith("# First, in your shell: export ")


# Claude Code: https://code.claude.com/docs/en/settings, "env"


def test_claude_code_gets_variables_with_anthropics_own_names(tmp_path):
    files = written("claude", tmp_path)

    assert json.loads(files[".claude/settings.json"]) == {
        "env": {
            "ANTHROPIC_BASE_URL": URL,
            "ANTHROPIC_AUTH_TOKEN": KEY,
            "ANTHROPIC_MODEL": "claude-sonnet-4-6",
            "ANTHROPIC_DEFAULT_SONNET_MODEL": "claude-sonnet-4-6",
            "ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-sonnet-4-6",
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "claude-haiku-4-5",
        }
    }
    assert {**variables_of("claude"), "ANTHROPIC_AUTH_TOKEN": KEY} == json.loads(files[".claude/settings.json"])["env"]


def test_claude_code_is_started_without_a_key_of_anthropics():
    start = find_tool("claude").start(TO)

    assert (start.program, start.arguments, start.unset) == ("claude", (), ("ANTHROPIC_API_KEY",))
    assert start.env["ANTHROPIC_AUTH_TOKEN"] == KEY


# Codex: https://developers.openai.com/codex/config-reference, "model_providers"


def test_codex_gets_a_provider_that_speaks_responses(tmp_path):
    provider = {"name": "SAP AI Core", "base_url": f"{URL}/v1", "wire_api": "responses"}
    settings = {"model": "gpt-5.5", "model_provider": "sap-ai-core"}

    printed = tomllib.loads(body_of("codex"))
    file = tomllib.loads(written("codex", tmp_path)[".codex/config.toml"])

    assert printed == {**settings, "model_providers": {"sap-ai-core": {**provider, "env_key": "PROXY_KEY"}}}
    assert file == {**settings, "model_providers": {"sap-ai-core": {**provider, "experimental_bearer_token": KEY}}}


def test_codex_is_started_with_the_same_settings_and_the_key_is_no_argument():
    start = find_tool("codex").start(TO)

    assert start.arguments[::2] == ("-c",) * 3
    assert tomllib.loads("\n".join(start.arguments[1::2])) == tomllib.loads(body_of("codex"))
    assert start.env == {"PROXY_KEY": KEY}


# Gemini CLI: https://geminicli.com/docs/reference/configuration, "security.auth.selectedType", ".env"


def test_gemini_cli_gets_its_kind_of_login_the_model_and_variables(tmp_path):
    files = written("gemini", tmp_path)

    assert json.loads(files[".gemini/settings.json"]) == {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "model": {"name": "gemini-3.5-flash"},
    }
    assert files[".gemini/.env"] == f"GOOGLE_GEMINI_BASE_URL={URL}\nGEMINI_API_KEY={KEY}\n"


def test_gemini_cli_is_started_with_its_kind_of_login_in_a_file_of_ours():
    start = find_tool("gemini").start(TO)
    login = Path(start.env["GEMINI_CLI_SYSTEM_SETTINGS_PATH"])

    assert start.arguments == ("--model", "gemini-3.5-flash")
    assert json.loads(login.read_text()) == {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    assert variables_of("gemini") == {**start.env, "GEMINI_API_KEY": "$PROXY_KEY"}


# opencode: https://opencode.ai/docs/providers, https://opencode.ai/docs/models


def test_opencode_gets_a_provider_for_each_api_with_the_models_it_loses_least_of(tmp_path):
    config = json.loads(written("opencode", tmp_path)[".config/opencode/opencode.json"])
    providers = config.pop("provider")

    assert config == {
        "model": "sap-ai-core-claude/anthropic--claude-4.6-sonnet",
        "small_model": "sap-ai-core-claude/anthropic--claude-4.5-haiku",
    }
    assert {each["npm"]: (each["options"], [*each["models"]]) for each in providers.values()} == {
        "@ai-sdk/anthropic": (
            {"baseURL": f"{URL}/v1", "apiKey": KEY},
            ["anthropic--claude-4.6-sonnet", "anthropic--claude-4.5-haiku"],
        ),
        "@ai-sdk/google": ({"baseURL": f"{URL}/v1beta", "apiKey": KEY}, ["gemini-3.5-flash"]),
        "@ai-sdk/openai": ({"baseURL": f"{URL}/v1", "apiKey": KEY}, ["gpt-5.5"]),
        "@ai-sdk/openai-compatible": ({"baseURL": f"{URL}/v1", "apiKey": KEY}, ["amazon--nova-pro"]),
    }
    assert providers["sap-ai-core-gpt"]["models"] == {"gpt-5.5": {"limit": {"context": 1_050_000, "output": 128_000}}}
    assert providers["sap-ai-core"]["models"] == {"amazon--nova-pro": {}}


def test_opencode_is_started_with_what_is_printed_and_the_key_beside():
    start = find_tool("opencode").start(TO)
    content = json.loads(start.env["OPENCODE_CONFIG_CONTENT"])

    assert content == json.loads(body_of("opencode"))
    assert {each["options"]["apiKey"] for each in content["provider"].values()} == {"{env:PROXY_KEY}"}
    assert start.env["PROXY_KEY"] == KEY


def test_a_file_with_comments_is_the_one_that_opencode_gets(tmp_path):
    path = tmp_path / "opencode" / "opencode.jsonc"
    path.parent.mkdir()
    path.write_text('{\n  // mine\n  "theme": "dark",\n}\n')
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    write(find_tool("opencode").files(ONE, env, Path("/nowhere")))

    assert json_text.parse_object(path.read_text())["model"] == "sap-ai-core/amazon--nova-pro"
    assert "// mine" in path.read_text()


FOLDERS = {
    "claude": ("CLAUDE_CONFIG_DIR", ["settings.json"]),
    "codex": ("CODEX_HOME", ["config.toml"]),
    "gemini": ("GEMINI_CLI_HOME", [".gemini/settings.json", ".gemini/.env"]),
    "opencode": ("XDG_CONFIG_HOME", ["opencode/opencode.json"]),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_folder_that_the_tool_itself_would_use_is_written_to(name):
    variable, paths = FOLDERS[name]

    assert find_tool(name).paths({variable: "/own"}, Path("/home")) == tuple(Path("/own", path) for path in paths)


# Editors


def test_continue_gets_all_models_with_a_secret(tmp_path):
    """https://docs.continue.dev/reference: name, version and schema are required, as are name, provider and model."""
    config: dict[str, Any] = yaml.safe_load(body_of("continue"))

    assert (config["name"], config["version"], config["schema"]) == ("SAP AI Core", "1.0.0", "v1")
    assert [each["model"] for each in config["models"]] == [each.name for each in TO.models]
    assert config["models"][0] == {
        "name": "anthropic--claude-4.6-sonnet",
        "provider": "openai",
        "model": "anthropic--claude-4.6-sonnet",
        "apiBase": f"{URL}/v1",
        "apiKey": "${{ secrets.PROXY_KEY }}",
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use", "image_input"],
    }


def test_zed_gets_a_provider_whose_key_is_in_its_variable():
    """https://zed.dev/docs/ai/use-api-access: the variable is the provider's name in capitals, and _API_KEY."""
    snippet = find_tool("zed").snippet(TO)
    [(name, provider)] = json.loads(snippet.body)["language_models"]["openai_compatible"].items()
    variable = name.upper().replace(" ", "_") + "_API_KEY"

    assert f'{variable}="$PROXY_KEY" zed' in snippet.into
    assert provider["api_url"] == f"{URL}/v1"
    assert provider["available_models"][3] == {
        "name": "gpt-5.5",
        "display_name": "gpt-5.5",
        "max_tokens": 1_050_000,
        "max_output_tokens": 128_000,
        "capabilities": {"tools": True, "images": False, "parallel_tool_calls": True},
    }
    assert provider["available_models"][4]["max_tokens"] == 128_000


def test_vscode_gets_full_urls_by_the_api_of_each_vendor_and_limits_within_the_context():
    """https://code.visualstudio.com/docs/agent-customization/language-models, "Custom Endpoint configuration"."""
    [provider] = json.loads(body_of("vscode"))

    assert (provider["vendor"], provider["apiKey"]) == ("customendpoint", "${input:sapAiCoreKey}")
    assert [(each["apiType"], each["url"].removeprefix(URL)) for each in provider["models"]] == [
        ("messages", "/v1/messages"),
        ("messages", "/v1/messages"),
        ("chat-completions", "/v1/chat/completions"),
        ("responses", "/v1/responses"),
        ("chat-completions", "/v1/chat/completions"),
    ]
    assert provider["models"][1] == {
        "id": "anthropic--claude-4.5-haiku",
        "name": "anthropic--claude-4.5-haiku",
        "url": f"{URL}/v1/messages",
        "apiType": "messages",
        "toolCalling": True,
        "vision": True,
        "maxInputTokens": 136_000,
        "maxOutputTokens": 64_000,
    }


def test_aider_gets_variables_and_a_model_of_openais_kind():
    """https://aider.chat/docs/llms/openai-compat.html."""
    assert variables_of("aider") == {"OPENAI_API_BASE": f"{URL}/v1", "OPENAI_API_KEY": "$PROXY_KEY"}
    assert body_of("aider").splitlines()[-1] == "aider --model openai/gpt-5.5"


@pytest.mark.parametrize("name", ["cursor", "cline"])
def test_what_is_filled_in_by_hand_has_a_line_for_each_field(name):
    fields = dict(line.split("  ", 1) for line in body_of(name).splitlines())

    assert {key: value.strip() for key, value in fields.items() if "URL" in key} == {
        "Override OpenAI Base URL" if name == "cursor" else "Base URL": f"{URL}/v1"
    }
    assert "what `echo $PROXY_KEY` prints" in body_of(name)


# Programs


def test_a_program_of_llamaindex_names_what_the_class_takes():
    """https://developers.llamaindex.ai/python/examples/llm/openai_like/."""
    [call] = [
        node
        for node in ast.walk(ast.parse(body_of("llamaindex")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "OpenAILike"
    ]

    assert {each.arg: each.value.value for each in call.keywords if isinstance(each.value, ast.Constant)} == {
        "api_base": f"{URL}/v1",
        "model": "gpt-5.5",
        "context_window": 1_050_000,
        "is_chat_model": True,
        "is_function_calling_model": True,
    }


def test_only_tools_with_files_can_be_written_for():
    assert find_tool("zed").paths({}, Path()) == ()
    assert find_tool("zed").files(TO, {}, Path()) == ()
    assert {tool.name for tool in TOOLS if tool.files(TO, {}, Path("/home"))} == {*FOLDERS}
    assert {kind for tool in TOOLS if tool.places for _, kind in tool.places({}, Path())} == {*Format}
    with pytest.raises(ConnectError, match="Zed is set up by hand"):
        find_tool("zed", must_be_written=True)


def test_a_model_of_another_vendor_will_do(tmp_path):
    """Where nothing else is deployed, every tool asks the one model there is."""
    files = {path: text for name in FOLDERS for path, text in written(name, tmp_path / name, ONE).items()}

    assert json.loads(files[".claude/settings.json"])["env"]["ANTHROPIC_MODEL"] == "amazon--nova-pro"
    assert tomllib.loads(files[".codex/config.toml"])["model"] == "amazon--nova-pro"
    assert json.loads(files[".gemini/settings.json"])["model"]["name"] == "amazon--nova-pro"
    assert json.loads(files[".config/opencode/opencode.json"])["model"] == "sap-ai-core/amazon--nova-pro"
    assert (tmp_path / "codex" / ".codex" / "config.toml").stat().st_mode & 0o077 == 0
