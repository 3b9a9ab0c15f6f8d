"""The OpenAPI document is true: it names what there is, and answers are as it says."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate
from werkzeug.exceptions import HTTPException

from gateway.config.settings import Settings
from proxy_server import create_app
from tests.support.running import KEY, HttpAnswer, Proxy
from tests.support.worlds import MIXED
from tests.surface.contract import Answer, Contract

MESSAGES = [{"role": "user", "content": "Hello"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
LEAST = {
    # the schema of a body: a body with the required fields alone
    "ChatRequest": {"model": "gpt-4.1", "messages": MESSAGES},
    "ChatFields": {"messages": MESSAGES},
    "ResponsesRequest": {"model": "gpt-4.1", "input": "Hello"},
    "CompactRequest": {"model": "gpt-5.5", "input": "Hello"},
    "EmbeddingsRequest": {"model": "text-embedding-3-small", "input": "Hello"},
    "EmbeddingsFields": {"input": "Hello"},
    "MessagesRequest": {"model": "gpt-4.1", "max_tokens": 100, "messages": MESSAGES},
    "CountTokensRequest": {"model": "gpt-4.1", "messages": MESSAGES},
    "GeminiRequest": {"contents": CONTENTS},
    "GeminiTokensRequest": {"generateContentRequest": {"contents": CONTENTS}},
    "Action": {"action": "strategy", "model": "gpt-4.1", "strategy": "round-robin"},
    "Anything": {},
}
NAMED_LATER = {"ChatRequest", "ResponsesRequest", "CompactRequest", "EmbeddingsRequest"}
"""The bodies that are read without a model; a deployment of no name is then not found."""
QUERIES = {"/web/guide": "?url=http://127.0.0.1:3001"}
OPEN = ["/health", "/ready", "/api/event_logging/batch"]
ENDLESS = "/router/events"


@pytest.fixture(scope="module")
def contract(shared_proxy: Proxy) -> Contract:
    return Contract(shared_proxy.ask("GET", "/openapi.json").json)


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    made = create_app(Settings({}))
    yield made
    made.extensions["gateway"].close()


def schema_of(operation: Any) -> str:
    """The name of the schema of a body; empty if there is none."""
    body = operation.get("requestBody", {"content": {}})["content"]
    return body["application/json"]["schema"]["$ref"].rpartition("/")[2] if body else ""


def filled(path: str) -> str:
    """A path with values for its parameters."""
    model = "text-embedding-3-small" if "embeddings" in path else "gemini-2.5-pro"
    name = "page.js" if path.startswith("/web/") else "gemini-2.5-pro"
    return path.format(model=model, name=name, answer="resp_unknown")


def ask(proxy: Proxy, method: str, path: str, operation: Any, **headers: str) -> HttpAnswer:
    """Call an operation with as little as it needs."""
    schema = schema_of(operation)
    return proxy.ask(method, filled(path) + QUERIES.get(path, ""), LEAST[schema] if schema else None, **headers)


def broken(contract: Contract, method: str, target: str, told: HttpAnswer) -> list[str]:
    return contract.broken(method, target, Answer(told.status, told.headers, told.body))


def test_it_is_a_valid_document_of_openapi(contract: Contract) -> None:
    validate(contract.document)

    assert contract.document["openapi"] == "3.1.0"


def test_every_operation_of_the_document_is_there(contract: Contract, app: Flask) -> None:
    routes, gone = app.url_map.bind("127.0.0.1"), []
    for method, path, _ in contract.operations:
        try:
            routes.match(filled(path), method)
        except HTTPException as error:
            gone.append(f"{method} {path}: {error.name}")

    assert gone == []


def test_every_route_is_in_the_document(contract: Contract, app: Flask) -> None:
    routes = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        paths = [path.replace("{verb}", verb) for verb in ("generateContent", "streamGenerateContent", "countTokens")]
        ours = {"OPTIONS"} if path == "/api/event_logging/batch" else set()
        routes |= {(method, each) for each in paths for method in rule.methods - {"HEAD", "OPTIONS"} | ours}

    assert {(method, path) for method, path, _ in contract.operations} == routes


def test_every_parameter_of_a_path_is_described_and_no_other(contract: Contract) -> None:
    described = {
        (method, path): {
            each["name"] for each in map(contract.resolved, operation["parameters"]) if each["in"] == "path"
        }
        for method, path, operation in contract.operations
    }

    assert described == {key: set(re.findall(r"{(\w+)}", key[1])) for key in described}


def test_every_schema_that_is_described_is_used(contract: Contract) -> None:
    parts = contract.document["components"]
    written = json.dumps(contract.document)
    unused = [
        f"{kind}/{name}"
        for kind, named in parts.items()
        if kind != "securitySchemes"
        for name in named
        if f'"#/components/{kind}/{name}"' not in written
    ]

    assert unused == []


def test_every_operation_answers_as_described(proxy: Proxy, contract: Contract) -> None:
    laws, statuses = {}, {}
    for method, path, operation in contract.operations:
        if path != ENDLESS:
            told = ask(proxy, method, path, operation)
            laws[method, path] = broken(contract, method, filled(path), told)
            statuses[method, path] = told.status
    unusual = {key: status for key, status in statuses.items() if status != 200}

    assert {key: each for key, each in laws.items() if each} == {}
    assert unusual == {
        ("GET", "/v1/responses"): 426,
        ("GET", "/v1/responses/{answer}"): 404,
        ("DELETE", "/v1/responses/{answer}"): 404,
        ("GET", "/v1/responses/{answer}/input_items"): 404,
        ("POST", "/v1/responses/{answer}/cancel"): 404,
    }


def test_a_stored_response_is_as_described(proxy: Proxy, contract: Contract) -> None:
    made = proxy.ask("POST", "/v1/responses", {"model": "gpt-5.5", "input": "Hello", "store": True}).json["id"]
    calls = [("GET", ""), ("GET", "/input_items"), ("DELETE", "")]
    told = [(method, f"/v1/responses/{made}{more}") for method, more in calls]
    answers = [proxy.ask(method, target) for method, target in told]

    assert [each.status for each in answers] == [200, 400, 200]
    assert [broken(contract, *each, answer) for each, answer in zip(told, answers, strict=True)] == [[], [], []]


@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/gemini-2.5-pro:streamGenerateContent"],
)
def test_a_stream_is_as_described(proxy: Proxy, contract: Contract, path: str) -> None:
    body = {**LEAST["MessagesRequest"], "input": "Hello"} if path == "/v1/responses" else LEAST["MessagesRequest"]
    body = {"contents": CONTENTS} if "beta" in path else {**body, "stream": True}
    told = proxy.ask("POST", path, body)

    assert (told.status, told.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert broken(contract, "POST", path, told) == []


@pytest.mark.parametrize(
    ("headers", "query", "field"),
    [
        ({}, "", "object"),
        ({"anthropic-version": "2023-06-01"}, "", "has_more"),
        ({"x-goog-api-key": KEY}, "", "models"),
        ({}, "?client_version=1", "models"),
    ],
)
def test_every_form_of_the_list_of_models_is_as_described(
    proxy: Proxy, contract: Contract, headers: dict[str, str], query: str, field: str
) -> None:
    told = proxy.ask("GET", f"/v1/models{query}", **headers)

    assert field in told.json
    assert broken(contract, "GET", "/v1/models", told) == []


def test_every_operation_refuses_a_wrong_key_and_a_bad_body_as_described(proxy: Proxy, contract: Contract) -> None:
    laws, statuses = {}, []
    for method, path, operation in contract.operations:
        told = [ask(proxy, method, path, operation, Authorization="Bearer sk-wrong")] if path != ENDLESS else []
        if schema_of(operation):
            told.append(proxy.ask(method, filled(path), b"{"))
        statuses += [each.status for each in told]
        laws[method, path] = [law for each in told for law in broken(contract, method, filled(path), each)]

    assert {key: each for key, each in laws.items() if each} == {}
    assert {200, 400, 401} <= set(statuses)


def test_a_key_is_needed_where_the_document_says_so(proxy: Proxy, contract: Contract) -> None:
    without = {path: ask(proxy, method, path, operation, Authorization="").status
               for method, path, operation in contract.operations if operation.get("security") == [{}]}  # fmt: skip
    others = {path: ask(proxy, method, path, operation, Authorization="").status
              for method, path, operation in contract.operations if "security" not in operation}  # fmt: skip
    del others["/web/{name}"]

    assert without == dict.fromkeys(OPEN, 200)
    assert others == dict.fromkeys(others, 401)
    assert len(others) > 30


def test_a_key_is_accepted_in_every_place_that_the_document_names(proxy: Proxy, contract: Contract) -> None:
    statuses = {}
    for name, scheme in contract.document["components"]["securitySchemes"].items():
        place = scheme.get("in", "bearer")
        query = f"?{scheme['name']}={KEY}" if place == "query" else ""
        headers = {"Authorization": f"Bearer {KEY}" if place == "bearer" else ""}
        headers |= {scheme["name"]: KEY} if place == "header" else {}
        statuses[name] = proxy.ask("GET", f"/openapi.json{query}", **headers).status

    assert statuses == dict.fromkeys(("bearer", "x-api-key", "api-key", "x-goog-api-key", "key"), 200)
    assert contract.document["security"] == [{name: []} for name in statuses]


@pytest.mark.parametrize("name", sorted(LEAST))
def test_the_required_fields_of_a_body_are_enough_and_each_of_them_is_needed(
    proxy: Proxy, contract: Contract, name: str
) -> None:
    schema = {"$ref": f"#/components/schemas/{name}"}
    calls = [(method, path) for method, path, operation in contract.operations if schema_of(operation) == name]
    paths = {path: method for method, path in calls}
    least = LEAST[name]
    shorter = [{key: value for key, value in least.items() if key != left_out} for left_out in least]
    shorter = [each for each in shorter if not isinstance(each.get("strategy"), str) or "action" in each]

    assert contract.errors_in(schema, least) == []
    assert [bool(contract.errors_in(schema, each)) for each in shorter] == [True] * len(shorter)
    assert {path: proxy.ask(method, filled(path), least).status for path, method in paths.items()} == dict.fromkeys(
        paths, 200
    )
    for each in shorter:
        status = 404 if "model" in least and "model" not in each and name in NAMED_LATER else 400
        told = {path: proxy.ask(method, filled(path), each).status for path, method in paths.items()}
        assert told == dict.fromkeys(paths, status), each


def test_it_holds_nothing_of_this_server(proxy: Proxy, contract: Contract) -> None:
    written = json.dumps(contract.document)
    secrets = [KEY, proxy.url, proxy.cloud.url, *MIXED, *proxy.gateway.settings.subaccounts]

    assert [each for each in secrets if f'"{each}"' in written or (len(each) > 3 and each in written)] == []
