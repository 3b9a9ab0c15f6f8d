"""Tool choices: checks that a tool which the model must call is declared to it.

Hosted tools, such as a web search, are left out for a model that does not have them. If the client requires a call of
such a tool, the request is rejected, because an answer without the tool would be invented.
"""

from collections.abc import Callable, Collection, Iterable

from dialects.adapt.tool_names import lost_with
from dialects.core.conversation import Conversation, Opaque, ToolMode, ToolSpec
from dialects.core.faults import FaultError, invalid

_WHERE = "tool_choice"


def check_choice(conversation: Conversation, has: Callable[[Opaque], bool]) -> None:
    """Raise `FaultError` for a tool choice that the model cannot follow.

    *has* returns whether the model has a tool that is not a function.
    """
    choice, model = conversation.tool_choice, conversation.model
    if choice is None or not conversation.tools:
        return
    kept = [tool for tool in conversation.tools if isinstance(tool, ToolSpec) or has(tool)]
    lost = [tool for tool in conversation.tools if isinstance(tool, Opaque) and not has(tool)]
    if choice.mode is ToolMode.REQUIRED and not kept:
        raise nothing_to_call(lost, model)
    if choice.mode is ToolMode.NAMED and not any(choice.name in names_of(tool) for tool in kept):
        raise cannot_call(choice.name, model, is_declared=any(choice.name in names_of(tool) for tool in lost))


def names_of(tool: ToolSpec | Opaque) -> Collection[str]:
    """Return the names by which a tool choice can refer to *tool*: its name, or its type."""
    if isinstance(tool, ToolSpec):
        return (tool.name,)
    return {tool.kind, str(tool.payload.get("name") or tool.kind)}


def cannot_call(name: str, model: str, *, is_declared: bool) -> FaultError:
    """Build the error for the choice of a tool that is not declared to the model.

    *is_declared* is whether the client declared it.
    """
    if not is_declared:
        return invalid(f"{_WHERE} names {name}, which is not among the tools", _WHERE)
    return invalid(
        f"{_WHERE} requires {name}, which model {model} does not have: leave the choice to the model", _WHERE
    )


def nothing_to_call(lost: Iterable[Opaque], model: str) -> FaultError:
    """Build the error for a choice that requires a call if the model has none of the client's tools."""
    names = ", ".join(sorted({name.removeprefix("tool ") for tool in lost for name in lost_with(tool)}))
    return invalid(f"{_WHERE} requires a tool, but model {model} has none of these: {names}", _WHERE)
