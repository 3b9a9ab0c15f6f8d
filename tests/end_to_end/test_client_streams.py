"""What clients rely on in every dialect and from every model: whole streams, errors in their own words, any key."""

import json
from itertools import product
from pathlib import Path

import pytest

from tests.end_to_end.test_edges import shape_of
from tests.support.agents import SCHEMA
from tests.support.judges import frames, judge_chat, judge_gemini, judge_messages, judge_responses
from tests.support.running import KEY, Cloud, Proxy, running_proxy
from tests.support.talking import CHAT, DIALECTS, HELLO, MODELS, ONE_OF_EACH, SHAPES, request_of, sent

SCENES = (("Hello there", False), ('scene:call bash {"command": "it\'s data: \\"x\\""}', True))


class TestStreams:
    """One defect of a stream makes some client loop, lose calls or print nothing: none of them is had."""

    @pytest.mark.parametrize("model", MODELS)
    def test_chat(self, wide_proxy: Proxy, model: str) -> None:
        tools = [{"type": "function", "function": {"name": "bash", "parameters": SCHEMA}}]
        counted = {"stream_options": {"include_usage": True}}
        for text, calls in SCENES:
            body = {"model": model, "stream": True, "messages": [{"role": "user", "content": text}], "tools": tools}

            judge_chat(wide_proxy.ask("POST", CHAT, body), usage=False, calls=calls)
            judge_chat(wide_proxy.ask("POST", CHAT, {**body, **counted}), usage=True, calls=calls)

    @pytest.mark.parametrize("model", MODELS)
    def test_messages(self, wide_proxy: Proxy, model: str) -> None:
        tools = [{"name": "bash", "input_schema": SCHEMA}]
        for text, calls in SCENES:
            path, body = request_of("messages", model, stream=True, text=text)

            judge_messages(wide_proxy.ask("POST", path, {**body, "tools": tools}), calls=calls)

    @pytest.mark.parametrize("model", MODELS)
    def test_responses(self, wide_proxy: Proxy, model: str) -> None:
        tools = [{"type": "function", "name": "bash", "parameters": SCHEMA, "strict": False}]
        for text, calls in SCENES:
            path, body = request_of("responses", model, stream=True, text=text)

            judge_responses(wide_proxy.ask("POST", path, {**body, "tools": tools}), calls=calls)

    @pytest.mark.parametrize("model", MODELS)
    def test_gemini(self, wide_proxy: Proxy, model: str) -> None:
        tools = [{"functionDeclarations": [{"name": "bash", "parametersJsonSchema": SCHEMA}]}]
        for text, calls in SCENES:
            path, body = request_of("gemini", model, stream=True, text=text)

            judge_gemini(wide_proxy.ask("POST", path, {**body, "tools": tools}), calls=calls)

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_no_stream_is_compressed(self, wide_proxy: Proxy, dialect: str) -> None:
        path, body = request_of(dialect, "gpt-4.1", stream=True)
        told = wide_proxy.ask("POST", path, body, **{"Accept-Encoding": "gzip, deflate, br"})

        assert frames(told)
        assert "content-encoding" not in told.headers

    @pytest.mark.parametrize("model", ONE_OF_EACH)
    @pytest.mark.parametrize(
        ("dialect", "ending"),
        [
            ("chat", ["error"]),
            ("messages", ["type", "error"]),
            ("responses", ["type", "sequence_number", "response"]),
            ("gemini", ["error"]),
        ],
    )
    def test_a_stream_that_breaks_ends_as_broken_in_its_dialect(
        self, wide_proxy: Proxy, model: str, dialect: str, ending: list[str]
    ) -> None:
        wide_proxy.cloud.fault(wide_proxy.cloud.deployments(model)[0], "cut", after_events=3, times=1)
        path, body = request_of(dialect, model, stream=True, text="scene:long 300")
        told = wide_proxy.ask("POST", path, body)
        said = [frame.json for frame in frames(told)]

        assert told.status == 200
        assert ending == [name for name in said[-1] if name != "code"]
        if dialect == "responses":
            assert said[-1]["response"]["status"] == "failed"
            assert said[0]["response"]["id"] == said[-1]["response"]["id"]
            assert said[-1]["response"]["error"]["message"]
        else:
            assert "network" not in said[-1]["error"]
            assert said[-1]["error"]["message"]


