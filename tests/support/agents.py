"""Requests as real agents and SDKs put them on the wire, one function or constant per client."""

import json
from typing import Any

Body = dict[str, Any]

SCHEMA: Body = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "What to run", "minLength": 1, "pattern": "^.+$"},
        "timeout": {"type": "number", "exclusiveMinimum": 0, "default": 120},
        "mode": {"anyOf": [{"const": "fast"}, {"const": "safe"}]},
        "note": {"type": ["string", "null"]},
        "env": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "string"}},
        "target": {"type": "string", "format": "uri"},
        "place": {"$ref": "#/$defs/place"},
    },
    "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}},
    "required": ["command"],
    "additionalProperties": False,
}
"""Every keyword that agents' tools were seen to use."""
TITLED: Body = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"title": "Name", "type": "string"}, "age": {"title": "Age", "type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
"""A schema as Python's model libraries write it."""

CLAUDE_CODE = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "prompt-caching-scope-2026-01-05,advanced-tool-use-2025-11-20",
    "x-app": "cli",
    "x-claude-code-session-id": "5f0c6a2e-6f5a-4c7e-9d1b-0a5b8f3c2d1e",
}
CLAUDE_CODE_ON_AN_UNKNOWN_MODEL = {
    **CLAUDE_CODE,
    "anthropic-beta": f"{CLAUDE_CODE['anthropic-beta']},mid-conversation-tool-changes-2026-07-01,effort-2025-11-24,"
    "per-turn-control-2026-07-01",
}
CLAUDE_CODE_TITLE = {
    **CLAUDE_CODE,
    "anthropic-beta": f"{CLAUDE_CODE['anthropic-beta']},structured-outputs-2025-12-15,redact-thinking-2026-02-12",
}
_TURN = {"type": "ephemeral"}


def claude_code(model: str, text: str = "Hello there") -> Body:
    """Claude Code's first turn with a model it knows: 90 KB, thinking with a budget, betas' fields and all."""
    tools: list[Body] = [
        {"name": f"Tool{number}", "description": "What it does. " * 280, "input_schema": SCHEMA} for number in range(11)
    ]
    tools.append({"name": "WebFetch", "description": "Fetch.", "input_schema": SCHEMA, "defer_loading": True})
    return {
        "model": model,
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.d5f; cc_entrypoint=cli;"},
            {"type": "text", "text": "You are Claude Code.", "cache_control": _TURN},
            {"type": "text", "text": "Keep to the rules. " * 2000, "cache_control": {**_TURN, "scope": "global"}},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "<system-reminder>Today is Sunday.</system-reminder>"},
                    {"type": "text", "text": text, "cache_control": _TURN},
                ],
            }
        ],
        "tools": tools,
        "thinking": {"type": "enabled", "budget_tokens": 31999, "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": json.dumps({"device_id": "9" * 64, "account_uuid": "", "session_id": "5f0c"})},
    }


def claude_code_on_an_unknown_model(model: str, *, system_last: bool) -> Body:
    """Claude Code's turn with a model it takes for the newest: adaptive thinking, effort, system messages anywhere."""
    body = claude_code(model)
    told = {"role": "system", "content": "The user has opened a file."}
    asked = body["messages"]
    answered = {"role": "assistant", "content": [{"type": "text", "text": "Done."}]}
    messages = [*asked, told] if system_last else [*asked, told, answered, {"role": "user", "content": "Go on"}]
    thinking = {"type": "adaptive", "display": "updates"}
    return {
        **body,
        "max_tokens": 128_000,
        "messages": messages,
        "thinking": thinking,
        "output_config": {"effort": "high"},
    }


def claude_code_title(model: str) -> Body:
    """Claude Code's call in the background for a title."""
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
    return {
        "model": model,
        "max_tokens": 32000,
        "stream": True,
        "system": [{"type": "text", "text": "Write a title for the session."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "<session>fix a bug</session>"}]}],
        "tools": [],
        "thinking": {"type": "disabled"},
        "temperature": 1,
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
        "metadata": {"user_id": "{}"},
    }


