"""Ids and signatures lead to their maker from every process, and what its maker alone can read goes nowhere else."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import emulator
from gateway.config.loader import load
from tests.support.processes import SCRIPT, free_port, new_place, until
from tests.support.running import KEY, Cloud, HttpAnswer, Proxy, config_of, running_proxy, serving
from tests.support.worlds import mixed_world

pytestmark = pytest.mark.repeats

OTHER = "sk-another-caller"
GPT, CLAUDE, GEMINI = "gpt-5", "anthropic--claude-4.5-sonnet", "gemini-3.1-pro"
LOOK = {"type": "object", "properties": {}}
THINK = "Have a look around."
ENCRYPTED = {"store": False, "include": ["reasoning.encrypted_content"]}
KEPT = {"store": True}


@pytest.fixture
def shared(cloud: Cloud, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy that two callers use."""
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[KEY, OTHER]) as proxy:
        yield proxy


def respond(proxy: Proxy, input: Any, key: str = KEY, **more: Any) -> HttpAnswer:
    body = {"model": GPT, "input": input, "tools": [{"type": "function", "name": "look", "parameters": LOOK}], **more}
    return proxy.ask("POST", "/v1/responses", body, Authorization=f"Bearer {key}")


def output_of(told: HttpAnswer) -> list[dict[str, Any]]:
    """The items of an answer, whole or streamed."""
    if not told.headers["content-type"].startswith("text/event-stream"):
        return told.json["output"]
    lines = [line.removeprefix("data: ") for line in told.body.decode().splitlines() if line.startswith("data: ")]
    return json.loads(lines[-1])["response"]["output"]


def turn(output: list[dict[str, Any]], text: str = "And now?") -> list[dict[str, Any]]:
    """What a client sends behind what it sent before: the answer, the results of its calls and a text."""
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "a door"}
        for item in output
        if item["type"] == "function_call"
    ]
    return [*output, *results, {"role": "user", "content": text}]


def asked(text: str = THINK) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def deployments(proxy: Proxy) -> list[str]:
    return [each["deployment"] for each in proxy.cloud.requests()]


def reasoning_sent(proxy: Proxy) -> list[dict[str, Any]]:
    """The reasoning that the last request took along."""
    return [item for item in proxy.cloud.requests()[-1]["body"]["input"] if item.get("type") == "reasoning"]


# Every process, restarts, keys


def test_ids_and_signatures_are_known_to_every_worker(shared_cloud: Cloud, tmp_path: Path) -> None:
    place, port = new_place(tmp_path), free_port()
    place.write("config.json", config_of(shared_cloud, {GPT: []}))
    with place.running("--workers", "2", "--port", str(port), command=SCRIPT) as run:
        url = f"http://127.0.0.1:{port}"
        run.await_answer(url)
        proxy = Proxy(url, None, shared_cloud)  # type: ignore[arg-type]  # it is in other processes
        assert until(lambda: len(run.children()) >= 2)
        by_id, shown, carried = [], [], []
        for number in range(12):
            made = respond(proxy, f"Hello {number}").json
            by_id.append(respond(proxy, "And now?", previous_response_id=made["id"]).status)
            shown.append(proxy.ask("GET", f"/v1/responses/{made['id']}").json.get("id") == made["id"])
            for more in (ENCRYPTED, KEPT):
                first = respond(proxy, asked(f"{THINK} {number}"), **more)
                carried.append(respond(proxy, [*asked(THINK), *turn(output_of(first))], **more))

    assert (by_id, shown) == ([200] * 12, [True] * 12)
    assert [told.status for told in carried] == [200] * 24
    assert not [told for told in carried if "thinking" in told.headers.get("x-proxy-dropped", "")]


