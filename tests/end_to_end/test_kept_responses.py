"""What outlives one request: answers that deployments keep, lessons that models teach, pictures that lie elsewhere."""

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from gateway.media.fetcher import MediaFetcher
from tests.end_to_end.test_edges import shape_of
from tests.gateway.media.fetching import NOT_FETCHED
from tests.support.running import KEY, Cloud, Proxy, running_proxy

MODEL = "gpt-5"
CLAUDE = "anthropic--claude-4.5-sonnet"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def client(own_proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{own_proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def makers(proxy: Proxy) -> list[str]:
    """Which deployment served each inference so far."""
    return [each["deployment"] for each in proxy.cloud.requests()]


# Answers that are kept


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_is_continued_where_it_was_made(own_proxy: Proxy, client: openai.OpenAI, stream: bool) -> None:
    """Four deployments in two subaccounts take turns; each keeps its own answers alone."""
    for _ in range(4):
        own_proxy.cloud.forget()
        if stream:
            with client.responses.stream(model=MODEL, input="My name is Ada.") as streaming:
                answer = streaming.get_final_response()
        else:
            answer = client.responses.create(model=MODEL, input="My name is Ada.")
        for _ in range(3):
            answer = client.responses.create(model=MODEL, input="And now?", previous_response_id=answer.id)

        assert len(set(makers(own_proxy))) == 1


def test_whoever_continues_an_answer_whose_deployment_rests_is_told_for_how_long(
    own_proxy: Proxy, client: openai.OpenAI
) -> None:
    answer = client.responses.create(model=MODEL, input="My name is Ada.")
    own_proxy.cloud.fault(makers(own_proxy)[-1], "429-provider", retry_after=30, times=1)
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model=MODEL, input="And now?", previous_response_id=answer.id)
    with pytest.raises(openai.RateLimitError, match="is used up") as caught:
        client.responses.create(model=MODEL, input="And now?", previous_response_id=answer.id)

    assert 25 <= int(caught.value.response.headers["Retry-After"]) <= 33


def test_without_the_id_of_an_answer_deployments_take_turns(own_proxy: Proxy, client: openai.OpenAI) -> None:
    for _ in range(4):
        client.responses.create(model=MODEL, input="Hello")

    assert len(set(makers(own_proxy))) == 4


def test_a_kept_answer_is_shown_and_deleted_wherever_it_lies(own_proxy: Proxy, client: openai.OpenAI) -> None:
    made = [client.responses.create(model=MODEL, input=f"Hello {number}") for number in range(4)]
    shown = [client.responses.retrieve(each.id) for each in made]

    assert [each.id for each in made] == [each.id for each in shown]
    assert [each.output_text for each in made] == [each.output_text for each in shown]
    for each in made:
        client.responses.delete(each.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(each.id)
    assert own_proxy.in_flight == 0


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_deployment_that_sends_nonsense_for_a_kept_answer_is_a_bad_gateway(
    own_proxy: Proxy, client: openai.OpenAI, method: str
) -> None:
    answer = client.responses.create(model=MODEL, input="Hello")
    own_proxy.cloud.fault(makers(own_proxy)[-1], "garbage", times=1)
    told = own_proxy.ask(method, f"/v1/responses/{answer.id}")

    assert (told.status, shape_of(told.json)) == (502, "openai")
    assert b"html" not in told.body


def test_the_head_of_an_answer_is_given_without_waiting_for_a_body(own_proxy: Proxy, client: openai.OpenAI) -> None:
    path = f"/v1/responses/{client.responses.create(model=MODEL, input='Hello').id}"
    whole, head = (own_proxy.ask(method, path) for method in ("GET", "HEAD"))

    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole.body)))
    assert own_proxy.in_flight == 0


def test_cancelling_what_cannot_be_cancelled_is_a_bad_request(client: openai.OpenAI) -> None:
    answer = client.responses.create(model=MODEL, input="Hello")

    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(answer.id)


@pytest.mark.parametrize(("method", "action"), [("GET", ""), ("DELETE", ""), ("POST", "/cancel")])
@pytest.mark.parametrize("answer", ["resp_unheard_of", "..%2F..%2Fadmin", "a b"])
def test_an_answer_nobody_made_is_not_found(own_proxy: Proxy, method: str, action: str, answer: str) -> None:
    told = own_proxy.ask(
        method, f"/v1/responses/{answer.replace(' ', '%20')}{action}", b"" if method == "POST" else None
    )

    assert (told.status, shape_of(told.json)) == (404, "openai")
    assert own_proxy.cloud.requests() == []


