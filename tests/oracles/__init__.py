"""Independent witnesses: is this body what the vendor's own definition says it should be?"""

import re
from collections.abc import Callable
from typing import Any

from tests.oracles.anthropic import check_messages_request
from tests.oracles.bedrock import check_converse_request
from tests.oracles.gemini import check_gemini_request
from tests.oracles.openai import check_chat_request, check_embeddings_request, check_responses_request
from tests.oracles.orchestration import check_embeddings_through_orchestration, check_orchestration_request


def _check_invoke(body: Any) -> None:
    """Check what Claude is asked; Titan's embeddings are posted to the same path."""
    if "anthropic_version" in body:
        check_messages_request(body)


def _check_embeddings(body: Any) -> None:
    """Check what OpenAI's models are asked; NVIDIA's are asked in fields of their own."""
    if "input_type" not in body:
        check_embeddings_request(body)


_BY_PATH: tuple[tuple[str, Callable[[Any], None]], ...] = (
    (r"/invoke(-with-response-stream)?$", _check_invoke),
    (r"/v2/embeddings$", check_embeddings_through_orchestration),
    (r"/embeddings$", _check_embeddings),
    (r"/converse(-stream)?$", check_converse_request),
    (r":(stream)?[gG]enerateContent$", check_gemini_request),
    (r"/chat/completions$", check_chat_request),
    (r"/v2/completion$", check_orchestration_request),
    (r"/responses$", check_responses_request),
)


def knows(path: str) -> bool:
    """Whether bodies that are posted to *path* can be checked."""
    return any(re.search(pattern, path) for pattern, _ in _BY_PATH)


def check_request(path: str, body: Any) -> None:
    """Check a body that was posted to *path*; raises AssertionError with the reason."""
    for pattern, check in _BY_PATH:
        if re.search(pattern, path):
            check(body)
            return