@pytest.mark.parametrize("more", [ENCRYPTED, KEPT], ids=["encrypted", "kept"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_thoughts_go_back_to_their_maker_after_a_restart(
    cloud: Cloud, tmp_path: Path, stream: bool, more: dict[str, Any]
) -> None:
    for number in range(4):
        with running_proxy(cloud, tmp_path) as proxy:
            first = respond(proxy, asked(f"{THINK} {number}"), stream=stream, **more)
            cloud.forget()
        with running_proxy(cloud, tmp_path) as proxy:
            for _ in range(number):
                respond(proxy, "Hello")
            second = respond(proxy, [*asked(), *turn(output_of(first))], **more)

        assert second.status == 200
        assert first.headers["x-proxy-deployment"] == second.headers["x-proxy-deployment"]
        assert "thinking" not in second.headers.get("x-proxy-dropped", "")
        assert len(reasoning_sent(proxy)) == 1


def test_a_signing_key_is_rotated_and_conversations_go_on(cloud: Cloud, tmp_path: Path) -> None:
    old, new = "an old key of many letters", "a new key of many letters"
    with running_proxy(cloud, tmp_path, secret_signing_keys=[old]) as proxy:
        made = respond(proxy, "My name is Ada.").json["id"]
    told = []
    for keys in ([new, old], [new], []):
        with running_proxy(cloud, tmp_path, secret_signing_keys=keys) as proxy:
            told.append(respond(proxy, "Who am I?", previous_response_id=made))

    assert [each.status for each in told] == [200, 400, 400]
    assert told[1].json["error"]["code"] == "previous_response_not_found"


def test_of_a_deployment_that_is_not_listed_yet_the_caller_is_told_when_to_come_back(tmp_path: Path) -> None:
    port = free_port()
    with emulator.serve(mixed_world(), port=port) as there:
        config = config_of(Cloud(there.url))
        for account in config["subAccounts"].values():
            account["deployment_models"] = {}
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config))
        with serving(load(file, {}, tmp_path), Cloud(there.url)) as proxy:
            made = respond(proxy, "My name is Ada.").json["id"]
    with serving(load(file, {}, tmp_path), Cloud(there.url)) as proxy:
        told = [
            proxy.ask("GET", f"/v1/responses/{made}"),
            respond(proxy, "Who am I?", previous_response_id=made),
            respond(proxy, "Who am I?", OTHER, previous_response_id=made),
        ]

    assert [each.status for each in told] == [503, 503, 401]
    assert all(1 <= int(each.headers["retry-after"]) <= 60 for each in told[:2])


def test_an_answer_of_a_deployment_that_has_left_is_not_found(cloud: Cloud, tmp_path: Path) -> None:
    with running_proxy(cloud, tmp_path) as proxy:
        made = respond(proxy, "My name is Ada.")
    subaccount, _ = made.headers["x-proxy-deployment"].split("/")
    config = config_of(cloud)
    config["subAccounts"][subaccount]["deployment_models"].pop(GPT)
    with running_proxy(cloud, tmp_path, subAccounts=config["subAccounts"]) as proxy:
        told = [
            proxy.ask("GET", f"/v1/responses/{made.json['id']}"),
            respond(proxy, "Who am I?", previous_response_id=made.json["id"]),
        ]

    assert [each.status for each in told] == [404, 404]
    assert all("no longer exists" in each.json["error"]["message"] for each in told)


def test_what_an_answer_went_on_from_is_listed_where_it_is_kept(own_proxy: Proxy) -> None:
    """SAP AI Core refuses to list it: it is asked where the answer was made, and nowhere else."""
    for number in range(4):
        made = respond(own_proxy, f"Hello {number}")
        own_proxy.cloud.forget()
        own_proxy.ask("GET", f"/v1/responses/{made.json['id']}/input_items")
        [request] = own_proxy.cloud.requests()

        assert made.headers["x-proxy-deployment"].endswith(f"/{request['deployment']}")
        assert request["path"].endswith("/input_items")
        assert made.json["id"] not in request["path"]


# Where the maker cannot be asked


