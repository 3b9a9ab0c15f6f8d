"""The context that coding agents add to their users' messages. It is not part of what the user asks."""

import re
from collections.abc import Iterable

_TAGS = (
    "system-reminder",  # Claude Code
    "environment_context",  # Codex, here and below
    "user_instructions",
    "INSTRUCTIONS",
    "skills_instructions",
    "permissions",
    "collaboration_mode",
    "multi_agent_mode",
    "turn_aborted",
    "session_context",  # Gemini CLI, here and below
    "hook_context",
)
_ADDED = re.compile(rf"<({'|'.join(_TAGS)})\b[^<>]*>(?:(?!<\1\b).)*?</\1\b[^<>]*>", re.DOTALL)
_HEADING = re.compile(r"^# AGENTS\.md instructions\b.*$", re.MULTILINE)
"""The heading that Codex writes above a folder's instructions."""
_FOLDER = re.compile(
    r"(?:working directory: |<cwd>|workspace directories:\*\*\s+- |working in the directory: )([^\n\"\\<]+)",
    re.IGNORECASE,
)


def without_context(text: str) -> str:
    """Remove the context that an agent added to a text. Blocks may be nested."""
    if "<" not in text:
        return text
    before, bare = "", text
    while before != bare:
        before, bare = bare, _ADDED.sub("", bare)
    return text if bare == text else _HEADING.sub("", bare).strip()


def working_folder(texts: Iterable[str]) -> str | None:
    """Return the folder that an agent works in, which its prompt names; None if it does not."""
    found = (match for text in texts for match in [_FOLDER.search(text)] if match)
    return next((match[1].strip() for match in found), None)