def test_going_on_from_an_answer_nobody_made_is_not_found_in_openais_words(client: openai.OpenAI) -> None:
    with pytest.raises((openai.NotFoundError, openai.BadRequestError)) as caught:
        client.responses.create(model=MODEL, input="Hello", previous_response_id="resp_unheard_of")
    assert "resp_unheard_of" in caught.value.message


def test_going_on_from_an_answer_of_another_model_is_refused(own_proxy: Proxy, client: openai.OpenAI) -> None:
    answer = client.responses.create(model=MODEL, input="Hello")
    own_proxy.cloud.forget()

    with pytest.raises(openai.NotFoundError, match="no longer exists"):
        client.responses.create(model="gpt-5.3-codex", input="Hello", previous_response_id=answer.id)
    assert makers(own_proxy) == []


def test_a_deployment_that_fails_is_not_left_for_one_that_knows_nothing(
    own_proxy: Proxy, client: openai.OpenAI
) -> None:
    answer = client.responses.create(model=MODEL, input="Hello")
    [maker] = makers(own_proxy)
    own_proxy.cloud.fault(maker, "503")
    own_proxy.cloud.forget()
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model=MODEL, input="Hello", previous_response_id=answer.id)

    assert {maker} == set(makers(own_proxy))


# Betas that a model does not know


def betas_sent(proxy: Proxy) -> list[Any]:
    return [each["body"].get("anthropic_beta") for each in proxy.cloud.requests()]


KNOWN = "interleaved-thinking-2025-05-14"


def with_beta(beta: str, *, stream: bool) -> dict[str, Any]:
    message = {"role": "user", "content": "Hello"}
    return {"model": CLAUDE, "max_tokens": 100, "stream": stream, "anthropic_beta": [beta], "messages": [message]}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_beta_that_a_model_is_not_known_to_take_is_not_sent(own_proxy: Proxy, stream: bool) -> None:
    told = own_proxy.ask("POST", "/v1/messages", with_beta("unheard-of-2030-01-01", stream=stream))

    assert told.status == 200
    assert "anthropic_beta unheard-of-2030-01-01" in told.headers["x-proxy-dropped"]
    assert betas_sent(own_proxy) == [None]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_beta_that_a_model_refuses_is_left_out_at_once_and_not_sent_again(own_proxy: Proxy, stream: bool) -> None:
    for deployment in own_proxy.cloud.deployments(CLAUDE):
        own_proxy.cloud.fault(deployment, "400", message="invalid beta flag", times=1)
    told = own_proxy.ask("POST", "/v1/messages", with_beta(KNOWN, stream=stream))
    own_proxy.cloud.heal()
    later = own_proxy.ask("POST", "/v1/messages", with_beta(KNOWN, stream=stream))

    assert [told.status, later.status] == [200, 200]
    assert "anthropic_beta" in later.headers["x-proxy-dropped"]
    assert told.headers["x-proxy-attempts"] == "1"
    assert betas_sent(own_proxy) == [[KNOWN], None, None]
    first, second, _ = makers(own_proxy)
    assert first == second


def test_a_beta_that_is_named_in_a_header_arrives(own_proxy: Proxy) -> None:
    with anthropic.Anthropic(base_url=own_proxy.url, api_key=KEY, max_retries=0) as client:
        client.beta.messages.create(
            model=CLAUDE, max_tokens=2000, betas=[KNOWN],
            messages=[{"role": "user", "content": "Hello"}],
        )  # fmt: skip

    assert betas_sent(own_proxy) == [[KNOWN]]


# Pictures that lie elsewhere


class Gallery(BaseHTTPRequestHandler):
    """Shows one picture at /picture, and leads there from /moved."""

    def do_GET(self) -> None:
        self.send_response({"/picture": 200, "/moved": 302}.get(self.path, 404))
        if self.path == "/moved":
            self.send_header("Location", "/picture")
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(PNG if self.path == "/picture" else b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def gallery() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gallery)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetching(own_proxy: Proxy) -> Proxy:
    """A proxy that takes this machine for a public place."""
    gateway = own_proxy.gateway
    gateway._shared = replace(gateway._shared, fetch=MediaFetcher(allows=lambda *_: True, ports=range(1, 65_536)))
    return own_proxy


def pointing(client: str, url: str, model: str = CLAUDE) -> tuple[str, dict[str, Any]]:
    """A request that asks what is to be seen at *url*, in the dialect of *client*."""
    match client:
        case "anthropic":
            image: Any = {"type": "image", "source": {"type": "url", "url": url}}
            content = [{"type": "text", "text": "What is this?"}, image]
            return "/v1/messages", {
                "model": model,
                "max_tokens": 200,
                "messages": [{"role": "user", "content": content}],
            }
        case "responses":
            content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": url}]
            return "/v1/responses", {"model": model, "input": [{"role": "user", "content": content}]}
        case _:
            image = {"type": "image_url", "image_url": {"url": url}}
            content = [{"type": "text", "text": "What is this?"}, image]
            return "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/picture", "/moved"])
