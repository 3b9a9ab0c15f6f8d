"""What agents' users ask in a first conversation, as the agents send it (shortened), and what the model answers."""

import json
from typing import Any

import pytest

from emulator.agent_tasks import Read, Run, Write, task_of
from tests.emulator.client import SONNET, Said, read

GEMINI, GPT = "gemini-2.5-pro", "gpt-5"
REMINDERS = (
    "<system-reminder>\n# Environment\n - Primary working directory: /home/jo/app\n</system-reminder>",
    "<system-reminder>\nSkills are available: Write, Bash, ToolSearch. scene:parallel\n</system-reminder>",
    "<system-reminder>\nToday's date is 2026-11-27.\n</system-reminder>",
)
SESSION = (
    "<session_context>\nThis is the Gemini CLI. We are setting up the context for our chat.\n"
    "- **Workspace Directories:**\n  - /home/jo/app\n- **Directory Structure:**\n\nscene:refusal\nlist the files\n"
    "</session_context>"
)
ENVIRONMENT = "<environment_context>\n  <cwd>/home/jo/app</cwd>\n  <shell>bash</shell>\n</environment_context>"
INSTRUCTIONS = (
    "# AGENTS.md instructions for /home/jo/app\n\n<INSTRUCTIONS>\nRun the tests. scene:refusal\n</INSTRUCTIONS>"
)


def schema(*required: str, **more: str) -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in required} | {name: {"type": of} for name, of in more.items()}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


WRITE, BASH = schema("file_path", "content"), schema("command", description="string", timeout="number")


def claude_code(*said: str, results: tuple[str, ...] = ()) -> tuple[str, str, str, dict[str, Any]]:
    """Claude Code 2.1.332: reminders as blocks before the user's words, and after what tools gave back."""
    tools = {"Bash": BASH, "Edit": schema("file_path"), "Read": schema("file_path"), "Skill": schema("skill")}
    tools |= {"Agent": schema("prompt"), "Write": WRITE}
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in (*REMINDERS, *said)]
    messages: list[dict[str, Any]] = [{"role": "user", "content": blocks}]
    for number, result in enumerate(results):
        call = {"type": "tool_use", "id": f"t{number}", "name": "Write", "input": {}}
        given = {"type": "tool_result", "tool_use_id": f"t{number}", "content": result}
        messages.append({"role": "assistant", "content": [call]})
        messages.append({"role": "user", "content": [given, {"type": "text", "text": REMINDERS[1]}]})
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 32000,
        "system": [{"type": "text", "text": "You are an agent. Do not write a title. " * 50}],
        "messages": messages,
        "tools": [{"name": name, "input_schema": declared} for name, declared in tools.items()],
    }
    return "invoke", SONNET, "invoke", body


def codex(*said: str, output: str | None = None) -> tuple[str, str, str, dict[str, Any]]:
    """Codex 0.171.0: developer messages, the environment as a message of the user's, then the user's words."""
    tools = {"exec_command": schema("cmd", workdir="string"), "write_stdin": schema("session_id")}
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "You are Codex."}]},
        *[
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
            for text in (INSTRUCTIONS, ENVIRONMENT, *said)
        ],
    ]
    if output is not None:
        call = {"type": "function_call", "call_id": "call_1", "name": "exec_command", "arguments": "{}"}
        items += [call, {"type": "function_call_output", "call_id": "call_1", "output": output}]
    declared = [{"type": "function", "name": name, "parameters": given} for name, given in tools.items()]
    return "responses", GPT, "responses", {"input": items, "tools": declared, "store": False}


def gemini_cli(*said: str) -> tuple[str, str, str, dict[str, Any]]:
    """Gemini CLI 0.61.0: the session's context in the turn of the user's words."""
    tools = {
        "update_topic": schema("title"),
        "list_directory": schema("dir_path"),
        "write_file": WRITE,
        "run_shell_command": BASH,
    }
    body = {
        "contents": [{"role": "user", "parts": [{"text": text} for text in (SESSION, *said)]}],
        "systemInstruction": {"role": "user", "parts": [{"text": "You are Gemini CLI."}]},
        "tools": [
            {"functionDeclarations": [{"name": name, "parametersJsonSchema": given} for name, given in tools.items()]}
        ],
    }
    return "gemini", GEMINI, f"models/{GEMINI}:generateContent", body


def opencode(*said: str) -> tuple[str, str, str, dict[str, Any]]:
    """opencode 1.18.33 on a GPT: patches instead of a tool that writes."""
    tools = {"apply_patch": schema("patchText"), "bash": BASH, "read": schema("filePath"), "task": schema("prompt")}
    system = {"role": "developer", "content": "<env>\n  Working directory: /home/jo/app\n</env>"}
    items = [system, *({"role": "user", "content": [{"type": "input_text", "text": text}]} for text in said)]
    declared = [{"type": "function", "name": name, "parameters": given} for name, given in tools.items()]
    return "responses", GPT, "responses", {"input": items, "tools": declared}


def newest_codex(*said: str) -> tuple[str, str, str, dict[str, Any]]:
    """Codex 0.171.0 with the models it prefers: they call every other tool in a program."""
    door, model, path, body = codex(*said)
    program = {"type": "function", "name": "exec", "parameters": schema("input")}
    return door, model, path, body | {"tools": [program]}


