"""What a caller calls its request, found again in the answer, in the log and upstream."""

import logging

import pytest

from tests.support.running import Proxy
from tests.support.talking import DIALECTS, request_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def upstream_headers(proxy: Proxy) -> list[dict[str, str]]:
    return [each["headers"] for each in proxy.cloud.requests() if each["deployment"]]


def line_of(log: pytest.LogCaptureFixture, name: str) -> str:
    [line] = [message for message in log.messages if f" id={name}" in message]
    return line


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_keeps_its_id_and_its_trace(
    proxy: Proxy, caplog: pytest.LogCaptureFixture, dialect: str, stream: bool
) -> None:
    caplog.set_level(logging.INFO, "sap_ai_proxy.exchange")
    path, body = request_of(dialect, "gpt-4.1", stream=stream)
    answer = proxy.ask("POST", path, body, **{"X-Request-Id": "mine-1", "traceparent": TRACEPARENT})
    [sent] = upstream_headers(proxy)

    assert answer.status == 200
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers.get("request-id") == ("mine-1" if dialect == "messages" else None)
    assert (sent["x-request-id"], sent["traceparent"]) == ("mine-1", TRACEPARENT)
    assert line_of(caplog, "mine-1").endswith(f" trace={TRACE}")


def test_names_that_will_not_do_are_replaced_and_go_no_further(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sap_ai_proxy.exchange")
    path, body = request_of("chat", "gpt-4.1", stream=False)
    answer = proxy.ask("POST", path, body, **{"X-Request-Id": "a b", "traceparent": "00-1-2-3"})
    [sent] = upstream_headers(proxy)
    name = answer.headers["x-request-id"]

    assert name != "a b"
    assert sent["x-request-id"] == name
    assert "traceparent" not in sent
    assert "trace=" not in line_of(caplog, name)


def test_what_is_refused_keeps_its_id_too(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sap_ai_proxy.exchange")
    path, body = request_of("chat", "nobody", stream=False)
    answer = proxy.ask("POST", path, body, **{"X-Request-Id": "mine-2", "traceparent": TRACEPARENT})

    assert answer.status == 404
    assert answer.headers["x-request-id"] == "mine-2"
    assert line_of(caplog, "mine-2").endswith(f" trace={TRACE}")


def test_two_answers_to_one_name_have_ids_of_their_own(proxy: Proxy) -> None:
    """A client may send the same name again: what is kept and referred to needs another."""
    path, body = request_of("chat", "anthropic--claude-4.5-sonnet", stream=False)
    one, other = (proxy.ask("POST", path, body, **{"X-Request-Id": "same"}) for _ in range(2))

    assert one.headers["x-request-id"] == other.headers["x-request-id"] == "same"
    assert one.json["id"] != other.json["id"]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_the_reason_of_a_failed_attempt_is_told_at_debug(
    own_proxy: Proxy, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level, "sap_ai_proxy.upstream")
    cloud = own_proxy.cloud
    [deployment] = cloud.deployments("gpt-4.1")[:1]
    for each in cloud.deployments("gpt-4.1"):
        cloud.fault(each, "403-provider", message="Quota of https://inner.example/x?api-key=hunter2 spent\nfor now")
    path, body = request_of("chat", "gpt-4.1", stream=False)
    own_proxy.ask("POST", path, body, **{"X-Request-Id": "mine-3"})
    said = [record.getMessage() for record in caplog.records if record.name == "sap_ai_proxy.upstream"]

    assert bool(said) is (level == logging.DEBUG)
    for line in said:
        assert line.startswith("mine-3 ")
        assert " answered 403: " in line
        assert "spent for now" in line
        assert "hunter2" not in line
        assert "inner.example" not in line
        assert "\n" not in line
    assert deployment in "".join(said) or level == logging.INFO