_ANTHROPIC = {"name": "bash", "description": "Run a command.", "input_schema": SCHEMA}
_SAID = [{"role": "user", "content": "Hello there"}]
ANTHROPIC_BODIES: dict[str, Body] = {
    "pydantic-ai": {"max_tokens": 64000, "stream": True, "messages": _SAID},
    "instructor": {
        "max_tokens": 1024,
        "messages": _SAID,
        "tools": [_ANTHROPIC],
        "tool_choice": {"type": "tool", "name": "bash", "disable_parallel_tool_use": True},
    },
    "AI SDK": {
        "max_tokens": 64000,
        "stream": True,
        "messages": _SAID,
        "tools": [{**_ANTHROPIC, "eager_input_streaming": True}],
        "tool_choice": {"type": "auto"},
    },
    "AI SDK, an object": {
        "max_tokens": 64000,
        "messages": _SAID,
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {"$schema": "http://json-schema.org/draft-07/schema#", **TITLED},
            }
        },
    },
    "opencode": {
        "max_tokens": 32000,
        "stream": True,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "One part."}, {"type": "text", "text": "Another."}]},
            {"role": "user", "content": [{"type": "text", "text": "Hello there", "cache_control": _TURN}]},
        ],
        "tools": [{**_ANTHROPIC, "eager_input_streaming": True}],
    },
    "pi": {
        "max_tokens": 32000,
        "stream": True,
        "messages": _SAID,
        "tools": [{**_ANTHROPIC, "eager_input_streaming": True, "cache_control": _TURN}],
        "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
    },
    "litellm": {"max_tokens": 4096, "messages": _SAID, "tools": [{**_ANTHROPIC, "type": "custom"}]},
}

CODEX = {
    "Accept": "text/event-stream",
    "originator": "codex_exec",
    "session-id": "0199",
    "thread-id": "0199",
    "x-codex-turn-metadata": "{}",
    "x-client-request-id": "0199",
}


def codex(model: str, text: str = "Hello there") -> Body:
    """Codex' first turn: no instructions, developer items with ids, tools in a namespace, a search at OpenAI."""
    run = {"type": "function", "name": "shell", "description": "Run.", "strict": False, "parameters": SCHEMA}
    space = {"type": "namespace", "name": "agents", "description": "Helpers.", "tools": [{**run, "name": "spawn"}]}
    return {
        "model": model,
        "input": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "developer",
                "content": [{"type": "input_text", "text": "You are Codex."}],
            },
            {"type": "message", "id": "msg_2", "role": "user", "content": [{"type": "input_text", "text": text}]},
        ],
        "tools": [run, space, {"type": "web_search", "external_web_access": False}],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199",
        "client_metadata": {"x-codex-installation-id": "0199"},
    }


def codex_goes_on(body: Body, output: list[Body]) -> Body:
    """Codex' next turn: the items it was given, their ids and states too, and what its calls gave back."""
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "hello-from-tool"}
        for item in output
        if item["type"] == "function_call"
    ]
    return {**body, "input": [*body["input"], *output, *results]}


_DECLARED = {"name": "run_shell_command", "description": "Run a command.", "parametersJsonSchema": SCHEMA}
_CONTENTS = [{"role": "user", "parts": [{"text": "Hello there"}]}]
GEMINI_BODIES: dict[str, tuple[str, Body]] = {
    "Gemini CLI": (
        "v1beta",
        {
            "contents": _CONTENTS,
            "systemInstruction": {"role": "user", "parts": [{"text": "You are an agent."}]},
            "tools": [{"functionDeclarations": [_DECLARED]}],
            "generationConfig": {
                "temperature": 1,
                "topP": 0.95,
                "topK": 64,
                "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192},
            },
        },
    ),
    "Gemini CLI, thinking by level": (
        "v1beta",
        {
            "contents": _CONTENTS,
            "systemInstruction": {"role": "user", "parts": [{"text": "You are an agent."}]},
            "generationConfig": {
                "topK": 64,
                "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
            },
        },
    ),
    "google-genai": (
        "v1",
        {
            "contents": _CONTENTS,
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "run", "description": "Run a command.", "parameters_json_schema": SCHEMA}
                    ]
                }
            ],
            "toolConfig": {"functionCallingConfig": {}},
            "generationConfig": {"maxOutputTokens": 4096},
        },
    ),
    "langchain": (
        "v1beta",
        {
            "contents": _CONTENTS,
            "safetySettings": [],
            "generationConfig": {"candidateCount": 1, "temperature": 0.7},
        },
    ),
}
GEMINI_ROUTER: Body = {
    "contents": _CONTENTS,
    "systemInstruction": {"role": "user", "parts": [{"text": "Choose a model."}]},
    "generationConfig": {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "OBJECT",
            "properties": {"reasoning": {"type": "STRING"}, "complexity": {"type": "INTEGER"}},
            "required": ["reasoning", "complexity"],
        },
    },
}
"""Gemini CLI's call before the first turn, where no model was named."""

