"""Models that orchestration does not stream: asked whole, and given to the client as a stream."""

import json
import socket
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest

from dialects.core.conversation import JSON, Usage
from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.exchange import SharedResources
from gateway.requests.lifetime import Lifetime
from gateway.requests.streaming import StreamedAnswer
from gateway.requests.unstreamed_models import UnstreamedModels
from routing.attempts import Attempt
from routing.endpoint import Endpoint
from routing.events import Circuit
from routing.policy import Timeouts
from tests.support.scripted import HANG, After, Backends, Bench, ScriptedReader, Steps, usage_of

MODEL = "gpt-5.6-luna"
EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", MODEL, orchestration=True)
US = Endpoint("us", "https://us/v2/inference/deployments/d2", MODEL, orchestration=True)
DIRECT = Endpoint("eu", "https://eu/v2/inference/deployments/d3", MODEL)
ASK = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
MESSAGE = {"role": "assistant", "content": "Hello world"}
RESULT = {
    "id": "up1",
    "model": MODEL,
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}
BODY = json.dumps({"request_id": "r", "final_result": RESULT}).encode()
WHOLE = [BODY[:50], BODY[50:]]
SAID = "Streaming is not supported for this model."
REFUSAL = Fault(FaultKind.INVALID_REQUEST, SAID, 400)
ERROR = {"request_id": "r", "code": 400, "message": f"400 - Request Body: {SAID}", "location": "Request Body"}
IN_THE_STREAM = b"data: " + json.dumps({"error": ERROR}).encode() + b"\n\n"
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)
PING = b": ping\n\n"


class Unstreamed(Backends):
    """Backends that play *refusal* to whoever wants a stream; whether each was asked for one is in `streams`."""

    def __init__(self, bench: Bench, refusal: Steps) -> None:
        super().__init__(bench.backends.scripts, bench.clock)
        self.streams: list[bool] = []
        self._refusal = refusal

    def begin(
        self, attempt: Attempt, body: JSON, *, stream: bool, timeouts: Timeouts, lifetime: Lifetime, **more: Any
    ) -> ScriptedReader:
        reader = super().begin(attempt, body, stream=stream, timeouts=timeouts, lifetime=lifetime, **more)
        self.streams.append(stream)

        assert stream == ("stream" in body.get("config", body))
        assert len(self.streams) < 9
        if stream:
            return ScriptedReader(self._refusal, lifetime, timeouts.answer, self._clock)
        return reader


def bench_of(
    scripts: Mapping[Endpoint, Steps], refusal: Steps = (REFUSAL,), *, listed: bool = False, **more: Any
) -> tuple[Bench, Unstreamed]:
    """A bench of backends that do not stream, which the catalogue has *listed* so, or not."""
    bench = Bench(scripts, **more)
    bench.shared = SharedResources(unstreamed=UnstreamedModels(lambda _: listed, bench.clock))
    bench.backends = backends = Unstreamed(bench, refusal)
    return bench, backends


def answer_of(bench: Bench, **ends: Any) -> StreamedAnswer:
    return StreamedAnswer(bench.exchange("openai-chat", ASK, **ends), lambda fault: f"fault: {fault.message}".encode())


def heard(bench: Bench) -> list[bytes]:
    """All that a client hears."""
    answer = answer_of(bench)
    answer.begin()
    return list(answer)


def text_of(pieces: list[bytes]) -> str:
    lines = b"".join(pieces).decode().split("\n")
    frames = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for frame in frames for choice in frame["choices"])


def test_what_the_catalogue_says_is_not_streamed_is_asked_whole_at_once() -> None:
    bench, backends = bench_of({EU: WHOLE}, listed=True)
    pieces = heard(bench)

    assert text_of(pieces) == "Hello world"
    assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
    assert backends.streams == [False]
    assert usage_of(bench.notes) == Usage(fresh_input=10, output=2)
    [record] = bench.notes.records
    assert (record.outcome, record.stop, record.attempts, record.stream) == ("ok", "end", 1, True)
    assert bench.in_flight == 0
    [(_, reader)] = backends.opened
    assert (reader.finished, reader.closed) == (1, 0)


