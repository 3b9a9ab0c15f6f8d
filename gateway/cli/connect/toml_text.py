"""TOML edited as text, since the standard library only reads it: comments and all the rest stay."""

import json

from gateway.cli.connect.tool import Edits


def edit(text: str, edits: Edits) -> str:
    """Set values before the first table, and whole tables, whose values are texts.

    It reads no TOML: whoever calls it compares what came out with what was wanted.
    """
    lines = text.splitlines()
    for path, value in reversed(list(edits.items())):  # each goes to the top
        if isinstance(value, dict):
            _set_table(lines, f"[{'.'.join(path)}]", value)
        else:
            _set_value(lines, path[-1], value)
    return "\n".join([*lines, ""])


def _written(name: str, value: object) -> str:
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _set_value(lines: list[str], name: str, value: object) -> None:
    for at, line in enumerate(lines):
        if line.lstrip().startswith("["):
            break
        key, _, rest = line.partition("=")
        if key.strip() == name:
            _, mark, comment = rest.partition(" #")
            lines[at] = _written(name, value) + mark + comment
            return
    lines.insert(0, _written(name, value))


def _set_table(lines: list[str], header: str, values: dict[str, object]) -> None:
    written = [_written(name, value) for name, value in values.items()]
    for at, line in enumerate(lines):
        if line.partition("#")[0].strip() == header:
            end = at + 1
            while end < len(lines) and lines[end].strip() and lines[end].lstrip()[0] not in "[#":
                end += 1
            lines[at + 1 : end] = written
            return
    lines += [*([""] if lines and lines[-1] else []), header, *written]