@pytest.mark.parametrize("more", [ENCRYPTED, KEPT], ids=["encrypted", "kept"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_thoughts_whose_maker_is_in_cooldown_are_left_out_and_named(
    own_proxy: Proxy, stream: bool, more: dict[str, Any]
) -> None:
    first = respond(own_proxy, asked(), **more)
    _, maker = first.headers["x-proxy-deployment"].split("/")
    own_proxy.cloud.fault(maker, "429-provider", retry_after=30, times=1)
    told = [respond(own_proxy, [*asked(), *turn(output_of(first))], stream=stream, **more) for _ in range(2)]

    assert [each.status for each in told] == [200, 200]
    for each in told:
        assert maker not in each.headers["x-proxy-deployment"]
        assert "thinking" in each.headers["x-proxy-dropped"]
    assert reasoning_sent(own_proxy) == []


def test_thoughts_go_to_no_other_model(own_proxy: Proxy) -> None:
    first = respond(own_proxy, asked(), **ENCRYPTED)
    told = respond(own_proxy, [*asked(), *turn(output_of(first))], model="gpt-5.3-codex", **ENCRYPTED)

    assert told.status == 200
    assert "thinking" in told.headers["x-proxy-dropped"]
    assert reasoning_sent(own_proxy) == []


def test_two_conversations_that_begin_alike_are_two(own_proxy: Proxy) -> None:
    begun = [respond(own_proxy, asked(), **ENCRYPTED) for _ in range(4)]
    makers = [each.headers["x-proxy-deployment"] for each in begun]
    went_on = [respond(own_proxy, [*asked(), *turn(output_of(each))], **ENCRYPTED) for each in begun]

    assert set(Counter(makers).values()) == {1}
    assert makers == [each.headers["x-proxy-deployment"] for each in went_on]
    assert not [each for each in went_on if "thinking" in each.headers.get("x-proxy-dropped", "")]


# Callers


@pytest.mark.parametrize("more", [ENCRYPTED, KEPT], ids=["encrypted", "kept"])
def test_a_strangers_reasoning_is_left_out_and_named(shared: Proxy, more: dict[str, Any]) -> None:
    first = respond(shared, asked(), **more)
    told = respond(shared, [*asked(), *turn(output_of(first))], OTHER, **more)

    assert told.status == 200
    assert "thinking" in told.headers["x-proxy-dropped"]
    assert reasoning_sent(shared) == []


@pytest.mark.parametrize("change", [lambda text: text.swapcase(), lambda text: text[32:], lambda _: None])
def test_reasoning_whose_mac_is_not_ours_is_left_out_and_the_conversation_goes_on(shared: Proxy, change: Any) -> None:
    """As it is in the histories of clients that spoke to a proxy that did not sign."""
    for more in (ENCRYPTED, KEPT):
        first = respond(shared, asked(), **more)
        output = [
            {**item, "encrypted_content": change(item["encrypted_content"])} if item["type"] == "reasoning" else item
            for item in output_of(first)
        ]
        told = respond(shared, [*asked(), *turn(output)], **more)

        assert told.status == 200
        assert "thinking" in told.headers["x-proxy-dropped"]
        assert reasoning_sent(shared) == []


def claude(proxy: Proxy, messages: list[Any], key: str = KEY, **more: Any) -> HttpAnswer:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    tools = [{"name": "look", "input_schema": LOOK}]
    body = {"model": CLAUDE, "max_tokens": 4000, "thinking": thinking, "tools": tools, "messages": messages, **more}
    return proxy.ask("POST", "/v1/messages", body, Authorization=f"Bearer {key}")


def blocks_of(told: HttpAnswer) -> list[dict[str, Any]]:
    """The blocks of an answer, whole or streamed."""
    if not told.headers["content-type"].startswith("text/event-stream"):
        return told.json["content"]
    blocks: list[dict[str, Any]] = []
    for line in told.body.decode().splitlines():
        event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
        match event:
            case {"type": "content_block_start", "content_block": block}:
                blocks.append({**block, "input": ""} if block["type"] == "tool_use" else block)
            case {"type": "content_block_delta", "delta": {"type": kind, **delta}}:
                name = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}.get(kind)
                blocks[-1][name or "input"] += next(iter(delta.values()))
    return [{**each, "input": json.loads(each["input"] or "{}")} if "input" in each else each for each in blocks]


def claudes_turn(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "a door"}
        for block in blocks
        if block["type"] == "tool_use"
    ]
    said = {"role": "user", "content": [*results, {"type": "text", "text": "And now?"}]}
    return [{"role": "user", "content": THINK}, {"role": "assistant", "content": blocks}, said]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_claudes_signatures_go_back_to_any_claude_as_it_made_them(shared: Proxy, stream: bool) -> None:
    blocks = blocks_of(claude(shared, [{"role": "user", "content": THINK}], stream=stream))
    told = [claude(shared, claudes_turn(blocks)) for _ in range(4)]
    [signature] = {block["signature"] for block in blocks if block["type"] == "thinking"}
    sent = [json.dumps(each["body"]) for each in shared.cloud.requests()[1:]]

    assert [each.status for each in told] == [200] * 4
    assert len(set(deployments(shared))) > 1
    assert signature.startswith("sap1")
    assert all(signature[32:] in each and signature not in each for each in sent)
    assert not [each for each in told if "thinking" in each.headers.get("x-proxy-dropped", "")]


