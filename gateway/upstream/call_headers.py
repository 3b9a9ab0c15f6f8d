"""The headers that identify the caller to SAP AI Core."""

from typing import Final

CLIENT_TYPE: Final = "SAP AI Core LLM proxy"
"""The name of this program in `AI-Client-Type`, which SAP's SDKs and other clients also send."""


def call_headers(token: str, resource_group: str) -> dict[str, str]:
    """Return the headers of every call, both of deployments and of the AI API."""
    return {
        "Authorization": f"Bearer {token}",
        "AI-Resource-Group": resource_group,
        "AI-Client-Type": CLIENT_TYPE,
    }
