"""Tool choices that a model can follow: a tool that must be called is one it was declared.

Tools that run at a provider, such as a search of the web, are left out where the model does not have them. If the
client insists on one, an answer without it would be made up, and is refused instead.
"""

from collections.abc import Callable, Collection, Iterable

from dialects.adapt.tool_names import lost_with
from dialects.core.conversation import Conversation, Opaque, ToolMode, ToolSpec
from dialects.core.faults import FaultError, invalid

_WHERE = "tool_choice"


def check_choice(conversation: Conversation, has: Callable[[Opaque], bool]) -> None:
    """Raise `FaultError` for a choice that cannot be followed; *has* says of a tool that is no function if it runs."""
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
    """Name a tool as choices do: by its name, or by its type if it has none."""
    if isinstance(tool, ToolSpec):
        return (tool.name,)
    return {tool.kind, str(tool.payload.get("name") or tool.kind)}


def cannot_call(name: str, model: str, *, is_declared: bool) -> FaultError:
    """Build the error for a choice of a tool that the model is not declared; *is_declared* if the client did."""
    if not is_declared:
        return invalid(f"{_WHERE} names {name}, which is not among the tools", _WHERE)
    return invalid(
        f"{_WHERE} requires {name}, which model {model} does not have: leave the choice to the model", _WHERE
    )


def nothing_to_call(lost: Iterable[Opaque], model: str) -> FaultError:
    """Build the error for a choice that insists on a call, of a model that is left without any tool."""
    names = ", ".join(sorted({name.removeprefix("tool ") for tool in lost for name in lost_with(tool)}))
    return invalid(f"{_WHERE} requires a tool, but model {model} has none of these: {names}", _WHERE)
