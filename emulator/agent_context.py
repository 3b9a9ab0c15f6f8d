"""What coding agents add to the words of their users: it is no question, and asks for nothing."""

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
"""What Codex writes above the instructions of a folder."""
_FOLDER = re.compile(
    r"(?:working directory: |<cwd>|workspace directories:\*\*\s+- |working in the directory: )([^\n\"\\<]+)",
    re.IGNORECASE,
)


def without_context(text: str) -> str:
    """Leave out what an agent added to a text; one block may hold others of its kind."""
    if "<" not in text:
        return text
    before, bare = "", text
    while before != bare:
        before, bare = bare, _ADDED.sub("", bare)
    return text if bare == text else _HEADING.sub("", bare).strip()


def working_folder(texts: Iterable[str]) -> str | None:
    """Find the folder that an agent works in, which it names somewhere in the prompt."""
    found = (match for text in texts for match in [_FOLDER.search(text)] if match)
    return next((match[1].strip() for match in found), None)
