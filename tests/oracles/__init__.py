"""Independent witnesses: is this body what the vendor's own definition says it should be?"""

import re
from collections.abc import Callable
from typing import Any

from tests.oracles.anthropic import check_messages_request
from tests.oracles.bedrock import check_converse_request
from tests.oracles.gemini import check_gemini_request
from tests.oracles.openai import check_chat_request, check_embeddings_request, check_responses_request

_BY_PATH: tuple[tuple[str, Callable[[Any], None]], ...] = (
    (r"/converse(-stream)?$", check_converse_request),
    (r":(stream)?[gG]enerateContent$", check_gemini_request),
    (r"/chat/completions$", check_chat_request),
    (r"/responses$", check_responses_request),
)


def check_request(path: str, body: Any) -> None:
    """Check a body that was posted to *path*; raises AssertionError with the reason."""
    if re.search(r"/invoke(-with-response-stream)?$", path) and "anthropic_version" in body:
        check_messages_request(body)
    if path.endswith("/embeddings") and "input_type" not in body:
        check_embeddings_request(body)
    for pattern, check in _BY_PATH:
        if re.search(pattern, path):
            check(body)
