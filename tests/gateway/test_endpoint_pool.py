"""Pools that follow what subaccounts list."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.filters import Filters
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.settings import Settings
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.endpoint_pool import EndpointPool
from gateway.upstream.discovery import Orchestration
from routing.availability import NoEndpointError
from routing.events import EventPublisher, PoolsChanged, RoutingEvent
from routing.load_balancer import LoadBalancer
from routing.policy import Policy
from routing.request_router import RequestRouter
from tests.support.processes import until

BASE = "https://api.example/v2"
PATIENCE = 60.0
KEY = ServiceKey("id", Secret("s"), "https://auth/oauth/token", BASE)
DOWN = FaultError(Fault(FaultKind.UNREACHABLE, "SAP AI Core could not be reached."))


def url(name: str) -> str:
    return f"{BASE}/inference/deployments/{name}"


def account(name: str, *, discovery: bool, **models: list[str]) -> SubAccount:
    deployments = {model: tuple(Deployment(url(each)) for each in names) for model, names in models.items()}
    return SubAccount(name, "default", KEY, deployments, discovery=discovery)


class Listing:
    """What each subaccount lists: `{deployment: model}`, or an error."""

    def __init__(self, **listed: Any) -> None:
        self.listed = listed
        self.asked: list[str] = []
        self.version: dict[str, str] = {}
        self.again = threading.Event()

    def __call__(self, subaccount: SubAccount, path: str) -> Any:
        self.asked.append(subaccount.name)
        if len(self.asked) > 2:
            self.again.set()
        found = self.listed[subaccount.name]
        if isinstance(found, Exception):
            raise found
        resources = [
            {"id": name, "deploymentUrl": url(name), "status": "RUNNING",
             "details": {"resources": {"backendDetails": {"model": {"name": model,
                                                                    "version": self.version.get(name)}}}}}
            for name, model in found.items()
        ]  # fmt: skip
        return {"count": len(resources), "resources": resources}


QUIET = Policy(health_check_interval=0, discovery_interval=0)


def fleet_of(
    listing: Callable[..., Any],
    *accounts: SubAccount,
    policy: Policy = QUIET,
    patience: float = 5.0,
    stop: threading.Event | None = None,
    orchestration: Orchestration | None = None,
    filters: Filters | None = None,
) -> tuple[EndpointPool, LoadBalancer, list[RoutingEvent]]:
    settings = Settings({each.name: each for each in accounts}, policy=policy, filters=filters or Filters())
    heard: list[RoutingEvent] = []
    balancer = LoadBalancer({}, policy=policy, events=EventPublisher([heard.append]))
    fleet = EndpointPool(
        settings, balancer, listing, lambda _: 200, lambda: 0.0,
        patience=patience, stop=stop, orchestration=orchestration,
    )  # fmt: skip
    return fleet, balancer, heard


def served(balancer: LoadBalancer) -> dict[str, list[str]]:
    return {model: [each.deployment for each in balancer.endpoints(model)] for model in balancer.models()}


def test_what_is_configured_is_served_without_asking_anyone() -> None:
    listing = Listing()
    fleet, balancer, _ = fleet_of(listing, account("eu", discovery=False, gpt=["d1", "d2"]))
    fleet.start()
    fleet.stop()

    assert served(balancer) == {"gpt": ["d1", "d2"]}
    assert listing.asked == []


def test_what_is_looked_up_joins_what_is_configured() -> None:
    fleet, balancer, _ = fleet_of(
        Listing(eu={"d1": "gpt", "d9": "gemini"}, us={"d5": "gpt"}),
        account("eu", discovery=True, gpt=["d1"]),
        account("us", discovery=True),
    )
    fleet.refresh()

    assert served(balancer) == {"gpt": ["d1", "d5"], "gemini": ["d9"]}


def test_a_subaccount_that_cannot_be_asked_keeps_what_it_had_and_holds_up_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    listing = Listing(eu={"d1": "gpt"}, us={"d5": "gpt"})
    fleet, balancer, _ = fleet_of(listing, account("eu", discovery=True), account("us", discovery=True))
    fleet.refresh()
    listing.listed = {"eu": DOWN, "us": {"d6": "gpt"}}
    with caplog.at_level(logging.WARNING, "sap_ai_proxy.endpoint_pool"):
        fleet.refresh()

    assert served(balancer) == {"gpt": ["d1", "d6"]}
    assert caplog.messages == ["cannot list the deployments of eu: SAP AI Core could not be reached."]


def test_a_defect_in_one_subaccounts_look_up_holds_up_no_other() -> None:
    fleet, balancer, _ = fleet_of(
        Listing(eu=TypeError("odd"), us={"d5": "gpt"}), account("eu", discovery=True), account("us", discovery=True)
    )
    fleet.refresh()

    assert served(balancer) == {"gpt": ["d5"]}
    assert fleet.unlisted().subaccounts == ("eu",)


def test_a_start_without_any_subaccount_serves_nothing_and_goes_on() -> None:
    fleet, balancer, _ = fleet_of(Listing(eu=DOWN), account("eu", discovery=True))
    fleet.start()
    fleet.stop()

    assert served(balancer) == {}


def test_pools_that_are_as_they_were_are_left_alone() -> None:
    fleet, _, heard = fleet_of(Listing(eu={"d1": "gpt"}), account("eu", discovery=True))
    fleet.refresh()
    fleet.refresh()

    assert len([event for event in heard if isinstance(event, PoolsChanged)]) == 1


class SeenFilters(Filters):
    """Admits all models, and notes which are asked for."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "seen", [])

    def admits(self, model: str) -> bool:
        self.seen.append(model)
        return True