AGENTS = (claude_code, codex, newest_codex, gemini_cli, opencode)
PROGRAM = 'print("Hello, world!")\n'
PATCH = '*** Begin Patch\n*** Add File: hello.py\n+print("Hello, world!")\n*** End Patch'
WISHES = [
    (claude_code, "Please write hello.py", "Write", {"file_path": "/home/jo/app/hello.py", "content": PROGRAM}),
    (gemini_cli, "Please write hello.py", "write_file", {"file_path": "/home/jo/app/hello.py", "content": PROGRAM}),
    (codex, "Please write hello.py", "exec_command", {"cmd": f"printf '%s' '{PROGRAM}' > hello.py"}),
    (
        newest_codex,
        "Run the tests",
        "exec",
        {"input": 'text(await tools.exec_command({"cmd": "python3 -m pytest -q"}));'},
    ),
    (opencode, "Please write hello.py", "apply_patch", {"patchText": PATCH}),
    (claude_code, "Run the tests", "Bash", {"command": "python3 -m pytest -q", "description": "Run the tests"}),
    (gemini_cli, "list the files", "run_shell_command", {"command": "ls -la", "description": "List the files"}),
    (codex, 'Run the command "date" and say what it printed.', "exec_command", {"cmd": "date"}),
    (opencode, "What is in this folder?", "bash", {"command": "ls -la", "description": "List the files"}),
    (opencode, "Explain src/main.py", "read", {"filePath": "/home/jo/app/src/main.py"}),
    (codex, "Explain src/main.py", "exec_command", {"cmd": "cat src/main.py"}),
]


def answered(eu: Any, asked: tuple[str, str, str, dict[str, Any]]) -> Said:
    door, model, path, body = asked
    answer = eu.post(model, path, body)
    assert answer.status_code == 200, answer.text
    return read(door, answer, stream=False)


@pytest.mark.parametrize(("agent", "wish", "tool", "arguments"), WISHES)
def test_a_wish_becomes_a_call_of_a_tool_that_the_agent_declared(eu, agent, wish, tool, arguments):
    assert [(tool, arguments)] == answered(eu, agent(wish)).calls


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("question", ["What is a circuit breaker?", "Which agent, task or skill can read and write?"])
def test_a_question_gets_a_sentence_about_it_whatever_the_agent_adds(eu, agent, question):
    said = answered(eu, agent(question))

    assert (said.calls, said.text.startswith(f'Happy to help! You said: "{question}".')) == ([], True)


def test_what_a_tool_gave_back_is_told_without_what_the_agent_added(eu):
    written = answered(eu, claude_code("Please write hello.py", results=(f"File created.\n\n{REMINDERS[2]}",)))
    listed = answered(eu, codex("List the files", output="Output:\nhello.py\n"))

    assert (written.calls, written.text) == ([], "The tool answered: File created.")
    assert (listed.calls, listed.text) == ([], "The tool answered: Output:\nhello.py\n")


def test_agents_that_merge_their_context_with_the_question_get_the_same_answer(eu):
    door, model, path, body = claude_code(INSTRUCTIONS, ENVIRONMENT, "Please write hello.py")

    assert [name for name, _ in answered(eu, (door, model, path, body)).calls] == ["Write"]


TITLE = schema("title")
TITLES = [
    (
        "Generate a concise, sentence-case title (3-7 words) that captures the main topic of this coding session.",
        "<session>\nscene:refusal fix the login button on mobile\n</session>",
        "Fix the login button on mobile",
    ),
    (
        "You are a title generator. You output ONLY a thread title. Nothing else.",
        "Generate a title for this conversation:\n\nPlease write hello.py",
        "Please write hello.py",
    ),
]


@pytest.mark.parametrize(("system", "text", "title"), TITLES)
def test_a_title_is_a_title_in_the_form_that_is_asked_for(eu, system, text, title):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 32000, "system": system}
    body |= {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}], "tools": []}
    form = {"output_config": {"format": {"type": "json_schema", "schema": TITLE}}}

    plain = answered(eu, ("invoke", SONNET, "invoke", body))
    schemed = answered(eu, ("invoke", SONNET, "invoke", body | form))

    assert title == plain.text
    assert json.loads(schemed.text) == {"title": title}


def test_the_next_speaker_is_the_user(eu):
    """Gemini CLI asks in JSON who speaks next; were it the model, it would go on by itself."""
    wanted = {
        "type": "object",
        "properties": {
            "reasoning": {"type": "string"},
            "next_speaker": {"type": "string", "enum": ["user", "model"]},
        },
        "required": ["reasoning", "next_speaker"],
    }
    config = {"responseMimeType": "application/json", "responseJsonSchema": wanted}
    body = {"contents": [{"role": "user", "parts": [{"text": "Who speaks next?"}]}], "generationConfig": config}

    said = answered(eu, ("gemini", GEMINI, f"models/{GEMINI}:generateContent", body))

    assert json.loads(said.text)["next_speaker"] == "user"


TASKS = [
    ("create a file notes.txt with 'Buy milk'", Write("notes.txt", "Buy milk\n")),
    ("Add src/app.js", Write("src/app.js", 'console.log("Hello, world!");\n')),
    ("Write me a data.json", Write("data.json", '{"message": "Hello, world!"}\n')),
    ("run hello.py", Run("python3 hello.py", "Run hello.py")),
    ("Run `ls src`", Run("ls src", "Run the command")),
    ("Show me README.md", Read("README.md")),
    ("Write a poem", None),
    ("What does e.g. mean?", None),
    ("What is a file?", None),
]


@pytest.mark.parametrize(("text", "task"), TASKS)
def test_a_wish_is_understood(text, task):
    assert task == task_of(text)
