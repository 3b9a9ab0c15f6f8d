"""What Gemini says of a search of the web: what for, what was found, and which bytes of its text come from where."""

import json

import pytest

ASKED = {"contents": [{"role": "user", "parts": [{"text": "caf\u00e9s \U0001f99c in Walldorf, please, and today"}]}]}
SEARCH = {"tools": [{"google_search": {}}]}


def grounding_of(answer):
    """The metadata of an answer, whole or streamed, with the text that it is about."""
    if "text/event-stream" in answer.headers["content-type"]:
        frames = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]
    else:
        frames = [answer.json()]
    candidates = [frame["candidates"][0] for frame in frames]
    parts = [part for each in candidates for part in each.get("content", {}).get("parts", [])]
    found = [each["groundingMetadata"] for each in candidates if "groundingMetadata" in each]
    return "".join(part.get("text", "") for part in parts), found


@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent?alt=sse"])
def test_a_search_is_told_once_with_stretches_in_bytes(eu, verb):
    answer = eu.post("gemini-2.5-flash", f"models/gemini-2.5-flash:{verb}", ASKED | SEARCH)
    text, [found] = grounding_of(answer)

    assert found["webSearchQueries"] == ["caf\u00e9s \U0001f99c in Walldorf, please, and"]
    assert len(found["groundingChunks"]) == 2
    stretches = [each["segment"] for each in found["groundingSupports"]]
    for stretch in stretches:
        said = text.encode()[stretch.get("startIndex", 0) : stretch["endIndex"]]
        assert stretch["text"] == said.decode()
    assert text == "".join(stretch["text"] for stretch in stretches)


def test_without_a_search_there_is_nothing_to_tell(eu):
    answer = eu.post("gemini-2.5-flash", "models/gemini-2.5-flash:generateContent", ASKED)

    assert grounding_of(answer)[1] == []


@pytest.mark.parametrize("tool", ["googleSearch", "urlContext"])
def test_functions_and_a_search_are_refused_together(eu, tool):
    tools = [{tool: {}}, {"functionDeclarations": [{"name": "f"}]}]
    answer = eu.post("gemini-2.5-flash", "models/gemini-2.5-flash:generateContent", ASKED | {"tools": tools})

    assert (answer.status_code, "all search tools" in answer.text) == (400, True)
