"""What deployments keep for one caller, no other caller can go on from, read, delete or refer to."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.test_edges import shape_of
from tests.support.running import KEY, Cloud, HttpAnswer, Proxy, running_proxy

OTHER = "sk-another-caller"
MODEL = "gpt-5"
KNOWN = "An id can be used only with the API key that it was created with."
KNOWN_HERE = "An id can be used only with the API key that it was created with, and until the proxy restarts."


@pytest.fixture
def shared(cloud: Cloud, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy that two callers use."""
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[KEY, OTHER]) as proxy:
        yield proxy


def ask(proxy: Proxy, input: Any, key: str = KEY, path: str = "/v1/responses", **more: Any) -> HttpAnswer:
    return proxy.ask("POST", path, {"model": MODEL, "input": input, **more}, Authorization=f"Bearer {key}")


def reference(item: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "What was that?"}, {"type": "item_reference", "id": item}]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/openai/responses"])
def test_nobody_goes_on_from_what_another_was_answered(shared: Proxy, path: str, stream: bool) -> None:
    made = ask(shared, "My name is Ada.").json["id"]
    shared.cloud.forget()
    told = ask(shared, "Who am I?", OTHER, path, previous_response_id=made, stream=stream)

    assert (told.status, shape_of(told.json)) == (400, "openai")
    assert (
        told.json["error"]["code"],
        told.json["error"]["param"],
    ) == ("previous_response_not_found", "previous_response_id")
    assert (
        told.json["error"]["message"]
        == f"Previous response with id '{made}' not found. {KNOWN} Send the whole conversation as input instead."
    )
    assert shared.cloud.requests() == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("typed", [{"type": "item_reference"}, {"type": None}, {}], ids=["typed", "null", "bare"])
def test_nobody_refers_to_an_item_of_anothers(shared: Proxy, stream: bool, typed: dict[str, Any]) -> None:
    item = ask(shared, "My name is Ada.").json["output"][-1]["id"]
    shared.cloud.forget()
    told = ask(shared, [{"role": "user", "content": "Go on"}, {**typed, "id": item}], OTHER, stream=stream)

    assert (told.status, shape_of(told.json)) == (404, "openai")
    assert (
        told.json["error"]["message"] == f"Item with id '{item}' not found. {KNOWN_HERE} Send the item itself instead."
    )
    assert shared.cloud.requests() == []


@pytest.mark.parametrize("id", [7, None, ["msg_1"], {"msg_1": 1}, "", "msg_unheard_of"], ids=str)
def test_a_reference_to_nothing_is_refused(shared: Proxy, id: Any) -> None:
    told = ask(shared, reference(id))

    assert (told.status, shape_of(told.json)) == (404, "openai")
    assert shared.cloud.requests() == []


@pytest.mark.parametrize(
    "id", [7, ["resp_1"], {"resp_1": 1}, "resp_unheard_of", "x" * 500], ids=lambda each: str(each)[:9]
)
def test_an_answer_nobody_made_is_not_gone_on_from(shared: Proxy, id: Any) -> None:
    told = ask(shared, "Go on", previous_response_id=id)

    assert (told.status, told.json["error"]["code"]) == (400, "previous_response_not_found")
    assert len(told.json["error"]["message"]) < 350
    assert shared.cloud.requests() == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_caller_refers_to_its_own_items_wherever_they_lie(shared: Proxy, stream: bool) -> None:
    """Four deployments in two subaccounts take turns; each keeps its own items alone."""
    for _ in range(4):
        shared.cloud.forget()
        if stream:
            told = ask(shared, "My name is Ada.", stream=True)
            last = [line for line in told.body.decode().splitlines() if line.startswith("data: ")][-1]
            item = json.loads(last.removeprefix("data: "))["response"]["output"][-1]["id"]
        else:
            item = ask(shared, "My name is Ada.").json["output"][-1]["id"]
        again = [ask(shared, reference(item)) for _ in range(3)]

        assert [each.status for each in again] == [200] * 3
        assert len({each["deployment"] for each in shared.cloud.requests()}) == 1


def test_an_answer_that_is_not_the_callers_is_neither_shown_nor_deleted_nor_cancelled(shared: Proxy) -> None:
    made = ask(shared, "My name is Ada.").json["id"]
    shared.cloud.forget()
    path = f"/v1/responses/{made}"
    told = [
        shared.ask(method, where, body, Authorization=f"Bearer {OTHER}")
        for method, where, body in (
            ("GET", path, None),
            ("DELETE", path, None),
            ("POST", f"{path}/cancel", b""),
            ("GET", f"{path}/input_items", None),
        )
    ]

    assert [each.status for each in told] == [404] * 4
    assert shared.cloud.requests() == []
    assert shared.ask("GET", path).status == 200


def test_items_of_an_answer_that_is_shown_may_be_referred_to(cloud: Cloud, tmp_path: Path) -> None:
    with running_proxy(cloud, tmp_path) as proxy:
        made = ask(proxy, "My name is Ada.").json
    item = made["output"][-1]["id"]
    with running_proxy(cloud, tmp_path) as proxy:
        before = ask(proxy, reference(item)).status
        proxy.ask("GET", f"/v1/responses/{made['id']}")

        assert (before, ask(proxy, reference(item)).status) == (404, 200)


def test_without_keys_all_callers_are_one(cloud: Cloud, tmp_path: Path) -> None:
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[]) as proxy:
        made = ask(proxy, "My name is Ada.").json
        told = ask(proxy, reference(made["output"][-1]["id"]), OTHER, previous_response_id=made["id"])

    assert told.status == 200


def test_after_a_restart_answers_are_gone_on_from_by_id_and_whole(cloud: Cloud, tmp_path: Path) -> None:
    asked: list[Any] = [{"role": "user", "content": "My name is Ada."}]
    with running_proxy(cloud, tmp_path) as proxy:
        made = ask(proxy, asked, include=["reasoning.encrypted_content"]).json
    with running_proxy(cloud, tmp_path) as proxy:
        by_id = ask(proxy, "Who am I?", previous_response_id=made["id"])
        whole = ask(proxy, [*asked, *made["output"], {"role": "user", "content": "Who am I?"}])

    assert (by_id.status, whole.status) == (200, 200)


def test_no_log_line_holds_the_id_of_a_response(shared: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    # What urllib3 says is switched off where the proxy is served.
    caplog.set_level(logging.CRITICAL, "urllib3")
    caplog.set_level(logging.DEBUG, "sap_ai_proxy.exchange")
    made = ask(shared, "My name is Ada.").json["id"]
    ask(shared, "And now?", previous_response_id=made)
    ask(shared, "And now?", OTHER, previous_response_id=made)
    for key in (OTHER, KEY):
        for method, action in (("GET", ""), ("POST", "/cancel"), ("GET", "/input_items"), ("DELETE", "")):
            body = b"" if method == "POST" else None
            shared.ask(method, f"/v1/responses/{made}{action}", body, Authorization=f"Bearer {key}")

    assert f"GET /v1/responses/{made[:16]}…/input_items" in caplog.text
    assert made not in caplog.text
