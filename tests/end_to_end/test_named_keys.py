"""Callers by the names of their keys: what each may read, how each is named, and whose ids are whose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.caller_keys import digest_of
from gateway.http.admission import KEY_FULL
from gateway.requests.lifetime import Lifetime
from tests.end_to_end.test_edges import shape_of
from tests.support.processes import until
from tests.support.running import KEY, Cloud, HttpAnswer, Proxy, running_proxy

ALICE, BOB, ROOT = "sk-of-alice-0123456789", "sk-of-bob-0123456789", "sk-of-root-0123456789"
KEYS = [
    {"name": "alice", "key": ALICE},
    {"name": "bob", "hash": f"sha256:{digest_of(BOB).hex()}"},
    {"name": "root", "key": ROOT, "admin": True},
]
SIGNING = ["what signs ids in these tests"]


@pytest.fixture(scope="module")
def named(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with named keys beside the old list."""
    with running_proxy(shared_cloud, tmp_path_factory.mktemp("named"), keys=KEYS, secret_signing_keys=SIGNING) as proxy:
        yield proxy


def by(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def respond(proxy: Proxy, key: str, text: str, **more: Any) -> HttpAnswer:
    return proxy.ask("POST", "/v1/responses", {"model": "gpt-5", "input": text, **more}, **by(key))


@pytest.mark.parametrize("path", ["/router/state", "/metrics"])
def test_once_there_is_an_admin_key_the_state_is_for_admin_keys(named: Proxy, path: str) -> None:
    statuses = {key: named.ask("GET", path, **by(key)).status for key in (KEY, ALICE, BOB, ROOT, "sk-wrong")}

    assert statuses == {KEY: 403, ALICE: 403, BOB: 403, ROOT: 200, "sk-wrong": 401}


def test_a_key_that_is_no_admin_key_learns_what_is_needed(named: Proxy) -> None:
    refusal = named.ask("GET", "/router/state", **by(ALICE))

    assert (refusal.status, shape_of(refusal.json), refusal.headers["x-should-retry"]) == (403, "openai", "false")
    assert refusal.json["error"]["message"].startswith("This needs an admin key: send one of the keys that have")


def test_decisions_name_the_caller_by_its_key(named: Proxy) -> None:
    for key in (ALICE, BOB, KEY):
        respond(named, key, "Hello")
    decisions = named.ask("GET", "/router/state", **by(ROOT)).json["decisions"]

    assert [each["caller"] for each in decisions[:3]] == [digest_of(KEY).hex()[:8], "bob", "alice"]


def test_a_key_that_is_replaced_under_its_name_keeps_the_ids_of_its_caller(
    named: Proxy, shared_cloud: Cloud, tmp_path: Path
) -> None:
    made = respond(named, ALICE, "My name is Ada.").json["id"]
    rotated = [{"name": "alice", "key": "sk-new-of-alice-012345"}, {"name": "bob", "key": ALICE}]
    with running_proxy(shared_cloud, tmp_path, keys=rotated, secret_signing_keys=SIGNING) as proxy:
        continued = respond(proxy, "sk-new-of-alice-012345", "Who am I?", previous_response_id=made)
        of_another_caller = respond(proxy, ALICE, "Who am I?", previous_response_id=made)

    assert continued.status == 200
    assert (of_another_caller.status, of_another_caller.json["error"]["code"]) == (400, "previous_response_not_found")


def test_many_wrong_keys_from_an_address_are_slowed_down_and_a_right_one_always_passes(
    shared_cloud: Cloud, tmp_path: Path
) -> None:
    with running_proxy(shared_cloud, tmp_path, server={"trusted_proxies": ["127.0.0.1"]}) as proxy:

        def ask(key: str, client: str, path: str = "/v1/models", **headers: str) -> HttpAnswer:
            return proxy.ask("GET", path, **by(key), **headers, **{"X-Forwarded-For": client})

        first = [ask(f"sk-wrong-{number}", "203.0.113.5").status for number in range(10)]
        slowed = [ask("sk-wrong", "203.0.113.5", headers) for headers in ("/v1/models", "/v1beta/models")]
        anthropic = ask("sk-wrong", "203.0.113.5", **{"anthropic-version": "2023-06-01"})

        assert first == [401] * 10
        assert [each.status for each in slowed] == [429, 429]
        assert [shape_of(each.json) for each in (*slowed, anthropic)] == ["openai", "google", "anthropic"]
        assert 1 <= int(slowed[0].headers["retry-after"]) <= 60
        assert [ask(KEY, "203.0.113.5").status, ask("sk-wrong", "198.51.100.1").status] == [200, 401]
        assert ask("", "203.0.113.5").status == 401
        assert 'outcome="unauthenticated"' in ask(KEY, "203.0.113.5", "/metrics").body.decode()
        assert 'outcome="rate_limited"' not in ask(KEY, "203.0.113.5", "/metrics").body.decode()


@pytest.mark.parametrize(("server", "places"), [({"requests": 6}, 3), ({"requests": 6, "requests_per_key": 2}, 2)])
def test_a_key_has_at_most_its_share_of_the_requests_in_progress(
    shared_cloud: Cloud, tmp_path: Path, server: dict[str, int], places: int
) -> None:
    with running_proxy(shared_cloud, tmp_path, keys=KEYS, server={**server, "waiting": 0}) as proxy:
        held = [proxy.gateway.admission.enter("alice", Lifetime(60)) for _ in range(places)]
        refusal, other = respond(proxy, ALICE, "Hello"), respond(proxy, BOB, "Hello")
        held.pop().release()

        assert (refusal.status, refusal.headers["retry-after"], other.status) == (429, "10", 200)
        assert refusal.json["error"]["message"] == KEY_FULL
        assert respond(proxy, ALICE, "Hello").status == 200


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("HEAD", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")]
)
def test_a_request_for_a_stored_response_takes_a_place_too(
    shared_cloud: Cloud, tmp_path: Path, method: str, rest: str
) -> None:
    with running_proxy(shared_cloud, tmp_path, keys=KEYS, server={"requests": 2, "waiting": 0}) as proxy:
        held = proxy.gateway.admission.enter("alice", Lifetime(60))
        told = [
            proxy.ask(method, f"/v1/responses/resp_1{rest}", Authorization=f"Bearer {key}").status
            for key in (ALICE, BOB)
        ]
        held.release()

        assert told == [429, 404]
        assert until(lambda: not proxy.gateway.admission.working)


def test_a_single_key_may_have_all_requests_in_progress(shared_cloud: Cloud, tmp_path: Path) -> None:
    with running_proxy(shared_cloud, tmp_path, server={"requests": 2, "waiting": 0}) as proxy:
        held = [proxy.gateway.admission.enter(digest_of(KEY).hex()[:8], Lifetime(60)) for _ in range(2)]

        assert respond(proxy, KEY, "Hello").status == 503
        assert len(held) == 2