def test_pools_are_put_together_again_only_where_what_is_known_has_changed() -> None:
    listing, filters = Listing(eu={"d1": "gpt"}, us={"d5": "o3"}), SeenFilters()
    accounts = account("eu", discovery=True), account("us", discovery=True)
    fleet, _, _ = fleet_of(listing, *accounts, filters=filters)
    fleet.refresh()
    filters.seen.clear()
    fleet.refresh()
    same = [*filters.seen]
    listing.listed["us"] = {"d6": "o4"}
    fleet.refresh()

    assert (same, sorted(filters.seen)) == ([], ["gpt", "o4"])


def test_however_many_subaccounts_there_are_no_listing_waits_for_a_catalogue() -> None:
    names, let_go = [f"eu{number}" for number in range(40)], threading.Event()
    listing = Listing(**{name: {"d1": name} for name in names})
    hangs = Orchestration(ask=lambda _: let_go.wait(PATIENCE))
    fleet, balancer, _ = fleet_of(listing, *(account(name, discovery=True) for name in names), orchestration=hangs)
    with ThreadPoolExecutor(1) as thread:
        refreshed = thread.submit(fleet.refresh)
        until(lambda: len(served(balancer)) == len(names))
        meanwhile = [*served(balancer)], fleet.unlisted().subaccounts, refreshed.done()
        let_go.set()

    assert meanwhile == (names, (), False)


def test_what_is_not_listed_any_more_is_not_served_any_more() -> None:
    listing = Listing(eu={"d1": "gpt", "d2": "gpt"})
    fleet, balancer, _ = fleet_of(listing, account("eu", discovery=True))
    fleet.refresh()
    listing.listed = {"eu": {"d2": "gpt"}}
    fleet.refresh()

    assert served(balancer) == {"gpt": ["d2"]}


def test_versions_of_a_model_are_those_that_all_subaccounts_listed_last() -> None:
    listing = Listing(eu={"d1": "gpt-5"}, us={"d2": "gpt-5"})
    fleet, _, _ = fleet_of(listing, account("eu", discovery=True), account("us", discovery=True))
    before = fleet.versions("gpt-5")
    listing.version = {"d1": "1", "d2": "2"}
    fleet.refresh()
    listing.listed["us"] = {}
    fleet.refresh()

    assert (before, fleet.versions("gpt-5"), fleet.versions("o3")) == (set(), {"1", "2"}, set())


def test_an_empty_list_takes_no_model_away_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    listing = Listing(eu={"d1": "gpt"})
    fleet, balancer, _ = fleet_of(listing, account("eu", discovery=True))
    fleet.refresh()
    listing.listed = {"eu": {}}
    with caplog.at_level(logging.WARNING, "sap_ai_proxy.endpoint_pool"):
        for _ in range(9):
            fleet.refresh()

    assert served(balancer) == {"gpt": ["d1"]}
    assert caplog.messages == ["the list of deployments of eu is empty: the earlier list is kept"] * 9


