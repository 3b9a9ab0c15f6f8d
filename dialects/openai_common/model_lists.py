"""How clients are told which models there are, each in its own dialect."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dialects.core.conversation import JSON


def openai_model(name: str, created: int) -> JSON:
    """One model as OpenAI's clients read it; *created* is in seconds since the epoch.

    https://platform.openai.com/docs/api-reference/models/object
    """
    return {"id": name, "object": "model", "created": created, "owned_by": "sap-ai-core"}


def openai_models(names: Sequence[str], created: int) -> JSON:
    """All models, as OpenAI's clients read them."""
    return {"object": "list", "data": [openai_model(name, created) for name in names]}


def anthropic_model(name: str, created: int) -> JSON:
    """One model as Anthropic's clients read it; *created* is in seconds since the epoch.

    https://docs.anthropic.com/en/api/models
    """
    moment = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": name, "created_at": moment}


def anthropic_models(names: Sequence[str], created: int) -> JSON:
    """All models, as Anthropic's clients read them: one page, and no more to come."""
    edges = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return {"data": [anthropic_model(name, created) for name in names], "has_more": False, **edges}
