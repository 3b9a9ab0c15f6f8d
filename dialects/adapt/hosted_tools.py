"""Hosted tools, which providers run themselves: their names in each dialect, so that one can replace another."""

from enum import Enum

from dialects.core.conversation import Opaque


class HostedTool(Enum):
    """A tool that a provider runs for a model while it answers."""

    SEARCH = "web_search"
    FETCH = "web_fetch"
    CODE = "code_execution"


_BEGINNINGS = {
    "web_search": HostedTool.SEARCH,
    "googleSearch": HostedTool.SEARCH,
    "web_fetch": HostedTool.FETCH,
    "urlContext": HostedTool.FETCH,
    "code_execution": HostedTool.CODE,
    "code_interpreter": HostedTool.CODE,
    "codeExecution": HostedTool.CODE,
}
"""The beginnings of the types of these tools. Anthropic and OpenAI append dates to them."""


def hosted_tool(tool: Opaque) -> HostedTool | None:
    """Return which hosted tool *tool* is; None if it is another tool."""
    return next((hosted for beginning, hosted in _BEGINNINGS.items() if tool.kind.startswith(beginning)), None)