@pytest.mark.parametrize("backend", [CLAUDE, "anthropic--claude-3.7-sonnet"])
def test_a_strangers_thinking_of_claudes_is_left_out_and_named(shared: Proxy, backend: str) -> None:
    blocks = blocks_of(claude(shared, [{"role": "user", "content": THINK}], model=backend))
    told = claude(shared, claudes_turn(blocks), OTHER, model=backend)

    assert told.status == 200
    assert "thinking" in told.headers["x-proxy-dropped"]
    assert "EqoBCkgI" not in json.dumps(shared.cloud.requests()[-1]["body"])


def gemini(proxy: Proxy, contents: list[Any], key: str = KEY) -> HttpAnswer:
    tools = [{"functionDeclarations": [{"name": "look", "description": "Look around."}]}]
    mode = "ANY" if len(contents) == 1 else "AUTO"
    body = {"contents": contents, "tools": tools, "toolConfig": {"functionCallingConfig": {"mode": mode}}}
    return proxy.ask(
        "POST", f"/v1beta/models/{GEMINI}:generateContent", body, **{"x-goog-api-key": key, "Authorization": ""}
    )


@pytest.mark.parametrize("key", [KEY, OTHER], ids=["own", "stranger's"])
def test_geminis_signatures_go_back_and_a_strangers_is_left_out_and_named(shared: Proxy, key: str) -> None:
    question = {"role": "user", "parts": [{"text": THINK}]}
    said = gemini(shared, [question]).json["candidates"][0]["content"]
    [signature] = [part["thoughtSignature"] for part in said["parts"] if "thoughtSignature" in part]
    result = {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"seen": "a door"}}}]}
    told = gemini(shared, [question, said, result], key)
    sent = json.dumps(shared.cloud.requests()[-1]["body"])

    assert told.status == 200
    assert signature.startswith("sap1")
    assert ("sap1" not in sent, key == KEY) == (True, signature[32:] in sent)
    assert (key == OTHER) == ("thinking signature" in told.headers.get("x-proxy-dropped", ""))


def test_no_id_or_signature_names_where_it_was_made(shared: Proxy) -> None:
    told = respond(shared, asked(), **KEPT)
    written = told.body.decode()
    subaccount, deployment = told.headers["x-proxy-deployment"].split("/")

    assert deployment not in written
    assert f"{subaccount}/" not in written
    assert len(told.json["id"]) == 5 + 32 + 55
