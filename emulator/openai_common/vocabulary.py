"""What chat completions and Responses share: roles, tool choices, ids of calls."""

from typing import Any

from emulator.model_io import ToolCall, ToolChoice
from emulator.world import Json

_CHOICES = {"auto": ToolChoice.AUTO, "required": ToolChoice.REQUIRED, "none": ToolChoice.NONE}
SYSTEM_ROLES = ("system", "developer")


def parse_tool_choice(given: Any) -> tuple[ToolChoice, tuple[str, ...]]:
    """Parse a tool choice of chat completions or Responses."""
    match given:
        case {"type": "allowed_tools"}:
            inner = given.get("allowed_tools", given)
            return _CHOICES[inner.get("mode", "auto")], tuple(_named(tool) for tool in inner.get("tools", []))
        case dict():
            return ToolChoice.REQUIRED, (_named(given),)
        case str():
            return _CHOICES[given], ()
        case _:
            return ToolChoice.AUTO, ()


def _named(tool: Json) -> str:
    """Return the name of a chosen tool."""
    return str((tool.get("function") or tool).get("name"))


def call_id(call: ToolCall) -> str:
    """Return the id of a tool call."""
    return f"call_{call.seed[:24]}"
