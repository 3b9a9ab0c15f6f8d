"""Tools that providers run themselves: what each dialect calls them, so that one's can stand for another's."""

from enum import Enum

from dialects.core.conversation import Opaque


class HostedTool(Enum):
    """What a provider does for a model while it answers."""

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
"""How the types of these tools begin; Anthropic and OpenAI put dates behind them."""


def hosted_tool(tool: Opaque) -> HostedTool | None:
    """Recognise a provider's tool; None for any other."""
    return next((hosted for beginning, hosted in _BEGINNINGS.items() if tool.kind.startswith(beginning)), None)
