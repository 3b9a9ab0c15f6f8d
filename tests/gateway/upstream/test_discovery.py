"""What runs where, from lists of every shape AI Core has been seen to send."""

from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import requests

import emulator
from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.service_keys import Secret, ServiceKey, parse
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.upstream.discovery import (
    Management,
    discover,
    is_named,
    listing,
    merge_listing,
    named,
    statuses,
    versions_of,
)
from gateway.upstream.management import ManagementClient
from gateway.upstream.tokens import Token, TokenSource
from tests.support.worlds import mixed_world

BASE = "https://api.example/v2"
ACCOUNT = SubAccount("eu", "team-a", ServiceKey("id", Secret("s"), "https://auth/oauth/token", BASE), {})


def deployment(name, model="gpt-4.1", status="RUNNING", spelling="backendDetails", **more):
    details = {spelling: {"model": {"name": model, "version": "latest"}}} if model else {spelling: {}}
    return {
        "id": name,
        "deploymentUrl": f"{BASE}/inference/deployments/{name}",
        "scenarioId": "foundation-models",
        "status": status,
        "details": {"scaling": {}, "resources": details},
        **more,
    }


class Pages:
    """A list of deployments, handed out in pages of at most *size*."""

    def __init__(self, *deployments, size=100, count=True, paging=True):
        self.deployments = list(deployments)
        self.size = size
        self.count = count
        self.paging = paging
        self.asked = []

    def __call__(self, subaccount, path):
        parts = urlsplit(path)
        query = {name: int(value) for name, [value] in parse_qs(parts.query).items()}
        self.asked.append((subaccount.name, parts.path, query["$skip"]))
        begin = query["$skip"] if self.paging else 0
        page = self.deployments[begin : begin + min(self.size, query["$top"])] if self.paging else self.deployments
        return {"resources": page} | ({"count": len(self.deployments)} if self.count else {})


def test_running_models_are_found_with_all_their_deployments():
    get = Pages(deployment("d1"), deployment("d2", "gemini-2.5-pro"), deployment("d3"))

    assert discover(ACCOUNT, get) == {
        "gpt-4.1": (Deployment(f"{BASE}/inference/deployments/d1"), Deployment(f"{BASE}/inference/deployments/d3")),
        "gemini-2.5-pro": (Deployment(f"{BASE}/inference/deployments/d2"),),
    }
    assert get.asked == [("eu", "/lm/deployments", 0)]


@pytest.mark.parametrize("spelling", ["backendDetails", "backend_details"])
def test_a_model_is_found_under_either_spelling(spelling):
    """An empty object under the other spelling does not hide it."""
    raw = deployment("d1", "m ", spelling=spelling)
    other = {"backendDetails", "backend_details"} - {spelling}
    raw["details"]["resources"][other.pop()] = {}

    assert list(discover(ACCOUNT, Pages(raw))) == ["m"]


@pytest.mark.parametrize(
    "raw",
    [
        deployment("d1", status="PENDING", deploymentUrl=""),
        deployment("d1", status="STOPPED"),
        deployment("d1", status="DEAD"),
        deployment("d1", model=""),
        deployment("d1", details=None),
        deployment("d1", "gpt-realtime", deploymentUrl="wss://realtime.example/d1"),
        {"status": "RUNNING"},
        "nonsense",
    ],
)
def test_what_cannot_be_called_is_kept_out(raw):
    assert discover(ACCOUNT, Pages(raw, deployment("d2"))) == {
        "gpt-4.1": (Deployment(f"{BASE}/inference/deployments/d2"),)
    }


def test_a_url_that_is_not_said_is_built_and_one_that_is_said_is_taken():
    get = Pages(deployment("d1", deploymentUrl=None), deployment("d2", deploymentUrl="https://api.example/v3/d2/"))

    assert discover(ACCOUNT, get)["gpt-4.1"] == (
        Deployment(f"{BASE}/inference/deployments/d1"),
        Deployment("https://api.example/v3/d2"),
    )


