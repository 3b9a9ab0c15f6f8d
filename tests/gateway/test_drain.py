"""Endpoints that an operator takes out of selection while requests go on, and gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Thread

from gateway.config.settings import Settings
from gateway.config.subaccounts import Deployment
from gateway.endpoint_pool import EndpointPool
from routing.availability import Availability
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from tests.gateway.test_endpoint_pool import QUIET, Listing, account, fleet_of, url

D1, D2 = (Endpoint("eu", url(name), "gpt") for name in ("d1", "d2"))


def pool_of_two() -> tuple[EndpointPool, LoadBalancer]:
    """Two endpoints, of which the first one has the weight 3."""
    heavy = replace(account("eu", discovery=False), deployments={"gpt": (Deployment(D1.url, 3.0), Deployment(D2.url))})
    pool, balancer, _ = fleet_of(Listing(), heavy)
    pool.start()
    pool.stop()
    return pool, balancer


def selected(balancer: LoadBalancer) -> set[Endpoint]:
    return {balancer.select("gpt") for _ in range(6)}


def test_a_drained_endpoint_gets_no_new_request_until_it_is_restored() -> None:
    pool, balancer = pool_of_two()
    pool.drain(D1)

    assert selected(balancer) == {D2}
    assert [each.availability for each in balancer.snapshot()] == [Availability.DRAINED, Availability.AVAILABLE]
    pool.restore(D1)
    assert selected(balancer) == {D1, D2}
    assert [each.weight for each in balancer.snapshot()] == [3.0, 1.0]


def test_what_continues_the_answer_of_a_drained_endpoint_still_goes_there() -> None:
    pool, balancer = pool_of_two()
    pool.drain(D1)

    with balancer.acquire("gpt", only=[D1]) as lease:
        assert (lease.endpoint, lease.reason) == (D1, "sticky")


def test_an_endpoint_that_is_drained_and_restored_keeps_its_requests_in_flight() -> None:
    pool, balancer = pool_of_two()
    with balancer.acquire("gpt", only=[D1]):
        pool.drain(D1)
        pool.restore(D1)

        assert [each.in_flight for each in balancer.snapshot()] == [1, 0]


def test_an_endpoint_that_is_found_after_it_was_drained_is_not_selected() -> None:
    pool, balancer, _ = fleet_of(Listing(eu={"d1": "gpt", "d2": "gpt"}), account("eu", discovery=True))
    pool.drain(D1)
    pool.refresh()

    assert selected(balancer) == {D2}


def test_an_endpoint_of_weight_0_in_the_config_file_stays_drained_when_it_is_restored() -> None:
    idle = replace(account("eu", discovery=False), deployments={"gpt": (Deployment(D1.url, 0.0), Deployment(D2.url))})
    pool, balancer, _ = fleet_of(Listing(), idle)
    pool.restore(D1)

    assert selected(balancer) == {D2}


def pool_over(balancer: LoadBalancer) -> EndpointPool:
    """A pool that fills *balancer* with the two endpoints once it has looked them up."""
    eu = account("eu", discovery=True)
    return EndpointPool(
        Settings({"eu": eu}, policy=QUIET), balancer, Listing(eu={"d1": "gpt", "d2": "gpt"}), lambda _: 200, lambda: 0.0
    )


class BusyBalancer(LoadBalancer):
    """A balancer that runs a thread to its end before it replaces its pools for the first time."""

    meanwhile: Thread | None = None

    def replace_pools(self, pools: Mapping[str, Sequence[Endpoint]]) -> None:
        thread, self.meanwhile = self.meanwhile, None
        if thread is not None:
            thread.start()
            thread.join()
        super().replace_pools(pools)


def test_an_endpoint_that_is_drained_while_another_thread_serves_what_it_found_stays_drained() -> None:
    balancer = BusyBalancer({})
    pool = pool_over(balancer)
    balancer.meanwhile = Thread(target=pool.drain, args=(D1,))
    pool.refresh()

    assert selected(balancer) == {D2}


def test_what_is_found_while_another_thread_drains_stays_served() -> None:
    balancer = BusyBalancer({"gpt": (D1,)})
    pool = pool_over(balancer)
    balancer.meanwhile = Thread(target=pool.refresh)
    pool.drain(D2)

    assert selected(balancer) == {D1}
    assert [each.availability for each in balancer.snapshot()] == [Availability.AVAILABLE, Availability.DRAINED]
