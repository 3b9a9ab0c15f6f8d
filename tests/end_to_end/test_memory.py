"""Memory at the edge: bodies are read if they are wanted, and only as far as there is memory for them."""

import gc
import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dialects.core.conversation import Text
from gateway.cli.demo import config_for
from gateway.http.bodies import BODY_LIMITS, SMALL_BODY
from gateway.requests.memory_budget import COPIES, FULL, KEY_FULL
from gateway.server.stream_loop import HAND_OVER
from tests.end_to_end.test_edges import shape_of
from tests.support.processes import until
from tests.support.running import Cloud, Proxy
from tests.support.wsgi_app import Served, served_with

MIB = 1024 * 1024
TALKS = [
    ("/v1/chat/completions", "openai"),
    ("/v1/responses", "openai"),
    ("/v1/messages", "anthropic"),
    ("/v1/messages/count_tokens", "anthropic"),
    ("/v1beta/models/gemini-2.5-pro:generateContent", "google"),
    ("/v1beta/models/gemini-2.5-pro:countTokens", "google"),
    ("/v1/embeddings", "openai"),
]
QUIET = [
    ("GET", "/v1/models", "openai"),
    ("GET", "/v1beta/models", "google"),
    ("DELETE", "/v1/responses/resp_1", "openai"),
    ("POST", "/v1/responses/resp_1/cancel", "openai"),
    ("POST", "/v1/nothing", "openai"),
    ("POST", "/v1beta/nothing", "google"),
    ("POST", "/v1/messages/nothing", "anthropic"),
    ("PUT", "/v1/messages", "anthropic"),
    ("GET", "/router/state", "openai"),
    ("POST", "/router/actions", "openai"),
]


class Unread(io.RawIOBase):
    """A body that nobody may read."""

    def read(self, _: int | None = -1) -> bytes:
        raise AssertionError("the body was read")