@pytest.mark.parametrize("origin", ["https://api.example:443", "https://API.example"])
def test_the_same_origin_may_be_written_in_another_way(origin):
    assert "gpt-4.1" in discover(ACCOUNT, Pages(deployment("d1", deploymentUrl=f"{origin}/v2/d1")))


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/v2/inference/deployments/d1",
        "https://api.example.evil.example/v2/d1",
        "https://sub.api.example/v2/d1",
        "http://api.example/v2/d1",
        "https://api.example:8443/v2/d1",
        "https://api.example@other.example/v2/d1",
        "https://user:word@api.example/v2/d1",
        "https://api.example\\@other.example/v2/d1",
        "https://other.example\\@api.example/v2/d1",
    ],
)
def test_a_deployment_at_another_address_than_the_api_is_left_out_and_gets_no_token(url, caplog):
    found = discover(ACCOUNT, Pages(deployment("d1", deploymentUrl=url), deployment("d2")))

    assert found == {"gpt-4.1": (Deployment(f"{BASE}/inference/deployments/d2"),)}
    [line] = caplog.messages
    assert line == (
        "deployment d1 of eu is left out: its URL has another host, scheme or port than AI_API_URL,"
        " so no token is sent there"
    )


@pytest.mark.parametrize("name", ["x" * 201, "gpt-4.1\n-x", "gpt\x00"])
def test_a_name_that_no_model_can_have_names_none(name):
    assert list(discover(ACCOUNT, Pages(deployment("d1", name), deployment("d2")))) == ["gpt-4.1"]


def orchestration(name, status="RUNNING", **more):
    return deployment(name, "", status, scenarioId="orchestration", **more)


def orchestrated():
    return "gpt-4.1", "gpt-5"


def test_an_orchestration_deployment_runs_every_model_that_is_orchestrated():
    get = Pages(orchestration("d1"), deployment("d2"), orchestration("d3"), orchestration("d4", "STOPPED"))
    one, three = (Deployment(f"{BASE}/inference/deployments/{name}", orchestration=True) for name in ("d1", "d3"))

    assert named(discover(ACCOUNT, get), orchestrated) == {"gpt-4.1": (D2, one, three), "gpt-5": (one, three)}


def test_an_orchestration_deployment_has_no_name_until_it_is_known_what_it_serves():
    alone, found = (discover(ACCOUNT, Pages(deployment("d2"), *more)) for more in ([], [orchestration("d1")]))

    assert (is_named(alone), is_named(found), is_named(named(found, orchestrated))) == (True, False, True)
    assert named(found, lambda: ()) == named(alone, orchestrated) == {"gpt-4.1": (D2,)}


def test_a_model_that_an_orchestration_deployment_is_said_to_run_is_not_its_own():
    found = discover(ACCOUNT, Pages(deployment("d1", "m", scenarioId="orchestration")))

    assert list(named(found, orchestrated)) == ["gpt-4.1", "gpt-5"]


def test_which_models_are_orchestrated_is_asked_only_where_orchestration_runs():
    asked = []
    for status in ("PENDING", "RUNNING"):
        found = discover(ACCOUNT, Pages(deployment("d1"), orchestration("d2", status)))
        named(found, lambda status=status: asked.append(status) or ())

    assert asked == ["RUNNING"]


def test_an_orchestration_deployment_at_another_address_is_left_out_and_gets_no_token():
    raw = orchestration("d1", deploymentUrl="https://other.example/v2/inference/deployments/d1")

    assert named(discover(ACCOUNT, Pages(raw)), orchestrated) == {}


def test_a_gap_in_a_list_takes_no_model_from_an_orchestration_deployment_that_answers():
    before, rows = discover(ACCOUNT, Pages(orchestration("d1"))), listing(ACCOUNT, Pages(deployment("d2")))
    [kept, lost] = (merge_listing(ACCOUNT, rows, before, names.__contains__) for names in ({"d1"}, set()))
    one = Deployment(D1.url, orchestration=True)

    assert named(kept, orchestrated) == {"gpt-4.1": (D2, one), "gpt-5": (one,)}
    assert named(lost, orchestrated) == {"gpt-4.1": (D2,)}


def test_every_status_is_told_by_id():
    get = Pages(deployment("d1"), deployment("d2", status="STOPPED"), deployment("d3", "", scenarioId="orchestration"))

    assert statuses(ACCOUNT, get) == {"d1": "RUNNING", "d2": "STOPPED", "d3": "RUNNING"}


D1, D2, D3 = (Deployment(f"{BASE}/inference/deployments/{name}") for name in ("d1", "d2", "d3"))


