"""The table of tools, and what is printed of one."""

import shlex
from typing import Final

from gateway.tool_settings import KEY_VARIABLE
from gateway.tool_settings.agents import AGENTS
from gateway.tool_settings.editors import EDITORS
from gateway.tool_settings.sdks import SDKS
from gateway.tool_settings.tool import ConnectError, Connection, Tool

GROUPS: Final = {"Agents in the terminal": AGENTS, "Editors": EDITORS, "Programs": SDKS}
TOOLS: Final = tuple(tool for tools in GROUPS.values() for tool in tools)


def find_tool(name: str, *, must_be_written: bool = False) -> Tool:
    """Find a tool by its name or one of its aliases; raise `ConnectError` if there is none.

    If it *must be written* for, or started, one that a person sets up is an error, too.
    """
    wanted = name.lower().replace(" ", "-").replace("_", "-")
    for tool in TOOLS:
        if wanted in (tool.name, *tool.aliases):
            if must_be_written and not tool.places:
                raise ConnectError(f"{tool.title} is set up by hand: `sap-ai-proxy connect {tool.name}` prints how")
            return tool
    raise ConnectError(f"there is no tool {name!r}; the tools are {', '.join(tool.name for tool in TOOLS)}")


def list_tools() -> list[tuple[str, str]]:
    """List the tools: the name of each, and what there is to say of it."""
    return [
        (tool.name, f"{tool.title}{' (also --write, --undo, and -- to start it)' if tool.places else ''}")
        for tool in TOOLS
    ]


def instructions(tool: Tool, to: Connection, key_setter: str | None) -> str:
    """Say what to set, so that it can be copied as a whole: what is for people stands behind number signs.

    *key_setter* is the shell line that sets the variable of the key, if it is not set already.
    """
    snippet = tool.snippet(to)
    lines = [f"# {tool.title} ({tool.source})", f"# Put this into {snippet.into}:"]
    if key_setter and not snippet.is_shell:
        key_setter = f"# First, in your shell: {key_setter}"
    return "\n".join([*lines, *([key_setter] if key_setter else []), *([] if snippet.is_shell else [""]), snippet.body])


def key_line(key: str) -> str:
    """Write the shell line that says the key itself."""
    return f"export {KEY_VARIABLE}={shlex.quote(key)}"


def key_line_of(command: str) -> str:
    """Write the shell line that has *command* print the key, so that it is not seen."""
    return f'export {KEY_VARIABLE}="$({command})"'
