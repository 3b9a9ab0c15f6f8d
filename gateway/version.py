"""Which version of the proxy this is; `pyproject.toml` takes it from here."""

from typing import Final

VERSION: Final = "1.0.0"