@pytest.mark.parametrize(
    ("listed", "answering", "found"),
    [
        ([], "", {"m": (D1, D2), "n": (D3,)}),
        ([deployment("d1", "m")], "", {"m": (D1,)}),
        ([deployment("d1", "m")], "d2", {"m": (D1, D2)}),
        ([deployment("d1", "m")], "d3", {"m": (D1,), "n": (D3,)}),
        ([deployment("d1", "m"), deployment("d2", "m", "UNKNOWN")], "d2", {"m": (D1, D2)}),
        ([deployment("d1", "m"), deployment("d2", "m", "UNKNOWN")], "", {"m": (D1,)}),
        ([deployment("d1", "m"), deployment("d2", "m", "STOPPED")], "d2", {"m": (D1,)}),
        ([deployment("d1", "m"), deployment("d2", "m", "Deleted")], "d2", {"m": (D1,)}),
        ([deployment("d1", "m"), deployment("d2", model="")], "", {"m": (D1, D2)}),
        ([deployment("d1", "m"), deployment("d2", "n")], "d2", {"m": (D1,), "n": (D2,)}),
    ],
)
def test_a_gap_in_a_list_says_nothing_about_who_answers(listed, answering, found):
    rows = listing(ACCOUNT, Pages(*listed))

    assert found == merge_listing(ACCOUNT, rows, {"m": (D1, D2), "n": (D3,)}, lambda name: name == answering)


@pytest.mark.parametrize("count", [True, False])
@pytest.mark.parametrize("total", [0, 1, 4, 5, 9])
def test_pages_are_read_to_the_end(total, count):
    get = Pages(*(deployment(f"d{n}") for n in range(total)), size=2, count=count)

    assert list(statuses(ACCOUNT, get)) == [f"d{n}" for n in range(total)]


@pytest.mark.parametrize("count", [True, False])
def test_a_service_that_ignores_paging_is_not_asked_for_ever(count):
    get = Pages(*(deployment(f"d{n}") for n in range(3)), count=count, paging=False)

    assert len(listing(ACCOUNT, get)) == 3
    assert len(get.asked) <= 2


def test_a_service_that_never_ends_is_given_up_on():
    def get(_, path):
        return {"count": 10**9, "resources": [deployment(path)]}

    assert len(listing(ACCOUNT, get)) == 100


def test_a_page_without_end_is_the_last():
    asked = []

    def get(_, path):
        asked.append(path)
        return {"resources": [deployment(f"d{number}") for number in range(10_000)]}

    assert len(listing(ACCOUNT, get)) == 10_000
    assert len(asked) == 1


@pytest.mark.parametrize("field", ["status", "deploymentUrl"])
def test_what_is_nested_where_a_text_belongs_is_left_out(field):
    nested = []
    for _ in range(1000):
        nested = [nested]
    [found] = listing(ACCOUNT, Pages(deployment("d1", **{field: nested})))

    assert (found.url, found.status) == (
        f"{BASE}/inference/deployments/d1",
        "UNKNOWN" if field == "status" else "RUNNING",
    )


@pytest.mark.parametrize("answer", [None, [], {}, {"resources": None}, {"resources": {}}])
def test_an_unreadable_list_is_a_fault(answer):
    with pytest.raises(FaultError) as caught:
        listing(ACCOUNT, lambda *_: answer)

    assert FaultKind.SERVER_ERROR is caught.value.fault.kind


# The management API over a transport


class Answer:
    def __init__(self, status, body):
        self.status, self.body, self.headers = status, body, {}

    def read(self):
        return self.body


