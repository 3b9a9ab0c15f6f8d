"""What real clients send and need, rule by rule: their own bodies and headers, and what comes of them."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.end_to_end.test_edges import shape_of
from tests.support.agents import (
    ANTHROPIC_BODIES,
    CHAT_BODIES,
    CLAUDE_CODE,
    CLAUDE_CODE_ON_AN_UNKNOWN_MODEL,
    CLAUDE_CODE_TITLE,
    CODEX,
    GEMINI_BODIES,
    GEMINI_ROUTER,
    RESPONSES_BODIES,
    Body,
    claude_code,
    claude_code_on_an_unknown_model,
    claude_code_title,
    codex,
    codex_goes_on,
)
from tests.support.judges import frames, judge_chat, judge_gemini, judge_messages, judge_responses
from tests.support.running import KEY, HttpAnswer, Proxy
from tests.support.talking import (
    CHAT,
    CLAUDES,
    HELLO,
    MESSAGES,
    MODELS,
    ODD,
    ONE_OF_EACH,
    PIXEL,
    RESPONSES,
    gemini_path,
    sent,
)

HELLO_GEMINI = [{"role": "user", "parts": [{"text": "Hello there"}]}]
LENGTHS = {"max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens", "maxOutputTokens"}


class TestClaudeCode:
    @pytest.mark.parametrize("model", MODELS)
    def test_its_full_first_turn_is_answered_by_any_model(self, wide_proxy: Proxy, model: str) -> None:
        body = claude_code(model)
        told = wide_proxy.ask("POST", f"{MESSAGES}?beta=true", body, **CLAUDE_CODE)

        assert 80_000 < len(json.dumps(body)) < 120_000
        assert told.status == 200, told.body
        judge_messages(told, calls=False)
        assert [status for status, _ in sent(wide_proxy)] == [200]

    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("system_last", [False, True], ids=["system-between", "system-last"])
    def test_a_model_it_does_not_know_is_not_refused_the_newest_fields(
        self, wide_proxy: Proxy, model: str, system_last: bool
    ) -> None:
        body = claude_code_on_an_unknown_model(model, system_last=system_last)
        told = wide_proxy.ask("POST", f"{MESSAGES}?beta=true", body, **CLAUDE_CODE_ON_AN_UNKNOWN_MODEL)

        assert told.status == 200, told.body
        judge_messages(told, calls=False)
        [(status, reached)] = sent(wide_proxy)
        assert status == 200
        assert "The user has opened a file." in json.dumps(reached)

    @pytest.mark.parametrize("model", MODELS)
    def test_its_title_in_the_background_is_json_from_any_model(self, wide_proxy: Proxy, model: str) -> None:
        told = wide_proxy.ask("POST", f"{MESSAGES}?beta=true", claude_code_title(model), **CLAUDE_CODE_TITLE)

        assert told.status == 200, told.body
        judge_messages(told, calls=False)
        text = "".join(each.json["delta"].get("text", "") for each in frames(told) if "delta" in each.json)
        assert json.loads(text).keys() == {"title"}

    @pytest.mark.parametrize("model", MODELS)
    def test_its_tool_turn_goes_on_with_the_blocks_it_was_given(self, wide_proxy: Proxy, model: str) -> None:
        body = claude_code(model, 'scene:call Tool3 {"command": "ls"}')
        told = wide_proxy.ask("POST", f"{MESSAGES}?beta=true", body, **CLAUDE_CODE)
        judge_messages(told, calls=True)
        blocks = assembled(told)
        [call] = [block for block in blocks if block["type"] == "tool_use"]
        assert call["input"] == {"command": "ls"}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "hello-from-tool"}
        body["messages"] += [
            {"role": "assistant", "content": blocks},
            {"role": "user", "content": [{**result, "cache_control": {"type": "ephemeral"}}]},
        ]
        again = wide_proxy.ask("POST", f"{MESSAGES}?beta=true", body, **CLAUDE_CODE)

        judge_messages(again, calls=False)
        assert b"hello-from-tool" in again.body

    @pytest.mark.parametrize("model", CLAUDES)
    def test_nothing_of_it_that_bedrock_refuses_reaches_bedrock(self, wide_proxy: Proxy, model: str) -> None:
        wide_proxy.ask("POST", f"{MESSAGES}?beta=true", claude_code(model), **CLAUDE_CODE)
        [(_, reached)] = sent(wide_proxy)

        assert not {"model", "stream", "context_management"} & reached.keys()
        assert reached["anthropic_version"] == "bedrock-2023-05-31"
        assert [word for word in ("defer_loading", "display", "scope") if f'"{word}"' in json.dumps(reached)] == []
        assert len(reached["tools"]) == 12

    def test_no_longer_answer_is_asked_for_than_a_model_gives(self, wide_proxy: Proxy) -> None:
        asked = {}
        for model in MODELS:
            wide_proxy.cloud.forget()
            wide_proxy.ask("POST", MESSAGES, {"model": model, "max_tokens": 128_000, "messages": HELLO})
            [(_, reached)] = sent(wide_proxy)
            asked[model] = next(value for name, value in fields_in(reached) if name in LENGTHS)

        assert asked == {
            "anthropic--claude-3.5-sonnet": 8192,
            "anthropic--claude-4-sonnet": 64_000,
            "anthropic--claude-4.5-sonnet": 64_000,
            "anthropic--claude-4.6-sonnet": 128_000,
            "anthropic--claude-4.8-opus": 128_000,
            "amazon--nova-pro": 10_000,
            "gemini-2.5-pro": 65_535,
            "gemini-3.5-flash": 65_535,
            "gpt-4o": 16_384,
            "gpt-4.1": 32_768,
            "gpt-5": 128_000,
            "gpt-5.3-codex": 128_000,
            "gpt-5.5": 128_000,
        }

    @pytest.mark.parametrize(
        "said",
        [
            "adaptive thinking is not supported on this model",
            "thinking.enabled.display: Extra inputs are not permitted",
            "This model does not support the effort parameter.",
            "tools.10.custom.defer_loading: Extra inputs are not permitted",
            "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for this model",
        ],
    )
    def test_a_refusal_it_reads_comes_in_the_models_own_words(self, wide_proxy: Proxy, said: str) -> None:
        model = "anthropic--claude-4.5-sonnet"
        wide_proxy.cloud.fault(wide_proxy.cloud.deployments(model)[0], "400", message=said, times=1)
        told = wide_proxy.ask("POST", f"{MESSAGES}?beta=true", claude_code(model), **CLAUDE_CODE)

        assert (told.status, shape_of(told.json)) == (400, "anthropic")
        assert told.json["error"] == {"type": "invalid_request_error", "message": said}

    @pytest.mark.parametrize("said", ["output_config: Extra inputs are not permitted", "invalid beta flag"])
    def test_a_refusal_it_cannot_get_round_does_not_reach_it(self, wide_proxy: Proxy, said: str) -> None:
        model = "anthropic--claude-4.6-sonnet"
        wide_proxy.cloud.fault(wide_proxy.cloud.deployments(model)[0], "400", message=said, times=1)
        body = claude_code_on_an_unknown_model(model, system_last=True)
        told = wide_proxy.ask("POST", f"{MESSAGES}?beta=true", body, **CLAUDE_CODE_ON_AN_UNKNOWN_MODEL)

        assert told.status == 200, told.body
        assert [status for status, _ in sent(wide_proxy)] == [400, 200]

    def test_thirty_four_counts_at_once_are_answered_without_asking_a_model(self, wide_proxy: Proxy) -> None:
        body = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "word " * 400}], "tools": []}

        def count(_: int) -> HttpAnswer:
            return wide_proxy.ask("POST", f"{MESSAGES}/count_tokens?beta=true", body, **CLAUDE_CODE)

        with ThreadPoolExecutor(34) as pool:
            told = list(pool.map(count, range(34)))

        assert {each.status for each in told} == {200}
        assert all(300 < each.json["input_tokens"] < 900 for each in told)
        assert sent(wide_proxy) == []

    def test_its_list_of_models_has_names_to_show(self, wide_proxy: Proxy) -> None:
        told = wide_proxy.ask("GET", "/v1/models?limit=1000", None, **CLAUDE_CODE)

        assert told.json.keys() == {"data", "first_id", "has_more", "last_id"}
        assert all(model["type"] == "model" and model["display_name"] for model in told.json["data"])


def assembled(told: HttpAnswer) -> list[Body]:
    """Put a stream's blocks together, as Claude Code does."""
    blocks: list[Body] = []
    arguments: dict[int, str] = {}
    for frame in frames(told):
        match frame.json:
            case {"type": "content_block_start", "content_block": block}:
                blocks.append(dict(block))
            case {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta"} as delta}:
                arguments[index] = arguments.get(index, "") + delta["partial_json"]
            case {"type": "content_block_delta", "index": index, "delta": {"type": _, **delta}}:
                for name, piece in delta.items():
                    blocks[index][name] = blocks[index].get(name, "") + piece
    for index, text in arguments.items():
        blocks[index]["input"] = json.loads(text)
    return blocks


class TestAnthropicClients:
    @pytest.mark.parametrize("model", ODD)
    def test_bodies_of_sdks_and_agents_are_taken_by_any_model(self, wide_proxy: Proxy, model: str) -> None:
        told = {
            client: wide_proxy.ask("POST", MESSAGES, {"model": model, **body}, **{"anthropic-version": "2023-06-01"})
            for client, body in ANTHROPIC_BODIES.items()
        }

        assert {client: each.body for client, each in told.items() if each.status != 200} == {}
        assert all(status == 200 for status, _ in sent(wide_proxy))

    @pytest.mark.parametrize("version", [None, "2023-06-01", "2026-10-21", "tomorrow"])
    @pytest.mark.parametrize("model", ["anthropic--claude-4-sonnet", "anthropic--claude-4.8-opus", "gpt-5"])
    def test_any_version_will_do_and_none_travels_on(self, wide_proxy: Proxy, model: str, version: str | None) -> None:
        body = {"model": model, "max_tokens": 100, "temperature": 0.5, "top_k": 3, "messages": HELLO}
        told = wide_proxy.ask("POST", MESSAGES, body, **({"anthropic-version": version} if version else {}))

        assert told.status == 200, told.body
        assert version is None or version not in json.dumps(sent(wide_proxy))

    def test_betas_nobody_knows_do_not_travel_on(self, wide_proxy: Proxy) -> None:
        betas = "structured-outputs-2025-11-13,prompt-caching-2024-07-31,interleaved-thinking-2025-05-14,never-heard-of"
        body = {"model": "anthropic--claude-4-sonnet", "max_tokens": 100, "messages": HELLO}
        told = wide_proxy.ask("POST", MESSAGES, body, **{"anthropic-beta": betas})

        assert told.status == 200
        assert [reached["anthropic_beta"] for _, reached in sent(wide_proxy)] == [["interleaved-thinking-2025-05-14"]]


class TestCodex:
    @pytest.mark.parametrize("model", MODELS)
    def test_a_turn_and_the_next_are_answered_by_any_model(self, wide_proxy: Proxy, model: str) -> None:
        body = codex(model, 'scene:call shell {"command": "ls"}')
        told = wide_proxy.ask("POST", RESPONSES, body, **CODEX)
        assert told.status == 200, told.body
        judge_responses(told, calls=True)
        output = frames(told)[-1].json["response"]["output"]
        again = wide_proxy.ask("POST", RESPONSES, codex_goes_on(body, output), **CODEX)

        judge_responses(again, calls=False)
        assert b"hello-from-tool" in again.body
        assert all(status == 200 for status, _ in sent(wide_proxy))

    @pytest.mark.parametrize("model", ONE_OF_EACH)
    def test_a_call_of_a_tool_in_a_namespace_says_so(self, wide_proxy: Proxy, model: str) -> None:
        text = 'scene:call agents__spawn {"command": "ls"}'
        offered = wide_proxy.ask("POST", RESPONSES, codex(model), **CODEX)
        [(_, reached)] = sent(wide_proxy)
        name = next(value for field, value in fields_in(reached) if field == "name" and value.endswith("spawn"))
        told = wide_proxy.ask("POST", RESPONSES, codex(model, text.replace("agents__spawn", name)), **CODEX)

        assert offered.status == 200
        dropped = offered.headers["x-proxy-dropped"].split(", ")
        assert [name for name in dropped if name.startswith("tool ") or "namespace" in name] == ["tool web_search"]
        [item] = [each for each in frames(told)[-1].json["response"]["output"] if each["type"] == "function_call"]
        assert (item["name"], item["namespace"]) == ("spawn", "agents")


def fields_in(reached: Any) -> Iterator[tuple[str, Any]]:
    """Find every field of a body, however deep."""
    match reached:
        case dict():
            for name, value in reached.items():
                yield name, value
                yield from fields_in(value)
        case list():
            for value in reached:
                yield from fields_in(value)


class TestGeminiClients:
    @pytest.mark.parametrize("model", ODD)
    @pytest.mark.parametrize("client", GEMINI_BODIES)
    def test_bodies_of_sdks_and_agents_are_taken_by_any_model(self, wide_proxy: Proxy, model: str, client: str) -> None:
        version, body = GEMINI_BODIES[client]
        headers = {"x-goog-api-key": KEY, "Authorization": "", "x-server-timeout": "60"}
        told = wide_proxy.ask("POST", gemini_path(model, stream=True, version=version), body, **headers)

        assert told.status == 200, told.body
        judge_gemini(told, calls=False)

    @pytest.mark.parametrize("model", ODD)
    def test_an_answer_in_one_piece_says_why_it_ended_and_what_it_cost(self, wide_proxy: Proxy, model: str) -> None:
        version, body = GEMINI_BODIES["google-genai"]
        told = wide_proxy.ask("POST", gemini_path(model, stream=False, version=version), body)

        assert told.json["candidates"][0]["finishReason"] == "STOP"
        assert told.json["usageMetadata"]["totalTokenCount"] > 0

    @pytest.mark.parametrize("name", ["gemini-3.5-flash-lite", "gemini-3.1-pro-preview"])
    def test_models_gemini_cli_takes_for_granted_have_stand_ins(self, wide_proxy: Proxy, name: str) -> None:
        told = wide_proxy.ask("POST", gemini_path(name, stream=False), GEMINI_ROUTER)

        assert told.status == 200
        assert json.loads(words_in(told)).keys() == {"reasoning", "complexity"}

    @pytest.mark.parametrize("model", ODD)
    def test_types_in_capitals_are_understood_by_any_model(self, wide_proxy: Proxy, model: str) -> None:
        told = wide_proxy.ask("POST", gemini_path(model, stream=False), GEMINI_ROUTER)

        assert told.status == 200, told.body
        assert json.loads(words_in(told)).keys() == {"reasoning", "complexity"}

    @pytest.mark.parametrize("model", ODD)
    def test_a_key_nobody_knows_costs_no_content(self, wide_proxy: Proxy, model: str) -> None:
        image = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
        parts = [
            {"text": "the number is 42", "partMetadata": {"a": 1}},
            {**image, "mediaResolution": {"level": "MEDIA_RESOLUTION_MEDIUM"}, "newKey": 1},
        ]
        told = wide_proxy.ask("POST", gemini_path(model, stream=False), {"contents": [{"parts": parts}]})
        [(_, reached)] = sent(wide_proxy)

        assert told.status == 200, told.body
        assert "the number is 42" in json.dumps(reached)
        assert PIXEL in json.dumps(reached)
        dropped = set(told.headers["x-proxy-dropped"].split(", "))
        assert {"contents[].parts[].newKey", "contents[].parts[].partMetadata"} <= dropped

    @pytest.mark.parametrize("model", ODD)
    def test_of_several_functions_one_is_called_that_may_be(self, wide_proxy: Proxy, model: str) -> None:
        body = {
            "contents": HELLO_GEMINI,
            "tools": [{"functionDeclarations": [{"name": name} for name in ("a", "b", "c")]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["b", "c"]}},
        }
        told = wide_proxy.ask("POST", gemini_path(model, stream=False), body)

        assert told.status == 200, told.body
        [call] = [part["functionCall"] for part in parts_of(told) if "functionCall" in part]
        assert call["name"] in ("b", "c")

    @pytest.mark.parametrize("model", [name for name in MODELS if name.startswith("gemini")])
    @pytest.mark.parametrize(
        "thinking",
        [
            {"thinkingBudget": 0},
            {"thinkingBudget": 64, "includeThoughts": True},
            {"thinking_budget": 99_999},
            {"thinkingLevel": "MEDIUM", "newKey": 1},
            {"thinkingLevel": "HIGH", "thinkingBudget": 1000},
        ],
        ids=str,
    )
    def test_settings_a_gemini_refuses_are_made_to_fit_it(self, wide_proxy: Proxy, model: str, thinking: Body) -> None:
        config = {
            "maxOutputTokens": 100_000,
            "stopSequences": list("uvwxyz"),
            "thinkingConfig": thinking,
            "newKey": {"a": 1},
        }
        body = {"contents": HELLO_GEMINI, "generationConfig": config}
        told = wide_proxy.ask("POST", gemini_path(model, stream=False), body)

        assert told.status == 200, told.body
        dropped = set(told.headers["x-proxy-dropped"].split(", "))
        assert {f"generationConfig.{name}" for name in ("maxOutputTokens", "stopSequences", "newKey")} <= dropped

    def test_tokens_are_counted(self, wide_proxy: Proxy) -> None:
        body = {"contents": [{"role": "user", "parts": [{"text": "word " * 400}]}]}
        told = wide_proxy.ask("POST", "/v1beta/models/gemini-2.5-pro:countTokens", body)

        assert 300 < told.json["totalTokens"] < 900


def parts_of(told: HttpAnswer) -> list[Body]:
    parts: list[Body] = told.json["candidates"][0]["content"]["parts"]
    return parts


def words_in(told: HttpAnswer) -> str:
    return "".join(part.get("text", "") for part in parts_of(told))


class TestOpenAIClients:
    @pytest.mark.parametrize("model", ODD)
    @pytest.mark.parametrize("client", CHAT_BODIES)
    def test_chat_bodies_are_taken_by_any_model(self, wide_proxy: Proxy, model: str, client: str) -> None:
        body = CHAT_BODIES[client]
        told = wide_proxy.ask("POST", CHAT, {"model": model, **body}, Accept="application/json")

        assert told.status == 200, told.body
        assert [status for status, _ in sent(wide_proxy)] == [200]
        if body.get("stream"):
            judge_chat(told, usage="stream_options" in body, calls=False)
            return
        assert told.headers["content-type"].startswith("application/json")
        assert told.json["usage"]["total_tokens"] > 0
        message = told.json["choices"][0]["message"]
        if "tool_choice" in body:
            [call] = message["tool_calls"]
            assert "command" in json.loads(call["function"]["arguments"])
        if "response_format" in body:
            assert json.loads(message["content"]).keys() == {"name", "age"}

    @pytest.mark.parametrize("model", ODD)
    @pytest.mark.parametrize("client", RESPONSES_BODIES)
    def test_responses_bodies_are_taken_by_any_model(self, wide_proxy: Proxy, model: str, client: str) -> None:
        body = {"model": model, **RESPONSES_BODIES[client]}
        whole = wide_proxy.ask("POST", RESPONSES, body, Accept="application/json")
        told = wide_proxy.ask("POST", RESPONSES, {**body, "stream": True}, Accept="application/json")

        assert (whole.status, whole.json.get("status")) == (200, "completed"), whole.body
        judge_responses(told, calls=body.get("tool_choice") == "required")

    @pytest.mark.parametrize("model", MODELS)
    def test_values_no_request_needs_are_not_made_up(self, wide_proxy: Proxy, model: str) -> None:
        wide_proxy.ask("POST", CHAT, {"model": model, "messages": HELLO})
        [(_, reached)] = sent(wide_proxy)

        said = json.dumps(reached).lower()
        assert [word for word in ("temperature", "top_p", "topp", "safetysettings") if f'"{word}"' in said] == []
