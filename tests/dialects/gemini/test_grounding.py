"""What Gemini searched the web for, and where its text comes from: read out of answers and streams, and written."""

import json
from typing import Any

import pytest

from dialects import gemini
from dialects.core.conversation import Citation, Completion, Conversation, Source, Text, WebSearch
from dialects.core.events import fold
from dialects.framing.sse import Frame
from dialects.interface import Envelope
from tests.dialects.golden import read

TEXT = "caf\u00e9 \U0001f99c and tea"
WEB = [{"web": {"uri": "https://a.example", "title": "A"}}, {"web": {"uri": "https://b.example"}}, {"maps": {}}]
A, B = Source("https://a.example", "A"), Source("https://b.example")
FOUND = {"webSearchQueries": ["tea"], "groundingChunks": WEB, "searchEntryPoint": {"renderedContent": "<b/>"}}


def support(start: int | None, end: int | None, *places: int) -> dict[str, Any]:
    segment = {name: value for name, value in (("startIndex", start), ("endIndex", end)) if value is not None}
    return {"segment": segment, "groundingChunkIndices": list(places)}


def answer(*texts: str, grounding: Any, at: int = -1) -> list[dict[str, Any]]:
    """The messages of a stream, one of which says what was searched for."""
    messages: list[dict[str, Any]] = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}], "responseId": "r"} for text in texts
    ]
    messages.append({"candidates": [{"finishReason": "STOP"}]})
    messages[at]["candidates"][0]["groundingMetadata"] = grounding
    return messages


def streamed(messages: list[dict[str, Any]]) -> Completion:
    return fold(read(gemini.reader("tok", ""), [Frame(json.dumps(each)).encode() for each in messages]))


@pytest.mark.parametrize("at", [0, 1, 2, -1])
def test_stretches_are_counted_in_characters_wherever_the_search_is_told(at: int) -> None:
    length = len(TEXT.encode())
    supports = [support(None, 5, 0), support(6, 10, 1, 0), support(6, length, 1)]
    found = {**FOUND, "groundingSupports": supports}
    completion = streamed(answer(TEXT[:3], TEXT[3:7], TEXT[7:], grounding=found, at=at))

    assert completion.search == WebSearch(("tea",), (A, B))
    assert completion.parts == (
        Text(
            TEXT,
            citations=(
                Citation(A, 0, 4, "caf\u00e9"),
                Citation(B, 5, 6, "\U0001f99c"),
                Citation(A, 5, 6, "\U0001f99c"),
                Citation(B, 5, len(TEXT), TEXT[5:]),
            ),
        ),
    )


def test_a_whole_answer_says_what_its_stream_says() -> None:
    found = {**FOUND, "groundingSupports": [support(0, 5, 0)]}
    candidate = {"content": {"parts": [{"text": TEXT}]}, "finishReason": "STOP", "groundingMetadata": found}
    whole = gemini.parse_response({"candidates": [candidate], "responseId": "r"}, "tok")

    assert whole == streamed(answer(*TEXT, grounding=found))


@pytest.mark.parametrize(
    "supports",
    [
        [support(5, 5, 0), support(7, 2, 0), support(0, 999, 0), support(-3, 2, 0), support(None, None, 0)],
        [support(0, 5, 2), support(0, 5, 9), support(0, 5, -1), support(0, 5)],
        "nonsense",
    ],
)
def test_stretches_that_are_none_cite_nothing(supports: Any) -> None:
    completion = streamed(answer(TEXT, grounding={**FOUND, "groundingSupports": supports}))

    assert completion.parts == (Text(TEXT),)
    assert completion.search == WebSearch(("tea",), (A, B))


@pytest.mark.parametrize("grounding", [{}, {"groundingChunks": []}, {"groundingChunks": [{"maps": {}}]}, 5])
def test_a_search_that_was_not_made_is_not_told(grounding: Any) -> None:
    assert streamed(answer(TEXT, grounding=grounding)).search is None


def test_a_client_of_google_is_told_what_was_found() -> None:
    envelope = Envelope("tok", "m", 1, Conversation("m", "gemini"))
    body = gemini.render_response(Completion(parts=(Text("x"),), search=WebSearch(("tea",), (A,))), envelope)

    assert body["candidates"][0]["groundingMetadata"] == {"webSearchQueries": ["tea"], "groundingChunks": WEB[:1]}
