"""The version of the proxy. `pyproject.toml` reads it from here."""

from typing import Final

VERSION: Final = "1.0.0"