@pytest.fixture(scope="module")
def served(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An application with 8 MiB for all requests, of which one may have 4."""
    limits = {"max_memory_bytes": 8 * MIB, "max_request_memory_bytes": 4 * MIB, "max_body_bytes": 16 * MIB}
    config = {**config_for(shared_cloud.tenants), "server": limits}
    with served_with(config, tmp_path_factory.mktemp("memory")) as served:
        yield served


def body_for(path: str, *, stream: bool = False, text: str = "hi") -> bytes:
    """A body that each path understands."""
    model = "text-embedding-3-small" if path.endswith("embeddings") else "gpt-4.1"
    said = {"model": model, "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": text}]}
    if path.endswith(("responses", "embeddings")):
        said = {"model": model, "input": text, **({"stream": True} if stream else {})}
    if "v1beta" in path:
        return json.dumps({"contents": [{"role": "user", "parts": [{"text": text}]}]}).encode()
    return json.dumps(said).encode()


@pytest.mark.parametrize(("method", "path", "shape"), QUIET)
def test_a_path_without_a_body_refuses_a_large_one_unread(served: Served, method: str, path: str, shape: str) -> None:
    told = served.ask(method, path, Unread(), SMALL_BODY + 1)

    assert (told.status, shape_of(told.json)) == (413, shape)


@pytest.mark.parametrize(("path", "shape"), TALKS)
def test_a_body_beyond_the_limit_of_its_path_is_refused_unread(served: Served, path: str, shape: str) -> None:
    told = served.ask("POST", path, Unread(), 16 * MIB + 1)

    assert (told.status, shape_of(told.json), served.used) == (413, shape, 0)


def test_every_path_that_reads_a_body_has_a_limit_and_no_other(served: Served) -> None:
    views = {rule.endpoint for rule in served.app.url_map.iter_rules() if "POST" in (rule.methods or ())}

    assert views - {"cancel_response"} == BODY_LIMITS.keys()


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("POST", "/v1/messages", {"HTTP_AUTHORIZATION": "Bearer sk-wrong"}, 401),
        ("POST", "/v1/messages", {"HTTP_AUTHORIZATION": ""}, 401),
        ("POST", "/v1/nothing", {}, 404),
        ("PUT", "/v1/messages", {}, 405),
        ("GET", "/v1/models/unheard-of", {}, 404),
        ("POST", "/v1/messages", {"CONTENT_LENGTH": "9" * 30}, 413),
    ],
)
def test_a_request_that_is_refused_by_its_head_has_its_body_unread(
    served: Served, method: str, path: str, more: dict[str, str], status: int
) -> None:
    told = served.ask(method, path, Unread(), 1000, **more)
    told.close()

    assert (told.status, served.used) == (status, 0)


@pytest.mark.parametrize(("path", "shape"), TALKS)
def test_a_request_without_memory_is_told_when_to_come_back_in_its_dialect(
    served: Served, path: str, shape: str
) -> None:
    others = [served.gateway.memory.share(), served.gateway.memory.share()]
    for each in others:
        each.take(4 * MIB)
    told = [served.ask("POST", path, Unread(), length) for length in (100, 1 * MIB, 2**20 + 1)]
    for each in others:
        each.release()

    assert [(each.status, each.headers.get("retry-after")) for each in told] == [(503, "1")] * 3
    bodies = [each.json for each in told]
    assert [shape_of(each) for each in bodies] == [shape] * 3
    assert FULL in json.dumps(bodies[0])
    assert served.used == 0


@pytest.mark.parametrize(("path", "shape"), TALKS)
def test_a_request_that_needs_too_much_memory_is_too_large_and_unread(served: Served, path: str, shape: str) -> None:
    told = served.ask("POST", path, Unread(), 2 * MIB)

    assert (told.status, shape_of(told.json), served.used) == (413, shape, 0)


def test_a_body_of_many_values_is_refused_before_it_is_parsed(served: Served) -> None:
    told = served.ask("POST", "/v1/messages", b'{"model": "m", "messages": [' + b"{}," * 30_000 + b"{}]}")

    assert (told.status, "bytes of memory" in json.dumps(told.json), served.used) == (413, True, 0)


def test_a_body_in_chunks_is_read_as_far_as_there_is_memory(served: Served) -> None:
    body = io.BytesIO(b" " * 8 * MIB)
    told = served.ask("POST", "/v1/messages", body)
    read = body.tell()

    assert (told.status, shape_of(told.json), served.used) == (413, "anthropic", 0)
    assert 1 * MIB < read < 2 * MIB


@pytest.mark.parametrize("text", ["x" * 16 * MIB, "[" * 4 * MIB])
def test_a_compressed_body_is_unpacked_as_far_as_there_is_memory(served: Served, text: str) -> None:
    body = gzip.compress(text.encode())
    told = served.ask("POST", "/v1/messages", body, HTTP_CONTENT_ENCODING="gzip")

    assert (told.status, shape_of(told.json), served.used) == (413, "anthropic", 0)


@pytest.mark.parametrize(("path", "_shape"), TALKS)
def test_memory_is_free_again_when_the_response_is_over(served: Served, path: str, _shape: str) -> None:
    told = served.ask("POST", path, body_for(path, text="x" * 20_000))
    held = served.used

    assert (told.status, held >= 3 * 20_000) == (200, True)
    told.close()
    assert served.used == 0


@pytest.mark.parametrize("read", ["nothing", "a piece", "all"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_memory_of_a_stream_is_free_again_however_the_stream_ends(served: Served, path: str, read: str) -> None:
    taken_over: list[Any] = []
    told = served.ask("POST", path, body_for(path, stream=True), **{HAND_OVER: taken_over.append})
    pieces = iter(told.pieces)
    held = served.used
    if read != "nothing":
        next(pieces)
    if read == "all":
        for _ in pieces:
            pass
    told.close()

    assert (len(taken_over), held > 0, served.used) == (1, True, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"model": "unheard-of", "max_tokens": 9, "messages": []}', 404), (b"{}", 400)],
)
def test_memory_of_a_refused_request_is_free_again(served: Served, body: bytes, status: int) -> None:
    told = served.ask("POST", "/v1/messages", body)

    assert (told.status, served.used > 0) == (status, True)
    told.close()
    assert served.used == 0


def test_a_body_that_ends_early_frees_its_memory(served: Served) -> None:
    told = served.ask("POST", "/v1/messages", b"{}", 100_000)

    assert told.status == 400
    told.close()
    assert served.used == 0


def test_a_long_body_that_does_not_arrive_keeps_no_memory_from_others(served: Served) -> None:
    seen: list[int] = []

    class Slow(io.RawIOBase):
        def read(self, _: int | None = -1) -> bytes:
            seen.append(served.used)
            return b""

    served.ask("POST", "/v1/messages", Slow(), 1_300_000).close()

    assert len(seen) == 1
    assert seen[0] < 300_000
    assert served.used == 0


def test_a_key_whose_uploads_take_all_that_it_may_keeps_nothing_from_another(
    shared_cloud: Cloud, tmp_path: Path
) -> None:
    keys = [{"name": name, "key": f"sk-{name}-of-these-tests"} for name in ("greedy", "modest")]
    config = {**config_for(shared_cloud.tenants), "server": {"max_memory_bytes": 8 * MIB}, "keys": keys}
    del config["secret_authentication_tokens"]
    with served_with(config, tmp_path) as served:

        def ask(name: str, body: bytes) -> tuple[int, str]:
            sent = {"HTTP_AUTHORIZATION": f"Bearer sk-{name}-of-these-tests"}
            told = served.ask("POST", "/v1/messages", body, **sent)
            return told.status, json.dumps(told.json)

        class Upload(io.RawIOBase):
            """The last bytes arrive after those of others."""

            def read(self, size: int | None = -1) -> bytes:
                if served.used > 3 * MIB and not answers:
                    answers.append(ask("greedy", body_for("/v1/messages", text="x" * 300_000)))
                    answers.append(ask("modest", body_for("/v1/messages", text="x" * 300_000)))
                return b"x" * (size or 0)

        answers: list[tuple[int, str]] = []
        served.ask(
            "POST", "/v1/messages", Upload(), 1_300_000, HTTP_AUTHORIZATION="Bearer sk-greedy-of-these-tests"
        ).close()

    assert [status for status, _ in answers] == [503, 200]
    assert KEY_FULL in answers[0][1]


@pytest.mark.parametrize(("path", "shape"), [each for each in TALKS if not each[0].endswith("okens")])
def test_a_request_that_leaves_no_memory_for_its_answer_blames_no_deployment(
    served: Served, path: str, shape: str
) -> None:
    text = "," * ((4 * MIB - needed_for(body_for(path))) // needed_for(b","))
    for _ in range(6):
        told = served.ask("POST", path, body_for(path, text=text))

        assert (told.status, shape_of(told.json), served.used) == (413, shape, 0)
    states = {state.circuit.value for state in served.gateway.balancer.snapshot()}
    assert states == {"closed"}


def test_texts_with_more_vectors_than_memory_blame_no_deployment(served: Served) -> None:
    body = json.dumps({"model": "text-embedding-3-small", "input": ["text"] * 40}).encode()
    for _ in range(6):
        told = served.ask("POST", "/v1/embeddings", body)

        assert (told.status, shape_of(told.json), served.used) == (413, "openai", 0)
    states = {state.circuit.value for state in served.gateway.balancer.snapshot()}
    assert states == {"closed"}


def needed_for(body: bytes) -> int:
    """The bytes of memory that a body takes before it is answered."""
    return COPIES * len(body) + 256 * len(re.findall(rb"[{[,]", body))


@pytest.fixture
def _without_collections() -> Iterator[None]:
    """Collect no garbage that is cyclic: it would be collected some time, but nobody knows when."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("fault", ["", "500", "garbage", "cut"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_a_request_holds_goes_with_it_and_waits_for_no_collection_of_garbage(
    own_proxy: Proxy, stream: bool, fault: str
) -> None:
    marker = f"held {stream} {fault}"
    for deployment in own_proxy.cloud.deployments("gpt-5") if fault else ():
        own_proxy.cloud.fault(deployment, fault)
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": marker}], "stream": stream}
    own_proxy.ask("POST", "/v1/chat/completions", body)

    def held() -> list[Text]:
        return [each for each in gc.get_objects() if isinstance(each, Text) and each.text == marker]

    until(lambda: not held(), amiss=lambda: [gc.get_referrers(each) for each in held()])
