"""What each tool is told so that it asks this proxy: to be read, written into its settings, or given at its start."""

from typing import Final

KEY_VARIABLE: Final = "PROXY_KEY"
"""The environment variable that snippets take the key from."""
