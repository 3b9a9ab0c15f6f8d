"""What both of OpenAI's dialects can say goes from the one to the other, and back."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.running import KEY, Proxy
from tests.support.talking import sent

LIKELY = ["message.output_text.logprobs"]


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_how_wordy_to_be_is_said_in_both(proxy: Proxy, client: openai.OpenAI) -> None:
    asked = client.with_raw_response
    chat = asked.chat.completions.create(
        model="gpt-5.3-codex", messages=[{"role": "user", "content": "Hello"}], verbosity="low"
    )
    asked.responses.create(model="gpt-5", input="Hello", text={"verbosity": "high"})
    older = asked.responses.create(model="gpt-4.1", input="Hello", text={"verbosity": "high"})

    assert "x-proxy-dropped" not in chat.headers
    assert older.headers["x-proxy-dropped"] == "verbosity"
    bodies = [body for _, body in sent(proxy)]
    assert [(body.get("text") or {}).get("verbosity") for body in bodies] == ["low", "high", None]


def test_how_likely_words_are_is_told_in_responses(proxy: Proxy, client: openai.OpenAI) -> None:
    told = client.responses.with_raw_response.create(model="gpt-4.1", input="Hello", include=LIKELY, top_logprobs=2)
    content = told.parse().output[0].content[0]

    assert "x-proxy-dropped" not in told.headers
    assert content.text == "".join(each.token for each in content.logprobs)
    assert content.text.encode() == bytes(byte for each in content.logprobs for byte in each.bytes)
    assert all(len(each.top_logprobs) == 2 for each in content.logprobs)
    assert all(each.logprob == each.top_logprobs[0].logprob for each in content.logprobs)


def test_a_stream_tells_how_likely_words_are_as_the_whole_does(client: openai.OpenAI) -> None:
    ask = {"model": "gpt-4.1", "input": "Hello", "include": LIKELY, "top_logprobs": 1}
    whole = client.responses.create(**ask).output[0].content[0].logprobs
    with client.responses.stream(**ask) as streaming:
        events = list(streaming)
        final = streaming.get_final_response().output[0].content[0]
    deltas = [event for event in events if event.type == "response.output_text.delta"]

    assert [each.token for each in whole] == [each.token for event in deltas for each in event.logprobs]
    assert whole == final.logprobs
    assert all(event.delta == "".join(each.token for each in event.logprobs) for event in deltas)


def test_nothing_is_told_of_it_unasked(proxy: Proxy, client: openai.OpenAI) -> None:
    assert client.responses.create(model="gpt-4.1", input="Hello").output[0].content[0].logprobs == []
    told = client.responses.with_raw_response.create(model="gpt-4.1", input="Hello", top_logprobs=2)

    assert told.headers["x-proxy-dropped"] == "top_logprobs"
    assert all("logprobs" not in body for _, body in sent(proxy))
