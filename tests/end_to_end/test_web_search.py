"""A search of the web that Gemini makes for clients of other vendors: what it found comes back in their own form."""

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.end_to_end.test_hosted_tools import CLAUDE, FUNCTIONS, ask
from tests.support.judges import frames
from tests.support.running import HttpAnswer, Proxy
from tests.support.talking import gemini_path, sent

MODELS = ["gemini-2.5-pro", "gemini-3.5-flash"]
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
SEARCHES: dict[str, dict[str, Any]] = {
    "messages": {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    "responses": {"type": "web_search"},
    "chat": {"type": "web_search"},
}
FORCED = {"messages": {"type": "tool", "name": "web_search"}, "responses": {"type": "web_search"}, "chat": "required"}
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
MESSAGE_EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
SITES = ["https://vertexaisearch.example/a.example", "https://vertexaisearch.example/b.example"]
PUBLIC = "What is new in caf\u00e9s \U0001f99c today?"


def searched(
    proxy: Proxy, client: str, model: str, *, stream: bool, choice: Any = None, extra: tuple[Any, ...] = ()
) -> HttpAnswer:
    said = [{"role": "user", "content": PUBLIC}]
    fields: dict[str, Any] = {"input": PUBLIC} if client == "responses" else {"messages": said}
    answer = ask(proxy, client, model, [SEARCHES[client], *extra], choice, stream=stream, **fields)
    assert answer.status == 200, answer.body
    return answer


@STREAMED
@pytest.mark.parametrize("model", MODELS)
class TestEachClient:
    def test_responses_cites_what_was_found(self, wide_proxy: Proxy, model: str, stream: bool) -> None:
        answer = searched(wide_proxy, "responses", model, stream=stream)
        events = [frame.json for frame in frames(answer)] if stream else []
        for event in events:
            EVENTS.validate_python(event)
        response = Response.model_validate(events[-1]["response"] if stream else answer.json)
        message, call = response.output[-2:]
        [part] = message.content  # type: ignore[union-attr]

        assert (call.type, call.status) == ("web_search_call", "completed")  # type: ignore[union-attr]
        assert [source.url for source in call.action.sources] == SITES  # type: ignore[union-attr]
        assert call.action.query.startswith("What is new")  # type: ignore[union-attr]
        assert [each.url for each in part.annotations] == [SITES[0], SITES[0], SITES[1]]  # type: ignore[union-attr]
        judge_places([(each.start_index, each.end_index) for each in part.annotations], part.text)  # type: ignore[union-attr]
        if stream:
            kinds = [event["type"] for event in events]
            added = [event["annotation"] for event in events if event["type"].endswith("annotation.added")]
            assert [each.model_dump() for each in part.annotations] == added  # type: ignore[union-attr]
            assert kinds.index("response.output_text.annotation.added") < kinds.index("response.output_text.done")
            stages = [kind for kind in kinds if kind.startswith("response.web_search_call")]
            assert [stage.rpartition(".")[2] for stage in stages] == ["in_progress", "searching", "completed"]
            assert response.output == [
                Response.model_validate({**answer_of(events), "output": [event["item"]]}).output[0]
                for event in events
                if event["type"] == "response.output_item.done"
            ]

    def test_chat_annotates_what_was_found(self, wide_proxy: Proxy, model: str, stream: bool) -> None:
        answer = searched(wide_proxy, "chat", model, stream=stream)
        if stream:
            deltas = [each["choices"][0]["delta"] for each in map(json.loads, datas(answer)) if each["choices"]]
            text = "".join(delta.get("content") or "" for delta in deltas)
            found = [each["url_citation"] for delta in deltas for each in delta.get("annotations", [])]
        else:
            said = ChatCompletion.model_validate(answer.json).choices[0].message
            text = said.content or ""
            found = [each.url_citation.model_dump() for each in said.annotations or []]

        assert [each["url"] for each in found] == [SITES[0], SITES[0], SITES[1]]
        judge_places([(each["start_index"], each["end_index"]) for each in found], text)

    def test_messages_cites_what_was_found(self, wide_proxy: Proxy, model: str, stream: bool) -> None:
        answer = searched(wide_proxy, "messages", model, stream=stream, choice=FORCED["messages"])
        if stream:
            events = [frame.json for frame in frames(answer)]
            for event in events:
                MESSAGE_EVENTS.validate_python(event)
            blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
            deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
            cited = [delta["citation"] for delta in deltas if delta["type"] == "citations_delta"]
            query = json.loads("".join(delta.get("partial_json", "") for delta in deltas))["query"]
            usage = next(event["usage"] for event in events if event["type"] == "message_delta")
            assert list(range(len(blocks))) == [e["index"] for e in events if e["type"] == "content_block_stop"]
            *_, call, result = blocks
        else:
            Message.model_validate(answer.json)
            *_, text, call, result = answer.json["content"]
            cited, query, usage = text["citations"], call["input"]["query"], answer.json["usage"]

        assert (call["type"], call["name"]) == ("server_tool_use", "web_search")
        assert query.startswith("What is new")
        assert ("web_search_tool_result", call["id"]) == (result["type"], result["tool_use_id"])
        assert [each["url"] for each in result["content"]] == SITES
        assert [each["url"] for each in cited] == [SITES[0], SITES[0], SITES[1]]
        assert all(each["cited_text"] for each in cited)
        assert usage["server_tool_use"]["web_search_requests"] == 1


def judge_places(places: list[tuple[int, int]], text: str) -> None:
    """Hold two stretches, the second of which two pages say, to cover the text in characters."""
    first, second, third = places
    assert (0, len(text)) == (first[0], third[1])
    assert first[1] == second[0] < second[1]
    assert second == third


def answer_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    return {**events[-1]["response"]}


def datas(answer: HttpAnswer) -> list[str]:
    return [frame.data for frame in frames(answer) if frame.data != "[DONE]"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("client", SEARCHES)
class TestWhatGeminiIsAsked:
    def test_a_search_is_googles(self, wide_proxy: Proxy, client: str, model: str) -> None:
        answer = searched(wide_proxy, client, model, stream=False)
        [(_, reached)] = sent(wide_proxy)

        assert reached["tools"] == [{"googleSearch": {}}]
        assert "toolConfig" not in reached
        assert "tool" not in answer.headers.get("x-proxy-dropped", "")

    def test_beside_functions_it_is_named(self, wide_proxy: Proxy, client: str, model: str) -> None:
        answer = searched(wide_proxy, client, model, stream=False, extra=(FUNCTIONS[client],))
        [(_, reached)] = sent(wide_proxy)

        assert [list(tool) for tool in reached["tools"]] == [["functionDeclarations"]]
        assert f"tool {SEARCHES[client]['type']}" in answer.headers["x-proxy-dropped"]

    def test_one_that_is_insisted_on_is_made(self, wide_proxy: Proxy, client: str, model: str) -> None:
        named = client != "chat"
        extra = (FUNCTIONS[client],) if named else ()
        answer = searched(wide_proxy, client, model, stream=False, choice=FORCED[client], extra=extra)
        [(_, reached)] = sent(wide_proxy)

        assert reached["tools"] == [{"googleSearch": {}}]
        dropped = answer.headers["x-proxy-dropped"].split(", ")
        assert "tool_choice" in dropped
        assert ("tools" in dropped) is named

    def test_none_is_made_where_no_tool_may_be_called(self, wide_proxy: Proxy, client: str, model: str) -> None:
        none = {"type": "none"} if client == "messages" else "none"
        searched(wide_proxy, client, model, stream=False, choice=none)
        [(_, reached)] = sent(wide_proxy)

        assert "tools" not in reached


@pytest.mark.parametrize("model", MODELS)
def test_what_gemini_does_not_do_is_refused_if_it_is_insisted_on(wide_proxy: Proxy, model: str) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    forced = ask(wide_proxy, "responses", model, [tool], {"type": "code_interpreter"})
    offered = ask(wide_proxy, "responses", model, [tool])

    assert (forced.status, "code_interpreter" in forced.json["error"]["message"]) == (400, True)
    assert (offered.status, offered.headers["x-proxy-dropped"]) == (200, "tool code_interpreter")


def test_a_page_that_is_to_be_read_is_read_by_google(wide_proxy: Proxy) -> None:
    tool = {"type": "web_fetch_20250910", "name": "web_fetch"}
    answer = ask(wide_proxy, "messages", MODELS[0], [tool])
    [(_, reached)] = sent(wide_proxy)

    assert (answer.status, reached["tools"]) == (200, [{"urlContext": {}}])


@STREAMED
def test_a_gemini_client_gets_what_gemini_found_as_it_is(wide_proxy: Proxy, stream: bool) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": PUBLIC}]}], "tools": [{"googleSearch": {}}]}
    answer = wide_proxy.ask("POST", gemini_path(MODELS[0], stream=stream), body)
    last = frames(answer)[-1].json if stream else answer.json

    assert [chunk["web"]["uri"] for chunk in last["candidates"][0]["groundingMetadata"]["groundingChunks"]] == SITES


def test_the_answer_goes_on_with_another_vendors_model(wide_proxy: Proxy) -> None:
    answer = searched(wide_proxy, "messages", MODELS[0], stream=False)
    history = [
        {"role": "user", "content": PUBLIC},
        {"role": "assistant", "content": answer.json["content"]},
        {"role": "user", "content": "Thank you."},
    ]
    for model in (MODELS[0], CLAUDE, "gpt-4.1"):
        again = ask(wide_proxy, "messages", model, [FUNCTIONS["messages"]], messages=history)
        assert again.status == 200, again.body


REFUSED = "Search Grounding is not supported for this model."


@STREAMED
@pytest.mark.parametrize("client", SEARCHES)
def test_a_deployment_that_does_not_search_is_asked_without_a_search(
    own_proxy: Proxy, client: str, stream: bool
) -> None:
    for deployment in own_proxy.cloud.deployments(MODELS[0]):
        own_proxy.cloud.fault(deployment, "400", times=1, message=REFUSED)
    first = searched(own_proxy, client, MODELS[0], stream=stream)
    own_proxy.cloud.heal()
    own_proxy.cloud.forget()
    second = searched(own_proxy, client, MODELS[0], stream=stream)
    [(_, reached)] = sent(own_proxy)

    assert "tools" in first.headers["x-proxy-dropped"].split(", ")
    assert "tools" in second.headers["x-proxy-dropped"].split(", ")
    assert "tools" not in reached
    own_proxy.cloud.forget()
    forced = ask(own_proxy, client, MODELS[0], [SEARCHES[client]], FORCED[client], stream=stream)
    assert forced.status == 400
    assert "googleSearch" in forced.json["error"]["message"]
    assert sent(own_proxy) == []