def test_what_a_list_lacks_is_served_while_it_answers() -> None:
    listing = Listing(eu={"d1": "gpt", "d2": "gpt"}, us={"d1": "gpt"})
    accounts = account("eu", discovery=True), account("us", discovery=True)
    fleet, balancer, _ = fleet_of(listing, *accounts, policy=replace(QUIET, discovery_interval=1000))
    fleet.refresh()
    first = balancer.endpoints("gpt")[0]
    with balancer.acquire("gpt", only=[first]) as lease:
        lease.answered()
    listing.listed = {"eu": {"d2": "gpt"}, "us": {"d9": "gpt"}}
    fleet.refresh()
    lately = [f"{each.subaccount}/{each.deployment}" for each in balancer.endpoints("gpt")]

    assert lately == ["eu/d2", "eu/d1", "us/d9"]


def test_when_nothing_answers_and_lists_stay_empty_callers_learn_when_to_come_back() -> None:
    listing, now = Listing(eu={"d1": "gpt", "d2": "gpt"}), [0.0]
    settings = Settings({"eu": account("eu", discovery=True)}, policy=Policy(health_check_interval=0))
    balancer = LoadBalancer({}, policy=settings.policy, clock=lambda: now[0])
    fleet = EndpointPool(settings, balancer, listing, lambda _: 200, lambda: now[0])
    router = RequestRouter(balancer)
    fleet.refresh()
    listing.listed = {"eu": {}}
    for now[0] in (60.0, 120.0, 180.0, 240.0):
        next(router.attempts("gpt")).lease.close()
        fleet.refresh()
        fleet._checker.check_once()

    with pytest.raises(NoEndpointError) as error:
        next(router.attempts("gpt"))
    assert (
        error.value.fault.kind,
        error.value.fault.status,
        error.value.fault.retry_after,
    ) == (FaultKind.UNAVAILABLE, 503, 120.0)


def test_deployments_are_looked_up_again_and_again_until_it_is_told_to_stop() -> None:
    listing = Listing(eu={"d1": "gpt"})
    policy = replace(QUIET, discovery_interval=0.01)
    fleet, _, _ = fleet_of(listing, account("eu", discovery=True), policy=policy)
    before = {*threading.enumerate()}
    fleet.start()
    assert listing.again.wait(PATIENCE)
    fleet.stop()
    asked = len(listing.asked)
    begun = {*threading.enumerate()} - before

    assert not any(thread.name in {"discovery", "health-checker"} for thread in begun)
    assert asked == len(listing.asked)


def test_a_stop_that_comes_while_it_starts_is_not_lost() -> None:
    stop = threading.Event()

    def get(*_: Any) -> Any:
        stop.set()
        return {"count": 0, "resources": []}

    fleet, _, _ = fleet_of(get, account("eu", discovery=True), policy=replace(QUIET, discovery_interval=9), stop=stop)
    fleet.start()

    assert stop.is_set()
    fleet.stop()


def test_a_configured_deployment_that_does_not_run_is_taken_out_of_the_choice() -> None:
    """Also where nothing is looked up: what is listed as running is asked for all the same."""
    listing = Listing(eu={"d2": "gpt"})
    policy = replace(QUIET, discovery_interval=60)
    fleet, balancer, _ = fleet_of(listing, account("eu", discovery=False, gpt=["d1", "d2"]), policy=policy)
    fleet.start()
    fleet._checker.check_once()
    fleet.stop()

    standings = {row.endpoint.deployment: row.availability.value for row in balancer.snapshot("gpt")}
    assert standings == {"d1": "gone", "d2": "ready"}


class Hanging(Listing):
    """A listing in which one subaccount does not answer until it is let go."""

    def __init__(self, hangs: str, **listed: Any) -> None:
        super().__init__(**listed)
        self.hangs = hangs
        self.let_go = threading.Event()

    def __call__(self, subaccount: SubAccount, path: str) -> Any:
        if subaccount.name == self.hangs:
            self.let_go.wait(PATIENCE)
        return super().__call__(subaccount, path)


def test_a_subaccount_that_does_not_answer_holds_up_neither_the_start_nor_the_others() -> None:
    listing = Hanging("eu", eu={"d1": "gpt"}, us={"d5": "gpt"})
    accounts = account("eu", discovery=True), account("us", discovery=True), account("ap", discovery=False, gpt=["d9"])
    fleet, balancer, _ = fleet_of(listing, *accounts, patience=0.5)
    fleet.start()

    assert until(lambda: served(balancer) == {"gpt": ["d5", "d9"]})
    listing.let_go.set()
    fleet.stop()
    assert served(balancer) == {"gpt": ["d1", "d5", "d9"]}


