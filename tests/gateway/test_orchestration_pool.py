"""Pools with orchestration deployments in them: one deployment, an endpoint for each of its models."""

import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.orchestration.modules import Modules
from gateway.config.orchestration import OrchestrationOptions
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.settings import Settings
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.endpoint_pool import EndpointPool, OneProbe
from gateway.upstream.discovery import Orchestration
from routing.availability import Availability
from routing.endpoint import Endpoint
from routing.events import Circuit
from routing.load_balancer import LoadBalancer
from routing.policy import Policy
from tests.support.processes import until

BASE = "https://api.example/v2"
KEY = ServiceKey("id", Secret("s"), "https://auth/oauth/token", BASE)
POLICY = Policy(health_check_interval=0.05, discovery_interval=60)


def url(name: str) -> str:
    return f"{BASE}/inference/deployments/{name}"


class Place:
    """A pool of one subaccount with an orchestration deployment of three models, and the clock and probe it has."""

    def __init__(self, options: OrchestrationOptions | None = None, *, down: bool = False, **configured: str) -> None:
        deployments = {model: (Deployment(url(name)),) for model, name in configured.items()}
        account = SubAccount("eu", "default", KEY, deployments, discovery=True)
        self.down = down
        self.now = 0.0
        self.status = "RUNNING"
        self.alone = ""
        """The model of another deployment that runs."""
        self.models: Collection[str] = ("gpt-5", "gpt-5.5", "claude")
        self.probed: list[str] = []
        self.answer: int | Exception = 503
        self.ask: Callable[[], object] = lambda: None
        settings = Settings({"eu": account}, policy=POLICY, orchestration=options or OrchestrationOptions())
        self.balancer = LoadBalancer({}, policy=POLICY, clock=lambda: self.now)
        orchestration = Orchestration(lambda _: self.models, lambda _: self.ask())
        self.pool = EndpointPool(
            settings, self.balancer, self._get, self.probe, lambda: self.now, orchestration=orchestration
        )
        self.pool.refresh()

    def _get(self, _: SubAccount, __: str) -> Any:
        if self.down:
            raise FaultError(Fault(FaultKind.UNREACHABLE, "away"))
        raw = {"id": "d9", "deploymentUrl": url("d9"), "status": self.status, "scenarioId": "orchestration"}
        backend = {"resources": {"backendDetails": {"model": {"name": self.alone}}}}
        alone = {"id": "d1", "deploymentUrl": url("d1"), "status": "RUNNING", "details": backend}
        resources = [raw, alone] if self.alone else [raw]
        return {"count": len(resources), "resources": resources}

    def probe(self, endpoint: Endpoint) -> int:
        self.probed.append(endpoint.url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def served(self) -> dict[str, list[tuple[str, bool, bool]]]:
        return {
            model: [(each.deployment, each.orchestration, each.standby) for each in self.balancer.endpoints(model)]
            for model in self.balancer.models()
        }

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have it watched over as it is when it serves."""
        self.pool.start()
        try:
            yield
        finally:
            self.pool.stop()

    def seen(self, what: str) -> list[Any]:
        return [getattr(state, what) for state in self.balancer.snapshot()]

    def open_all_circuits(self) -> None:
        for state in self.balancer.snapshot():
            breaker = self.balancer.breaker(state.endpoint)
            for _ in range(POLICY.breaker.failure_threshold):
                permit = breaker.enter()
                assert permit is not None
                breaker.failed(permit)


def test_an_orchestration_deployment_is_an_endpoint_of_each_of_its_models() -> None:
    expected = [("d9", True, True)]

    assert Place().served() == {"gpt-5": expected, "gpt-5.5": expected, "claude": expected}


def test_models_come_and_go_with_what_is_orchestrated() -> None:
    place = Place()
    place.models = ("claude", "gpt-6")
    place.pool.refresh()

    assert list(place.served()) == ["claude", "gpt-6"]


def test_nothing_waits_for_the_answer_to_which_models_are_orchestrated() -> None:
    place, let_go = Place(), threading.Event()
    place.models, place.alone = ("gpt-5", "sonar"), "gpt-4.1"

    def hang() -> None:
        let_go.wait(60)
        place.models = ("gpt-6",)

    place.ask = hang
    with place.watched():
        meanwhile, unlisted = place.served(), place.pool.unlisted().subaccounts
        let_go.set()
        until(lambda: list(place.served()) == ["gpt-4.1", "gpt-6"])

    assert list(meanwhile) == ["gpt-4.1", "gpt-5", "sonar"]
    assert unlisted == ()


def test_until_it_was_asked_once_which_models_are_orchestrated_the_subaccount_counts_as_unlisted() -> None:
    """So that nobody is told that a model is not there; one without an orchestration deployment need not wait."""
    place, let_go = Place(down=True), threading.Event()
    place.down, place.ask = False, lambda: let_go.wait(60)
    with place.watched():
        meanwhile = list(place.served()), place.pool.unlisted().subaccounts
        let_go.set()
        until(lambda: place.pool.unlisted().subaccounts == ())

    assert meanwhile == (["gpt-5", "gpt-5.5", "claude"], ("eu",))


def test_a_deployment_that_is_listed_by_hand_is_known_as_orchestration_once_it_was_looked_up() -> None:
    place = Place(claude="d9", down=True)
    with place.watched():
        before = place.served()
    place.down, place.models = False, ("claude",)
    place.pool.refresh()

    assert (before, place.served()["claude"]) == ({"claude": [("d9", False, False)]}, [("d9", True, True)])


def test_models_that_are_asked_without_the_masks_that_are_set_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Only those that have a deployment of their own."""
    place = Place(other="d1", options=OrchestrationOptions(modules=Modules(masking={"providers": []})))
    place.pool.refresh()

    assert [text for text in caplog.messages if text.startswith("orchestration:")] == [
        "orchestration: its masking and filtering cover no other deployments; other has some"
    ]


def test_a_deployment_that_stops_is_ejected_for_all_its_models_and_readmitted() -> None:
    place = Place()
    place.answer = 404
    with place.watched():
        for place.status, expected in (("STOPPED", Availability.GONE), ("RUNNING", Availability.PROBE)):
            place.now += POLICY.discovery_interval

            assert until(lambda wanted=expected: place.seen("availability") == [wanted] * 3)


@pytest.mark.parametrize("answer", [404, 500, ConnectionError()], ids=["alive", "status", "no answer"])
def test_a_deployment_is_probed_once_in_a_round_for_all_its_models(answer: int | Exception) -> None:
    """Each round asks anew, and what is said counts for all."""
    place = Place()
    place.open_all_circuits()
    with place.watched():
        assert until(lambda: len(place.probed) == 1)
        place.answer = answer
        place.now += 5
        assert until(lambda: len(place.probed) == 2)
        if answer == 404:
            assert until(lambda: place.seen("circuit") == [Circuit.HALF_OPEN] * 3)

    assert place.probed == [url("d9")] * 2


def test_who_comes_while_a_deployment_is_probed_shares_the_answer() -> None:
    begun, let_go, asked = threading.Event(), threading.Event(), []

    def probe(endpoint: Endpoint) -> int:
        asked.append(endpoint.model)
        begun.set()
        let_go.wait(60)
        return 204

    once = OneProbe(probe, lambda: 0.0, 5.0)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(once, Endpoint("eu", url("d9"), "gpt-5"))
        begun.wait(60)
        second = threads.submit(once, Endpoint("eu", url("d9"), "claude"))
        let_go.set()

        assert (first.result(60), second.result(60)) == (204, 204)
    assert asked == ["gpt-5"]


def test_deployments_at_one_address_in_two_subaccounts_are_probed_each_with_its_own_token() -> None:
    asked = []
    once = OneProbe(lambda endpoint: asked.append(endpoint.subaccount) or 200, lambda: 0.0, 5.0)
    for subaccount in ("eu", "us", "eu"):
        once(Endpoint(subaccount, url("d9"), "gpt-5"))

    assert asked == ["eu", "us"]