@pytest.mark.parametrize("client", ["openai", "responses", "anthropic"])
@pytest.mark.parametrize("model", [CLAUDE, "amazon--nova-pro"])
def test_a_picture_is_fetched_and_put_in(
    fetching: Proxy, gallery: str, client: str, path: str, model: str, stream: bool
) -> None:
    where, body = pointing(client, gallery + path, model)
    told = fetching.ask("POST", where, {**body, "stream": stream})

    assert told.status == 200
    [sent] = fetching.cloud.requests()
    assert base64.b64encode(PNG).decode() in str(sent["body"])
    assert gallery not in str(sent["body"])
    if not stream:
        assert f"I see an image (image/png, {len(PNG)} bytes)." in told.body.decode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1/a.png", NOT_FETCHED),
        ("http://169.254.169.254/latest/meta-data", NOT_FETCHED),
        ("http://[::ffff:10.0.0.1]/a.png", NOT_FETCHED),
        ("http://localhost/a.png", NOT_FETCHED),
        ("ftp://example.com/a.png", "only http and https URLs are supported"),
    ],
)
@pytest.mark.parametrize("client", ["openai", "responses", "anthropic"])
def test_a_picture_that_must_not_be_fetched_is_refused_with_the_reason(
    own_proxy: Proxy, client: str, url: str, why: str, stream: bool
) -> None:
    where, body = pointing(client, url)
    told = own_proxy.ask("POST", where, {**body, "stream": stream})

    assert (400, "anthropic" if client == "anthropic" else "openai") == (told.status, shape_of(told.json))
    assert told.json["error"]["message"] == f"Cannot fetch '{url}': {why}."
    assert own_proxy.cloud.requests() == []
    assert own_proxy.in_flight == 0


def test_a_picture_that_is_not_there_is_refused_and_blames_no_deployment(fetching: Proxy, gallery: str) -> None:
    where, body = pointing("openai", f"{gallery}/nothing")
    told = [fetching.ask("POST", where, body) for _ in range(6)]

    assert [each.status for each in told] == [400] * 6
    assert told[0].json["error"]["message"] == f"Cannot fetch '{gallery}/nothing': {NOT_FETCHED}."
    standings = {row["standing"] for row in fetching.gateway.state()["endpoints"] if row["model"] == CLAUDE}
    assert standings == {"ready"}


def test_where_fetching_is_switched_off_the_caller_is_told_to_send_bytes(
    cloud: Cloud, tmp_path: Path, gallery: str
) -> None:
    with running_proxy(cloud, tmp_path, upstream={"fetch_media": False}) as proxy:
        where, body = pointing("openai", f"{gallery}/picture")
        told = proxy.ask("POST", where, body)

    assert told.status == 400
    assert "base64 data, not as URLs" in told.json["error"]["message"]


def test_encrypted_thoughts_go_back_to_the_deployment_that_encrypted_them(proxy: Proxy) -> None:
    asked: list[dict] = [{"role": "user", "content": "Think about sealing wax."}]
    body = {
        "model": "gpt-5",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}],
    }
    makers = set()
    for _ in range(4):
        told = proxy.ask("POST", "/v1/responses", {**body, "input": asked})
        assert told.status == 200
        makers.add(told.headers["x-proxy-deployment"])
        output = told.json["output"]
        assert [item for item in output if item["type"] == "reasoning" and item["encrypted_content"]]
        asked += [*output, {"role": "user", "content": "Go on."}]

    assert len(makers) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.3-codex"])
def test_kept_thoughts_go_back_to_the_deployment_that_keeps_them(
    own_proxy: Proxy, client: openai.OpenAI, model: str, stream: bool
) -> None:
    """The loop of OpenAI's own examples: what was put out is put in again, with the results of its calls."""
    tool: Any = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    said: list[Any] = [{"role": "user", "content": "Have a look around."}]
    for _ in range(4):
        if stream:
            with client.responses.stream(model=model, input=said, tools=[tool]) as streaming:
                answer = streaming.get_final_response()
        else:
            answer = client.responses.create(model=model, input=said, tools=[tool])
        said += answer.output
        for call in answer.output:
            if call.type == "function_call":
                said.append({"type": "function_call_output", "call_id": call.call_id, "output": "a door"})
        said.append({"role": "user", "content": "And now look again."})

    assert "reasoning" in {item.type for item in answer.output}
    assert len(set(makers(own_proxy))) == 1
