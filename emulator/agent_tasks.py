"""The tasks that a coding agent's user asks for, and the calls of the agent's tools that do them.

Only the simple tasks of a first conversation are understood: write a file, read one, list files, run a command.
"""

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from emulator.agent_context import working_folder
from emulator.json_schema import value_for
from emulator.model_io import ModelRequest, Tool, ToolChoice

_KINDS = "c|cpp|css|csv|go|html|java|js|json|jsx|md|py|rb|rs|sh|sql|toml|ts|tsx|txt|xml|yaml|yml"
_FILE = rf"[`'\"]?(?<![\w.])((?:[\w.-]*/)*[\w-]+\.(?:{_KINDS}))\b[`'\"]?"
_WRITE = re.compile(rf"\b(?:write|create|make|add|save|generate)\b[^.?!\n]*?{_FILE}", re.IGNORECASE)
_RUN = re.compile(
    r"\b(?:run|execute)\s+(?:the\s+)?(?:shell\s+)?(?:command)?[\s:]*(?:`([^`\n]+)`|\"([^\"\n]+)\")", re.IGNORECASE
)
_TESTS = re.compile(r"\b(?:run|execute)\b[^.?!\n]*\btests?\b", re.IGNORECASE)
_START = re.compile(rf"\b(?:run|execute|start)\b[^.?!\n]*?{_FILE}", re.IGNORECASE)
_READ = re.compile(
    rf"\b(?:read|show|open|print|explain|summari[sz]e|describe|review|look at|what)\b[^.?!\n]*?{_FILE}", re.IGNORECASE
)
_LIST = re.compile(
    r"\b(?:list|show|what|which)\b[^.?!\n]*"
    r"\b(?:files|(?:this|the|current|working) (?:folder|directory|project|repo))\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"\n]+)\"|'([^'\n]+)'")
_GREETING = "Hello, world!"
_CONTENT = {
    "c": "#include <stdio.h>\n\nint main(void) {{\n    puts({json});\n    return 0;\n}}\n",
    "go": 'package main\n\nimport "fmt"\n\nfunc main() {{\n\tfmt.Println({json})\n}}\n',
    "html": "<!doctype html>\n<title>{text}</title>\n<p>{text}</p>\n",
    "js": "console.log({json});\n",
    "json": '{{"message": {json}}}\n',
    "md": "# {text}\n",
    "py": "print({json})\n",
    "rb": "puts {json}\n",
    "rs": "fn main() {{\n    println!({json});\n}}\n",
    "sh": "#!/bin/sh\necho {shell}\n",
    "ts": "console.log({json});\n",
}
_PROGRAMS = {"py": "python3", "js": "node", "ts": "npx tsx", "rb": "ruby", "sh": "sh", "go": "go run"}

_SHELLS = frozenset(
    {"bash", "shell", "shell_command", "exec_command", "run_shell_command", "execute_command", "terminal"}
)
_WRITERS = frozenset({"write", "write_file", "create_file", "write_to_file"})
_READERS = frozenset({"read", "read_file"})
_COMMAND = ("command", "cmd")
_PATH = ("file_path", "filePath", "path", "absolute_path")
_BODY = ("content", "contents", "text")
_PATCH = ("input", "patch", "patchText")
_CODE = ("input", "code")


@dataclass(frozen=True, slots=True)
class Write:
    """A file to write."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Read:
    """A file to read."""

    path: str


@dataclass(frozen=True, slots=True)
class Run:
    """A command to run. `why` describes it in a few words."""

    command: str
    why: str


Task = Write | Read | Run


def is_agent(tools: Iterable[Tool]) -> bool:
    """Return whether a client is a coding agent, judged by the tools it declares."""
    return any(_shell(tool) or _writer(tool) or _coder(tool) for tool in tools)


def task_of(text: str) -> Task | None:
    """Return the task that a text asks for; None if it is not understood."""
    if found := _WRITE.search(text):
        quoted = _QUOTED.search(text, found.end())
        return Write(found[1], _content(found[1], (quoted[1] or quoted[2]) if quoted else _GREETING))
    if found := _RUN.search(text):
        return Run(found[1] or found[2], "Run the command")
    if _TESTS.search(text):
        return Run("python3 -m pytest -q", "Run the tests")
    if found := _START.search(text):
        return Run(f"{_PROGRAMS.get(_ending(found[1]), 'cat')} {shlex.quote(found[1])}", f"Run {found[1]}")
    if found := _READ.search(text):
        return Read(found[1])
    return Run("ls -la", "List the files") if _LIST.search(text) else None


def call_for(ask: ModelRequest) -> tuple[str, str] | None:
    """Return the name and the JSON arguments of the tool call that does the user's task; None if there is none."""
    if ask.choice is not ToolChoice.AUTO or ask.results or not is_agent(ask.tools):
        return None
    task = task_of(ask.text)
    if task is None:
        return None
    given = _by_its_own_tool(ask, task) or _by_command(ask, _as_command(task))
    return (given[0].name, json.dumps(given[1])) if given else None