_FUNCTION = {"name": "bash", "description": "Run a command.", "parameters": SCHEMA}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": '{"command":"ls"}'}}
_OFFERED = [{"type": "function", "function": _FUNCTION}]
_SYSTEM = {"role": "system", "content": "You are an agent."}
_HELLO = {"role": "user", "content": "Hello there"}
_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
CHAT_BODIES: dict[str, Body] = {
    "opencode": {
        "max_tokens": 32000,
        "top_p": 0.95,
        "messages": [
            _SYSTEM,
            _HELLO,
            {"role": "assistant", "content": "", "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "hello-from-tool"},
            {"role": "user", "content": "One more thing."},
            {"role": "user", "content": "And another."},
        ],
        "tools": _OFFERED,
        "tool_choice": "auto",
        **_USAGE,
    },
    "cline": {"max_tokens": 32000, "temperature": 0, "messages": [_SYSTEM, _HELLO], "tools": _OFFERED, **_USAGE},
    "qwen": {
        "messages": [
            _SYSTEM,
            _HELLO,
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "hello-from-tool"}]},
        ],
        "tools": _OFFERED,
        **_USAGE,
    },
    "pi": {
        "messages": [{**_SYSTEM, "role": "developer"}, _HELLO],
        "max_completion_tokens": 32000,
        "store": False,
        "tools": [{"type": "function", "function": {**_FUNCTION, "strict": False}}],
        "prompt_cache_key": "0199",
        **_USAGE,
    },
    "aider": {"messages": [_SYSTEM, _HELLO], "temperature": 0, "stream": True},
    "langchain, an object": {
        "messages": [_HELLO],
        "response_format": {"type": "json_schema", "json_schema": {"name": "Person", "schema": TITLED, "strict": True}},
    },
    "langchain, a call": {
        "messages": [_HELLO],
        "tools": _OFFERED,
        "tool_choice": {"type": "function", "function": {"name": "bash"}},
        "parallel_tool_calls": False,
    },
    "pydantic-ai": {"messages": [_HELLO], "tools": _OFFERED, "tool_choice": "required"},
    "openai-agents": {"messages": [_HELLO], "tools": [], "store": None, "metadata": {}},
    "every setting at once": {
        "messages": [_HELLO],
        "temperature": 0.7,
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.1,
        "seed": 1,
        "n": 1,
        "logprobs": False,
        "logit_bias": {},
        "user": "somebody",
        "service_tier": "auto",
        "verbosity": "low",
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
    },
    "turns that say nothing": {
        "messages": [
            {"role": "user", "content": ""},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": " "},
            {"role": "developer", "content": "Be brief."},
            _HELLO,
        ],
    },
    "a tool without parameters": {
        "messages": [_HELLO],
        "tools": [{"type": "function", "function": {"name": "now", "description": "Tell the time."}}],
    },
    "calls in the history, and no tools": {
        "messages": [
            _HELLO,
            {"role": "assistant", "content": "", "tool_calls": [_CALL, {**_CALL, "id": "call_2"}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "one"},
            {"role": "tool", "tool_call_id": "call_2", "content": "two"},
            {"role": "system", "content": "Answer in English."},
            {"role": "user", "content": "Go on"},
        ],
    },
}
RESPONSES_BODIES: dict[str, Body] = {
    "openai-agents": {"input": "Hello there", "include": [], "tools": [], "tool_choice": "auto"},
    "openai-agents, a call": {
        "input": [{"role": "user", "content": "Hello there"}],
        "include": [],
        "tools": [
            {"type": "function", "name": "bash", "description": "Run.", "parameters": TITLED, "strict": True},
        ],
        "tool_choice": "required",
    },
    "pydantic-ai": {
        "input": [{"role": "user", "content": "Hello there"}],
        "text": {"format": {"type": "json_schema", "name": "person", "schema": TITLED, "strict": True}},
        "truncation": "disabled",
    },
}
