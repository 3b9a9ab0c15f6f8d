"""The headers by which SAP AI Core knows who calls it."""

from typing import Final

CLIENT_TYPE: Final = "SAP AI Core LLM proxy"
"""What this program calls itself, as SAP's SDKs and other clients do."""


def call_headers(token: str, resource_group: str) -> dict[str, str]:
    """Write the headers that every call has, of deployments and of the AI API alike."""
    return {
        "Authorization": f"Bearer {token}",
        "AI-Resource-Group": resource_group,
        "AI-Client-Type": CLIENT_TYPE,
    }