class Wire:
    """A transport that answers from a list and notes what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def get(self, url, headers, timeout):
        self.asked.append((url, headers, timeout))
        return self.answers.pop(0)


def management(*answers, clock=lambda: 0.0):
    wire, tokens = Wire(*answers), iter(["t1", "t2", "t3"])
    source = TokenSource(lambda: Token(next(tokens), 3600.0), clock=clock)
    return wire, Management(wire, {"eu": source}, timeout=7.0)


def test_a_question_carries_token_and_resource_group():
    wire, ask = management(Answer(200, b'{"a": 1}'))

    assert ask(ACCOUNT, "/lm/x") == {"a": 1}
    [(url, headers, timeout)] = wire.asked
    assert (url, timeout) == (f"{BASE}/lm/x", 7.0)
    assert headers == {
        "Authorization": "Bearer t1",
        "AI-Resource-Group": "team-a",
        "AI-Client-Type": "SAP AI Core LLM proxy",
        "Accept": "application/json",
    }


@pytest.mark.parametrize(("status", "age"), [(401, 0.0), (403, 60.0)], ids=["refused", "forbidden-to-an-old-one"])
def test_a_refused_token_is_renewed_once(status, age):
    wire, ask = management(Answer(status, b"Jwt is expired"), Answer(200, b"[]"), clock=lambda: age * len(wire.asked))

    assert ask(ACCOUNT, "/x") == []
    assert [headers["Authorization"] for _, headers, _ in wire.asked] == ["Bearer t1", "Bearer t2"]


def test_what_is_forbidden_to_a_new_token_is_forbidden():
    wire, ask = management(Answer(403, b""), Answer(200, b"[]"))

    with pytest.raises(FaultError):
        ask(ACCOUNT, "/x")
    assert len(wire.asked) == 1


def test_a_token_that_is_refused_twice_is_a_fault():
    wire, ask = management(Answer(401, b""), Answer(401, b""), Answer(200, b"[]"))

    with pytest.raises(FaultError) as caught:
        ask(ACCOUNT, "/x")

    assert (caught.value.fault.kind, len(wire.asked)) == (FaultKind.REFUSED_CREDENTIALS, 2)


@pytest.mark.parametrize(("status", "body"), [(500, b""), (503, b"no healthy upstream"), (200, b"<html>")])
def test_an_error_is_a_fault_after_one_question(status, body):
    wire, ask = management(Answer(status, body), Answer(200, b"[]"))

    with pytest.raises(FaultError) as caught:
        ask(ACCOUNT, "/x")

    assert isinstance(caught.value.fault, Fault)
    assert len(wire.asked) == 1


# Against the emulator


@pytest.fixture
def core():
    with emulator.serve(mixed_world()) as running, closing(ManagementClient()) as client:
        tenants = requests.get(f"{running.url}/admin/tenants", timeout=60).json()
        accounts = [
            SubAccount(name, each["resource_group"], parse(each["service_key"], env={}, base=Path()), {})
            for name, each in tenants.items()
        ]
        fetches = []

        def source(account):
            def fetch():
                fetches.append(account.name)
                return client.fetch_token(account.key)

            return TokenSource(fetch)

        sources = {account.name: source(account) for account in accounts}
        yield running.url, tenants, accounts, Management(client, sources), fetches


def test_each_tenant_of_the_emulator_shows_its_own_running_models(core):
    _, tenants, accounts, ask, fetches = core

    for account in accounts:
        expected = {}
        for each in tenants[account.name]["deployments"]:
            if each["status"] == "RUNNING" and each["model"] is not None:
                expected.setdefault(each["model"], []).append(each["url"])
        found = named(discover(account, ask), lambda: ())
        assert {model: [each.url for each in deployments] for model, deployments in found.items()} == expected
        assert set(statuses(account, ask).values()) == {"RUNNING", "STOPPED", "PENDING"}
    assert fetches == ["eu", "us"]


def test_a_token_the_emulator_revokes_is_renewed_unnoticed(core):
    url, _, [account, *_], ask, fetches = core
    before = statuses(account, ask)
    requests.delete(f"{url}/admin/tokens", timeout=60)

    assert statuses(account, ask) == before
    assert fetches == ["eu", "eu"]


def test_a_deployment_that_is_stopped_in_the_emulator_is_not_found_any_more(core):
    url, _, [account, *_], ask, _ = core
    [first, *rest] = discover(account, ask)["gpt-4.1"]
    body = orjson.dumps({"status": "STOPPED"})
    requests.put(
        f"{url}/admin/deployments/{first.id}", body, headers={"Content-Type": "application/json"}, timeout=5
    ).raise_for_status()

    assert discover(account, ask)["gpt-4.1"] == tuple(rest)
    assert statuses(account, ask)[first.id] == "STOPPED"


def test_the_versions_of_running_deployments_are_known_by_model():
    old = deployment("d2", spelling="backend_details")
    old["details"]["resources"]["backend_details"]["model"]["version"] = "2024-05-13"
    bare = deployment("d4", "gpt-5")
    del bare["details"]["resources"]["backendDetails"]["model"]["version"]
    pages = Pages(deployment("d1"), old, deployment("d3", "o3", status="STOPPED"), bare)

    assert versions_of(listing(ACCOUNT, pages)) == {"gpt-4.1": {"latest", "2024-05-13"}, "gpt-5": {""}}
