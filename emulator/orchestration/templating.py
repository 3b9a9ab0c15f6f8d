"""The templating module, which fills the placeholders of the template."""

import re
from collections.abc import Collection, Iterator, Mapping

from emulator.orchestration.failures import INPUT_PARAMETERS, ModuleFailure
from emulator.orchestration.stored_templates import find_template
from emulator.world import Json

_PLACEHOLDER = re.compile(r"\{\{\s*\?(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z](?:[_-]?[A-Za-z0-9])*\s*")
"""Names start with a letter, end with a letter or a digit, and have no two dashes or underscores in a row."""
_LOCATION = "Templating Module"


def resolve_prompt(prompt: Json) -> Json:
    """Return the prompt with the template that it refers to, if any; raises `ModuleFailure` if that does not exist."""
    reference = prompt.get("template_ref")
    if reference is None:
        return prompt
    found = find_template(reference)
    if found is None:
        named = ", ".join(f"{key}: {value}" for key, value in reference.items())
        raise ModuleFailure(f"Prompt template not found. ({named})", _LOCATION)
    return found


def fill_template(
    prompt: Json, values: Mapping[str, str], extra: Mapping[str, str], used: Collection[str] = ()
) -> list[Json]:
    """Fill the placeholders of a template. *extra* are values from other modules, such as what grounding found.

    Raises `ModuleFailure` if a name is malformed, if a placeholder has no value, or if a value has no placeholder and
    is not *used* elsewhere. The service has the same message for the last two.
    """
    template: list[Json] = prompt.get("template", [])
    known = {**prompt.get("defaults", {}), **values, **extra}
    wanted = {name for message in template for text in _texts(message) for name in _names(text)}
    odd = [name for name in values if name not in wanted and name not in used] or sorted(wanted - known.keys())
    if odd:
        failure = ModuleFailure(f"Error validating parameters. Unused parameters: {odd!r}.", INPUT_PARAMETERS)
        failure.steps = {"templating": template}
        raise failure
    return [_filled(message, known) for message in template]


def _texts(message: Json) -> Iterator[str]:
    """Yield the texts of a message."""
    content = message.get("content", "")
    if isinstance(content, str):
        yield content
    else:
        yield from (part["text"] for part in content if "text" in part)


def _names(text: str) -> Iterator[str]:
    """Yield the placeholders in a text; raises `ModuleFailure` for a malformed one."""
    for found in _PLACEHOLDER.finditer(text):
        if not _NAME.fullmatch(found[1]):
            raise ModuleFailure(f"Error parsing the template. Invalid placeholder: {found[0]!r}.", _LOCATION)
        yield found[1].strip()


def _filled(message: Json, values: Mapping[str, str]) -> Json:
    """Fill the placeholders of a message. Placeholders inside the values are not filled."""

    def fill(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: values[found[1].strip()], text)

    content = message.get("content", "")
    if isinstance(content, str):
        return {**message, "content": fill(content)}
    return {
        **message,
        "content": [{**part, "text": fill(part["text"])} if "text" in part else part for part in content],
    }
