"""What a model would miss is refused at the door, in the client's own dialect, and no model is asked."""

from typing import Any

import pytest

from tests.end_to_end.test_edges import shape_of
from tests.support.running import Proxy
from tests.support.talking import CHAT, MESSAGES, ODD, RESPONSES, gemini_path, sent

CLAUDE, GEMINI, GPT = "anthropic--claude-4.5-sonnet", "gemini-2.5-pro", "gpt-4.1"
BY_ID = {"type": "file", "file": {"file_id": "file-1"}}
IMAGE_BY_ID = {"type": "input_image", "file_id": "file-1"}
PICTURE_BY_ID = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
COMPACTED = {"type": "compaction", "encrypted_content": "gAAAA"}
SAID: Any = [{"role": "user", "parts": [{"text": "Hello there"}]}]
UNHEARD: Any = [{"role": "user", "parts": [{"text": "Hello there"}, {"hologram": {}}]}]


def said(*content: Any) -> list[Any]:
    return [{"role": "user", "content": [*content]}]


@pytest.mark.parametrize(
    ("path", "body", "model", "shape", "why"),
    [
        (CHAT, {"messages": said(BY_ID)}, CLAUDE, "openai", "send the data itself"),
        (CHAT, {"messages": said(BY_ID)}, GEMINI, "openai", "send the data itself"),
        (RESPONSES, {"input": said(IMAGE_BY_ID)}, CLAUDE, "openai", "send the data itself"),
        (RESPONSES, {"input": [COMPACTED, *said()]}, CLAUDE, "openai", "only the deployment that made it can"),
        (MESSAGES, {"max_tokens": 99, "messages": said(PICTURE_BY_ID)}, GPT, "anthropic", "send the data itself"),
        (MESSAGES, {"max_tokens": 99, "messages": said({"type": "hologram"})}, GPT, "anthropic", "hologram"),
        (gemini_path(CLAUDE, stream=False), {"contents": SAID, "cachedContent": "c"}, "", "google", "send all of it"),
        (gemini_path(GPT, stream=True), {"contents": UNHEARD}, "", "google", "hologram"),
        (gemini_path(GEMINI, stream=False), {"contents": UNHEARD}, "", "google", "hologram"),
        (
            gemini_path(GPT, stream=False),
            {"contents": SAID, "generationConfig": {"candidateCount": 2}},
            "",
            "google",
            "one response at a time",
        ),
    ],
)
def test_what_would_be_missed_is_refused(
    wide_proxy: Proxy, path: str, body: dict[str, Any], model: str, shape: str, why: str
) -> None:
    told = wide_proxy.ask("POST", path, {**body, "model": model} if model else body)

    assert (400, shape) == (told.status, shape_of(told.json))
    assert why in told.json["error"]["message"]
    assert sent(wide_proxy) == []


@pytest.mark.parametrize("model", ODD)
def test_what_can_be_said_as_text_reaches_every_model(wide_proxy: Proxy, model: str) -> None:
    found = {"type": "text", "text": "the number is 42"}
    content = [
        {"type": "search_result", "source": "https://example.com", "title": "T", "content": [found]},
        {"type": "document", "source": {"type": "content", "content": [found]}},
    ]
    told = wide_proxy.ask("POST", MESSAGES, {"model": model, "max_tokens": 99, "messages": said(*content)})
    [(status, reached)] = sent(wide_proxy)

    assert (told.status, status) == (200, 200)
    assert str(reached).count("the number is 42") == 2
