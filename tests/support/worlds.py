"""What an emulated SAP AI Core runs for tests."""

from emulator.world import World, tenant

MIXED = (
    "anthropic--claude-3.5-sonnet",
    "anthropic--claude-4.5-sonnet",
    "anthropic--claude-4.5-haiku",
    "anthropic--claude-4.8-opus",
    "amazon--nova-pro",
    "amazon--titan-embed-text",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-3.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-embedding",
    "gpt-4.1",
    "gpt-5",
    "gpt-5.5",
    "gpt-5.3-codex",
    "text-embedding-3-small",
    "nvidia--llama-3.2-nv-embedqa-1b",
)
"""Living models of each family, and some past their end: what is deployed all the same is served."""


def mixed_world() -> World:
    """Two subaccounts, each with every model twice."""
    return World((tenant("eu", "default", MIXED), tenant("us", "team-a", MIXED)))