class TestErrors:
    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": f"Bearer {KEY}"},
            {"Authorization": f"bearer {KEY}"},
            {"x-api-key": KEY},
            {"api-key": KEY},
            {"x-goog-api-key": KEY},
            {},
        ],
        ids=["bearer", "lower-case", "x-api-key", "api-key", "x-goog-api-key", "query"],
    )
    def test_a_key_in_any_place_opens_any_path(self, wide_proxy: Proxy, dialect: str, headers: dict[str, str]) -> None:
        path, body = request_of(dialect, "gpt-4.1", stream=False)
        told = wide_proxy.ask(
            "POST", path if headers else f"{path}?key={KEY}", body, **{"Authorization": "", **headers}
        )

        assert told.status == 200, told.body

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_a_wrong_key_is_a_401_in_the_dialect(self, wide_proxy: Proxy, dialect: str, stream: bool) -> None:
        path, body = request_of(dialect, "gpt-4.1", stream=stream)
        told = wide_proxy.ask("POST", path, body, Authorization="Bearer sk-wrong")

        assert (told.status, shape_of(told.json)) == (401, SHAPES[dialect])
        assert "Incorrect API key provided" in told.json["error"]["message"]
        if SHAPES[dialect] == "openai":
            assert told.json["error"]["type"] != "invalid_request_error"
        assert (
            "This request has no API key"
            in wide_proxy.ask("POST", path, body, Authorization="").json["error"]["message"]
        )

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_an_unknown_model_is_a_404_in_the_dialect(self, wide_proxy: Proxy, dialect: str, stream: bool) -> None:
        path, body = request_of(dialect, "llama-9", stream=stream)
        told = wide_proxy.ask("POST", path, body)

        assert (told.status, shape_of(told.json)) == (404, SHAPES[dialect])
        said = {name: told.json["error"].get(name) for name in ("type", "code", "status")}
        assert (
            said
            == (
                {
                    "openai": {"type": "invalid_request_error", "code": "model_not_found", "status": None},
                    "anthropic": {"type": "not_found_error", "code": None, "status": None},
                    "google": {"type": None, "code": 404, "status": "NOT_FOUND"},
                }[SHAPES[dialect]]
            )
        )

    @pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
    def test_a_request_without_a_model_is_the_callers_mistake(self, wide_proxy: Proxy, dialect: str) -> None:
        path, body = request_of(dialect, "", stream=False)
        del body["model"]
        told = wide_proxy.ask("POST", path, body)

        assert told.status in (400, 404)
        assert shape_of(told.json) == SHAPES[dialect]
        assert "model" in told.json["error"]["message"]

    @pytest.mark.parametrize(
        ("fault", "status"),
        [("400", 400), ("400-empty", 400), ("429-provider", 429), ("429-quota", 429), ("500", 502), ("503", 503)],
    )
    def test_an_error_before_the_first_word_is_a_status(
        self, cloud: Cloud, tmp_path: Path, fault: str, status: int
    ) -> None:
        model = "anthropic--claude-4.5-sonnet"
        for deployment in cloud.deployments(model):
            cloud.fault(deployment, fault, retry_after=30)
        with running_proxy(cloud, tmp_path, breaker={"failure_threshold": 1000}) as proxy:
            # Three of the four deployments are tried, and whoever is told so may come back at once for the fourth.
            proxy.ask("POST", *request_of("openai-chat", model, stream=False))
            for dialect, stream in product(DIALECTS, (False, True)):
                path, body = request_of(dialect, model, stream=stream)
                told = proxy.ask("POST", path, body)

                assert (status, SHAPES[dialect]) == (told.status, shape_of(told.json))
                assert told.headers["content-type"].startswith("application/json")
                assert status != 429 or 25 <= int(told.headers["retry-after"]) <= 33
                assert not {"ai-inference-id", "x-upstream-service-time", "x-amzn-requestid"} & told.headers.keys()

    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("model", ONE_OF_EACH)
    def test_fields_nobody_knows_are_left_out(self, wide_proxy: Proxy, dialect: str, model: str) -> None:
        path, body = request_of(dialect, model, stream=True)
        told = wide_proxy.ask("POST", path, {**body, "frobnicate": {"depth": 3}, "x_session": "abc", "tools": []})

        assert told.status == 200, told.body
        assert "frobnicate" in told.headers["x-proxy-dropped"]
        assert "frobnicate" not in json.dumps(sent(wide_proxy))

    @pytest.mark.parametrize("model", ONE_OF_EACH)
    def test_an_answer_about_429_is_a_success(self, wide_proxy: Proxy, model: str) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": "scene:echo HTTP 429 rate limit exceeded"}]}
        told = wide_proxy.ask("POST", CHAT, body)

        assert (told.status, len(sent(wide_proxy))) == (200, 1)
        assert "429" in told.json["choices"][0]["message"]["content"]

    @pytest.mark.parametrize("name", ["GPT-4.1", "Anthropic--Claude-4.5-Sonnet", "Gemini-2.5-Pro", "CLAUDE-OPUS-4-8"])
    def test_names_are_known_in_any_case(self, wide_proxy: Proxy, name: str) -> None:
        told = wide_proxy.ask("POST", CHAT, {"model": name, "messages": HELLO})

        assert (200, name) == (told.status, told.json["model"])
        assert "x-proxy-fallback" not in told.headers

    @pytest.mark.parametrize("path", ["/", "/api/hello"])
    def test_a_probe_without_a_key_is_no_error_of_the_server(self, wide_proxy: Proxy, path: str) -> None:
        assert wide_proxy.ask("HEAD", path, None, Authorization="").status < 500