@pytest.mark.parametrize("refusal", [[REFUSAL], [IN_THE_STREAM]], ids=["status", "stream"])
def test_whoever_finds_out_is_asked_again_without_blame_and_nobody_finds_out_twice(refusal: Steps) -> None:
    in_flight: list[int] = []
    bench, backends = bench_of({EU: [lambda: in_flight.append(bench.in_flight), *WHOLE]}, refusal, threshold=1)
    pieces = [heard(bench) for _ in range(3)]

    assert [text_of(each) for each in pieces] == ["Hello world"] * 3
    assert backends.streams == [True, False, False, False]
    assert in_flight == [1, 1, 1]
    assert [(each.outcome, each.attempts) for each in bench.notes.records] == [("ok", 1)] * 3
    [state] = bench.balancer.snapshot()
    assert (state.circuit, state.last_error, state.in_flight) == (Circuit.CLOSED, None, 0)


def test_an_endpoint_that_refuses_the_whole_as_well_is_not_asked_a_third_time() -> None:
    bench, backends = bench_of({EU: [REFUSAL]})
    with pytest.raises(FaultError) as caught:
        answer_of(bench).begin()

    assert caught.value.fault.message == SAID
    assert backends.streams == [True, False]
    assert bench.in_flight == 0


def test_a_deployment_of_the_model_alone_is_not_asked_whole() -> None:
    bench, backends = bench_of({DIRECT: WHOLE}, listed=True)
    with pytest.raises(FaultError):
        answer_of(bench).begin()

    assert backends.streams == [True]


@pytest.mark.parametrize("broken", [[DOWN], [BODY[:50], DOWN], [BODY[:50]], [], [HANG]])
def test_a_whole_answer_that_fails_is_asked_for_elsewhere_and_never_seen(broken: Steps) -> None:
    bench, backends = bench_of({EU: broken, US: WHOLE}, listed=True, timeouts=Timeouts(keep_alive=1000))

    assert text_of(heard(bench)) == "Hello world"
    assert [endpoint.subaccount for endpoint, _ in backends.opened] == ["eu", "us"]
    assert bench.in_flight == 0


def test_signs_of_life_go_out_while_the_whole_answer_is_awaited() -> None:
    bench, _ = bench_of({EU: [After(25.0), BODY[:50], After(12.0), BODY[50:]]}, listed=True)
    pieces = heard(bench)

    assert pieces[:-1] == [PING] * 3
    assert text_of(pieces) == "Hello world"
    assert bench.clock.now == 1037.0


def test_a_whole_answer_may_take_as_long_as_one_to_a_client_that_wants_no_stream() -> None:
    times = Timeouts(first_event=5.0, idle=5.0, answer=30.0)
    slow, _ = bench_of({EU: [After(29.0), BODY[:50], After(29.0), BODY[50:]]}, listed=True, timeouts=times)
    late, _ = bench_of({EU: [After(31.0), BODY]}, listed=True, timeouts=times)

    assert text_of(heard(slow)) == "Hello world"
    assert heard(late)[-1].startswith(b"fault: ")
    [record] = late.notes.records
    assert 0 <= late.clock.now - 1000 - 30 * record.attempts < 1
    assert [each.notes.records[0].outcome for each in (slow, late)] == ["ok", "timeout"]


def test_the_latency_of_a_whole_answer_is_that_of_its_first_byte() -> None:
    bench, _ = bench_of({EU: [After(2.0), BODY[:50], After(7.0), BODY[50:]]}, listed=True)
    heard(bench)
    [state] = bench.balancer.snapshot()

    assert state.latency == pytest.approx(2.0)


def test_a_caller_that_leaves_ends_the_wait_for_the_whole_answer() -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        bench, backends = bench_of({EU: [After(1.0), BODY[:50], theirs.close, BODY[50:], HANG]}, listed=True)
        answer = answer_of(bench, client=ours)
        with pytest.raises(FaultError) as caught:
            answer.begin()

    assert caught.value.fault.kind is FaultKind.CALLER_LEFT
    assert bench.in_flight == 0
    [(_, reader)] = backends.opened
    assert reader.closed == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.INVALID_REQUEST, "temperature is not supported", 400),
        Fault(FaultKind.SERVER_ERROR, SAID, 500),
        Fault(FaultKind.INVALID_REQUEST, SAID),
    ],
)
def test_other_words_say_nothing_about_streams(fault: Fault) -> None:
    models = UnstreamedModels()

    assert not models.learn(EU, fault)
    assert EU not in models


def test_a_refusal_holds_for_its_endpoint_and_for_six_hours() -> None:
    now = 1000.0
    models = UnstreamedModels(clock=lambda: now)

    assert models.learn(EU, REFUSAL)
    assert (EU in models, US in models) == (True, False)
    now += 6 * 3600 - 1
    assert models.learn(US, REFUSAL)
    assert (EU in models, US in models) == (True, True)
    now += 1
    assert (EU in models, US in models) == (False, True)
