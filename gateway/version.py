"""Which version of the proxy this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("sap-ai-core-llm-proxy")
except PackageNotFoundError:
    VERSION = "unknown (not installed)"
