"""Sets tools up to use this proxy: by printing, writing or passing their settings."""

from typing import Final

KEY_VARIABLE: Final = "PROXY_KEY"
"""The environment variable that snippets take the key from."""