def _by_its_own_tool(ask: ModelRequest, task: Task) -> tuple[Tool, dict[str, Any]] | None:
    """Return the call of a tool made for reading or writing files; None if there is no such tool."""
    match task:
        case Write(path, content):
            full = _full(ask, path)
            patch = "\n".join(["*** Begin Patch", f"*** Add File: {path}", *_added(content), "*** End Patch"])
            for tool in ask.tools:
                if (keys := _writer(tool)) is not None:
                    return tool, _filled(tool, dict(zip(keys, (full, content), strict=True)))
                if _named(tool) == "apply_patch" and (key := _key(tool, _PATCH)):
                    return tool, _filled(tool, {key: patch})
        case Read(path):
            for tool in ask.tools:
                if _named(tool) in _READERS and (key := _key(tool, _PATH)):
                    return tool, _filled(tool, {key: _full(ask, path)})
        case Run():
            pass
    return None


def _by_command(ask: ModelRequest, run: Run) -> tuple[Tool, dict[str, Any]] | None:
    """Return the call of a tool that runs commands, or of one that runs code which runs commands."""
    for tool in ask.tools:
        if (key := _shell(tool)) is not None:
            several = _properties(tool)[key].get("type") == "array"
            given: dict[str, Any] = {key: ["bash", "-lc", run.command] if several else run.command}
            more = {"description": run.why} if "description" in _properties(tool) else {}
            return tool, _filled(tool, given | more)
    for tool in ask.tools:
        if (key := _coder(tool)) is not None:
            return tool, _filled(tool, {key: f"text(await tools.exec_command({json.dumps({'cmd': run.command})}));"})
    return None


def _as_command(task: Task) -> Run:
    """Return the shell command that does a task."""
    match task:
        case Write(path, content):
            return Run(f"printf '%s' {shlex.quote(content)} > {shlex.quote(path)}", f"Write {path}")
        case Read(path):
            return Run(f"cat {shlex.quote(path)}", f"Read {path}")
        case Run():
            return task


def _content(path: str, text: str) -> str:
    """Return the content of a file that prints the text, in the language of the file's suffix."""
    form = _CONTENT.get(_ending(path), "{text}\n")
    return form.format(text=text, json=json.dumps(text), shell=shlex.quote(text))


def _added(content: str) -> list[str]:
    """Return the lines of a new file in the form of a patch."""
    return [f"+{line}" for line in content.splitlines()]


def _ending(path: str) -> str:
    return path.rpartition(".")[2].lower()


def _full(ask: ModelRequest, path: str) -> str:
    """Return the absolute path of a file in the agent's folder, since some tools accept no other."""
    folder = working_folder([ask.system, *(segment.text for segment in ask.prompt)])
    return path if folder is None or path.startswith("/") else f"{folder.rstrip('/')}/{path.removeprefix('./')}"


def _named(tool: Tool) -> str:
    """Return the name of a tool without its namespace, in lower case."""
    return tool.name.lower().rpartition("__")[2]


def _properties(tool: Tool) -> dict[str, Any]:
    found: dict[str, Any] = tool.schema.get("properties") or {}
    return found


def _key(tool: Tool, keys: tuple[str, ...]) -> str | None:
    """Return the first of *keys* that is a property of the tool."""
    return next((key for key in keys if key in _properties(tool)), None)


def _shell(tool: Tool) -> str | None:
    """Return the property of a tool that takes a command; None if the tool runs none."""
    return _key(tool, _COMMAND) if _named(tool) in _SHELLS else None


def _writer(tool: Tool) -> tuple[str, str] | None:
    """Return the properties of a tool that take a path and a content; None if the tool writes no files."""
    path, content = _key(tool, _PATH), _key(tool, _BODY)
    return (path, content) if _named(tool) in _WRITERS and path and content else None


def _coder(tool: Tool) -> str | None:
    """Return the property of Codex's `exec` tool that takes a program; None for other tools.

    The newest models of Codex call all other tools from such programs.
    """
    return _key(tool, _CODE) if _named(tool) == "exec" else None


def _filled(tool: Tool, given: dict[str, Any]) -> dict[str, Any]:
    """Add values for the other properties that the tool requires."""
    required = [key for key in tool.schema.get("required") or [] if key not in given]
    return given | {key: value_for(_properties(tool).get(key, {}), tool.schema, key) for key in required}