def test_a_defect_in_one_round_is_logged_and_does_not_end_the_rounds(caplog: pytest.LogCaptureFixture) -> None:
    listing = Listing(eu=ZeroDivisionError())
    fleet, balancer, _ = fleet_of(
        listing, account("eu", discovery=True), policy=replace(QUIET, discovery_interval=0.01)
    )
    fleet.start()
    assert listing.again.wait(PATIENCE)
    listing.listed = {"eu": {"d1": "gpt"}}

    assert until(lambda: served(balancer) == {"gpt": ["d1"]})
    fleet.stop()
    assert "listing the deployments of eu failed" in caplog.text


@pytest.mark.parametrize("step", ["merge_listing", "versions_of", "catalogue"])
def test_a_defect_in_what_is_made_of_a_list_is_logged_and_the_rest_is_served(
    step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> Any:
        raise ZeroDivisionError

    asks = {"ask": fails} if step == "catalogue" else {}
    listing = Listing(eu={"d1": "gpt"})
    fleet, balancer, _ = fleet_of(listing, account("eu", discovery=True), orchestration=Orchestration(**asks))
    fleet.refresh()
    listing.listed["eu"] = {"d2": "gpt"}
    if step != "catalogue":
        monkeypatch.setattr(f"gateway.endpoint_pool.{step}", fails)
    caplog.clear()
    fleet.refresh()

    assert [(each.levelname, each.getMessage(), each.exc_info[0]) for each in caplog.records if each.exc_info] == [
        ("ERROR", "listing the deployments of eu failed", ZeroDivisionError)
    ]
    assert served(balancer) == {"gpt": ["d2" if step == "catalogue" else "d1"]}


class Hurried(threading.Event):
    """A stop that makes no pause between two rounds, notes how long each would be, and comes after so many."""

    def __init__(self, pauses: int) -> None:
        super().__init__()
        self.pauses: list[float | None] = []
        self._most = pauses

    def wait(self, timeout: float | None = None) -> bool:
        if threading.current_thread().name != "discovery":
            return super().wait(timeout)
        self.pauses.append(timeout)
        if len(self.pauses) == self._most:
            self.set()
        return self.is_set()


@pytest.mark.parametrize(
    ("interval", "pauses"),
    [(60, [1, 2, 4, 8, 16, 32, 60, 60]), (5, [1, 2, 4, 5, 5, 5, 5, 5]), (0, [1, 2, 4, 8, 16, 32, 60, 60])],
)
def test_what_was_never_listed_is_looked_up_again_soon_and_then_at_the_interval(
    interval: float, pauses: list[float]
) -> None:
    stop = Hurried(len(pauses))
    policy = replace(QUIET, discovery_interval=interval)
    fleet, _, _ = fleet_of(Listing(eu=DOWN), account("eu", discovery=True), policy=policy, stop=stop)
    fleet.start()
    assert stop.wait(PATIENCE)
    fleet.stop()

    assert pauses == stop.pauses


def test_it_tells_who_was_never_listed_until_all_were_once() -> None:
    listing = Listing(eu=DOWN, us={"d5": "gpt"})
    accounts = account("eu", discovery=True), account("us", discovery=True), account("ap", discovery=False, gpt=["d9"])
    fleet, _, _ = fleet_of(listing, *accounts)
    told = [fleet.unlisted()]
    for listing.listed["eu"] in (DOWN, {}, DOWN):
        fleet.refresh()
        told.append(fleet.unlisted())

    assert [each.subaccounts for each in told] == [("eu", "us"), ("eu",), (), ()]


def test_it_tells_when_the_next_try_is_due() -> None:
    listing, stop = Listing(eu=DOWN), Hurried(3)
    fleet, _, _ = fleet_of(
        listing, account("eu", discovery=True), policy=replace(QUIET, discovery_interval=9), stop=stop
    )
    at_first = fleet.unlisted().seconds
    fleet.start()
    assert stop.wait(PATIENCE)
    fleet.stop()

    assert (at_first, fleet.unlisted().seconds) == (1.0, 4.0)


def test_once_all_is_listed_it_is_looked_up_at_the_interval() -> None:
    listing, stop = Listing(eu=DOWN), Hurried(4)

    def get(subaccount: SubAccount, path: str) -> Any:
        if stop.pauses:
            listing.listed["eu"] = {"d1": "gpt"}
        return listing(subaccount, path)

    fleet, balancer, _ = fleet_of(
        get, account("eu", discovery=True), policy=replace(QUIET, discovery_interval=30), stop=stop
    )
    fleet.start()
    assert stop.wait(PATIENCE)
    fleet.stop()

    assert stop.pauses == [1, 30, 30, 30]
    assert served(balancer) == {"gpt": ["d1"]}
