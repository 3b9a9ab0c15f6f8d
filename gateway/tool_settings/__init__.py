"""The tools that people connect to this proxy, with the settings of each, for the command `connect` and the page."""

from typing import Final

KEY_VARIABLE: Final = "PROXY_KEY"
"""The environment variable that snippets take the key from."""
