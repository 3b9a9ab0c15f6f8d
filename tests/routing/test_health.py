"""Active checks: whom the checker asks, how often, and what it makes of the answer."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping, Sequence

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from routing.endpoint import Endpoint
from routing.events import Circuit, OutcomeRecorded
from routing.health import HealthChecker
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, Policy
from tests.routing.scenes import CLOSED, DOWN, EU1, EU2, HALF_OPEN, OPEN, US1, Clock, endpoint

QUICK = Policy(breaker=BreakerPolicy(failure_threshold=1), health_check_interval=0.001)


class Round:
    """A balancer in which EU1 is open, EU2 half-open and US1 well; and a checker of it."""

    def __init__(
        self,
        probe: Callable[[Endpoint], int] = lambda endpoint: True,
        list_running: Callable[[str], Mapping[str, str]] | None = None,
        pool: Sequence[Endpoint] = (),
        **policy,
    ) -> None:
        self.clock = Clock()
        self.asked: list[Endpoint] = []
        self.stop = threading.Event()
        settings = Policy(breaker=BreakerPolicy(failure_threshold=1, timeout_jitter=0), **policy)
        self.balancer = LoadBalancer({"m": pool or [EU1, EU2, US1]}, policy=settings, clock=self.clock)
        for each in pool or [EU2]:
            self.fail(each)
        self.clock.now = 10
        if not pool:
            self.fail(EU1)

        def asking(endpoint: Endpoint) -> int:
            self.asked.append(endpoint)
            return probe(endpoint)

        self.checker = HealthChecker(self.balancer, asking, list_running=list_running, clock=self.clock, stop=self.stop)

    def fail(self, endpoint: Endpoint) -> None:
        breaker = self.balancer.breaker(endpoint)
        breaker.failed(breaker.enter(), "boom")

    def states(self) -> list[Circuit]:
        return [self.balancer.breaker(each).state for each in (EU1, EU2, US1)]


class TestHealthChecker:
    @pytest.mark.parametrize("answer", [True, 200, 401, 404, 405, 499, 501, 505])
    def test_who_can_be_reached_may_be_probed(self, answer):
        scene = Round(lambda endpoint: answer)
        scene.checker.check_once()

        assert scene.asked == [EU1, EU2]
        assert scene.states() == [HALF_OPEN, HALF_OPEN, CLOSED]

    @pytest.mark.parametrize(("answer", "why"), [(False, "no answer"), (500, "status 500"), (503, "status 503")])
    def test_who_cannot_has_to_wait(self, answer, why):
        scene = Round(lambda endpoint: answer)
        scene.checker.check_once()

        assert scene.states() == [OPEN, OPEN, CLOSED]
        assert scene.balancer.breaker(EU2).snapshot().reason == f"an active check failed: {why}"

    def test_a_probe_that_raises_got_no_answer(self):
        def probe(endpoint):
            raise TimeoutError("https://secret")

        scene = Round(probe)
        scene.checker.check_once()

        assert scene.balancer.breaker(EU2).snapshot().reason == "an active check failed: TimeoutError"

    def test_why_a_probe_has_failed_is_said_by_the_kind_of_its_fault(self):
        def probe(endpoint):
            raise FaultError(Fault(FaultKind.UNREACHABLE, "https://secret"))

        scene = Round(probe)
        scene.checker.check_once()

        assert scene.balancer.breaker(EU2).snapshot().reason == "an active check failed: unreachable"

    def test_nobody_is_asked_twice_within_the_interval(self):
        scene = Round(lambda endpoint: False)
        scene.checker.check_once()
        scene.clock.now += 29.9
        scene.checker.check_once()

        assert len(scene.asked) == 2

        scene.clock.now += 0.1
        scene.checker.check_once()

        assert len(scene.asked) == 4

    def test_no_interval_is_never(self):
        listed = []
        scene = Round(
            list_running=lambda name: listed.append(name) or {}, health_check_interval=0, discovery_interval=0
        )
        scene.checker.check_once()
        scene.checker.start()
        scene.checker.stop()

        assert (scene.asked, listed) == ([], [])
        assert scene.checker._thread is None

    def test_one_listing_says_of_all_deployments_whether_they_run(self, caplog):
        listed = []

        def listing(subaccount: str) -> Mapping[str, str]:
            listed.append(subaccount)
            return {"eu": {"d1": "RUNNING", "d2": "STOPPED"}, "us": {"d9": "RUNNING"}}[subaccount]

        scene = Round(list_running=listing)
        scene.balancer.breaker(EU1).eject("gone")
        scene.checker.check_once()

        assert listed == ["eu", "us"]
        assert scene.states() == [HALF_OPEN, OPEN, OPEN]
        assert scene.balancer.breaker(EU2).snapshot().reason == "the deployment's status is STOPPED"
        assert scene.balancer.breaker(US1).snapshot().reason == "the deployment's status is not found"
        assert scene.asked == [EU1]

        scene.clock.now += 59.9
        scene.checker.check_once()

        assert len(listed) == 2

        scene.clock.now += 0.1
        scene.checker.check_once()

        assert len(listed) == 4

    def test_a_listing_that_fails_says_nothing(self, caplog):
        def listing(subaccount: str) -> Mapping[str, str]:
            if subaccount == "eu":
                raise ConnectionError("https://secret")
            return {"d7": "Unknown"}

        scene = Round(lambda endpoint: False, listing)
        scene.checker.check_once()

        assert [scene.balancer.breaker(each).snapshot().ejected for each in (EU1, EU2, US1)] == [False, False, True]
        assert [record.message for record in caplog.records if record.name == "routing.health_checker"] == [
            "cannot list the deployments of eu: ConnectionError"
        ]

    def test_a_listing_that_fails_with_a_fault_is_logged_with_its_cause(self, caplog):
        def listing(_: str) -> Mapping[str, str]:
            raise FaultError(Fault(FaultKind.UNREACHABLE, "It could not be reached.", cause="no such host"))

        scene = Round(lambda endpoint: False, listing)
        scene.checker.check_once()

        assert caplog.messages.count("cannot list the deployments of eu: It could not be reached: no such host.") == 1

    @pytest.mark.parametrize("listed", [{}, {"d9": "RUNNING"}, {"d7": "UNKNOWN"}, {"d7": "Unknown"}, {"d7": "None"}])
    def test_no_gap_in_a_list_ejects_an_endpoint_that_answered_lately(self, listed):
        scene = Round(list_running=lambda name: listed, health_check_interval=0, discovery_interval=60)
        scene.balancer.acquire("m", exclude=[EU1, EU2]).answered()
        for _ in range(4):
            scene.checker.check_once()
            scene.clock.now += 60

            assert CLOSED is scene.balancer.breaker(US1).state

        scene.checker.check_once()

        assert scene.balancer.breaker(US1).snapshot().ejected

    def test_a_deployment_that_answered_for_one_model_lately_is_not_ejected_for_another(self):
        other = dataclasses.replace(US1, model="other")
        scene = Round(list_running=lambda name: {"d9": "RUNNING"}, health_check_interval=0, discovery_interval=60)
        scene.balancer.replace_pools({"m": [US1], "other": [other]})
        scene.balancer.acquire("m").answered()
        scene.checker.check_once()

        assert [scene.balancer.breaker(each).state for each in (US1, other)] == [CLOSED, CLOSED]

    @pytest.mark.parametrize("status", ["STOPPED", "Dead", "DELETED", "STOPPING", "PENDING", "COMPLETED"])
    def test_what_a_list_says_outright_is_believed_however_lately_it_answered(self, status):
        scene = Round(list_running=lambda name: {"d7": status})
        scene.balancer.acquire("m", exclude=[EU1, EU2]).answered()
        scene.checker.check_once()

        assert scene.balancer.breaker(US1).snapshot().ejected

    def test_an_empty_list_is_believed_the_fourth_time_in_a_row(self, caplog):
        lists = iter([{}, {}, {}, {"d1": "RUNNING", "d2": "RUNNING", "d7": "RUNNING"}, {}, {}, {}, {}])
        scene = Round(list_running=lambda name: rounds[name], health_check_interval=0)
        gone = []
        for each in lists:
            rounds = {"eu": each, "us": {"d7": "RUNNING"}}
            scene.checker.check_once()
            scene.clock.now += 60
            gone.append([scene.balancer.breaker(endpoint).snapshot().ejected for endpoint in (EU1, US1)])

        assert gone == [[False, False]] * 7 + [[True, False]]
        assert [record.message for record in caplog.records if record.name == "routing.health_checker"] == [
            f"the list of deployments of eu is empty ({n} of 3): the earlier list is kept" for n in (1, 2, 3)
        ] * 2

    def test_what_is_only_missing_comes_back_by_itself_when_no_list_says_so_again(self):
        found = [{"d7": "RUNNING"}]
        scene = Round(list_running=lambda name: found[0], health_check_interval=0)
        scene.checker.check_once()
        breaker = scene.balancer.breaker(EU1)
        assert (breaker.snapshot().ejected, breaker.snapshot().until - scene.clock.now) == (True, 120.0)

        scene.clock.now += 60
        scene.checker.check_once()

        assert breaker.snapshot().until - scene.clock.now == 120.0

        scene.clock.now += 120

        assert HALF_OPEN is breaker.state

    def test_a_deployment_that_leaves_meanwhile_is_passed_over(self):
        def listing(subaccount: str) -> Mapping[str, str]:
            scene.balancer.replace_pools({"m": [EU2, US1]})
            return {"d1": "STOPPED", "d2": "STOPPED", "d7": "STOPPED"}

        scene = Round(list_running=listing)
        scene.checker.check_once()

        assert [scene.balancer.breaker(each).snapshot().ejected for each in (EU2, US1)] == [True, True]

    def test_so_is_one_that_leaves_while_another_is_asked(self):
        def probe(endpoint: Endpoint) -> bool:
            scene.balancer.replace_pools({"m": [EU1, US1]})
            return True

        scene = Round(probe)
        scene.fail(US1)
        scene.checker.check_once()

        assert scene.asked == [EU1, US1]
        assert [scene.balancer.breaker(each).state for each in (EU1, US1)] == [HALF_OPEN, HALF_OPEN]

    def test_what_does_not_run_stays_so_when_others_join(self):
        statuses = {"d1": "STOPPED", "d2": "RUNNING", "d7": "RUNNING"}
        scene = Round(list_running=lambda name: statuses, health_check_interval=0)
        scene.checker.check_once()
        scene.balancer.replace_pools({"m": [EU1, EU2, US1], "other": [endpoint("us", "d9", "other")]})

        assert scene.balancer.breaker(EU1).snapshot().ejected

        scene.clock.now += 60
        statuses["d1"] = "RUNNING"
        scene.checker.check_once()

        assert HALF_OPEN is scene.balancer.breaker(EU1).state

    def test_a_checker_that_is_stopped_asks_no_more(self):
        listed = []
        scene = Round(list_running=lambda name: listed.append(name) or {})
        scene.stop.set()
        scene.checker.check_once()

        assert (scene.asked, listed) == ([], [])

    def test_checks_run_side_by_side(self):
        """Each of the probes returns once the others have begun."""
        pool = [endpoint("eu", f"d{number}") for number in range(4)]
        together = threading.Barrier(4)
        scene = Round(lambda each: together.wait(10) >= 0, pool=pool)
        scene.checker.check_once()

        assert [scene.balancer.breaker(each).state for each in pool] == [HALF_OPEN] * 4

    def test_a_round_ends_in_half_of_the_interval_and_the_next_begins_with_those_left_over(self):
        pool = [endpoint("eu", f"d{number}") for number in range(20)]

        def silence(each: Endpoint) -> int:
            scene.clock.now += 5
            raise TimeoutError

        scene = Round(silence, pool=pool)
        since = scene.clock.now
        scene.checker.check_once()

        assert scene.clock.now - since <= 30

        first = len(scene.asked)
        scene.clock.now = since + 30
        scene.checker.check_once()

        assert len({*scene.asked}) == len(scene.asked)
        assert first < 20

    def test_a_deployment_that_is_gone_has_its_subaccount_listed_at_once(self):
        listed = []
        scene = Round(list_running=lambda name: listed.append(name) or {"d7": "RUNNING"}, health_check_interval=0)
        scene.checker.check_once()
        del listed[:]
        scene.clock.now += 6
        scene.checker.listen(OutcomeRecorded(EU1, FaultKind.SERVER_ERROR, 0.1))
        scene.checker.listen(OutcomeRecorded(US1, FaultKind.GONE, 0.1))
        scene.checker.listen(OutcomeRecorded(US1, None, 0.1))
        scene.checker.check_once()

        assert listed == ["us"]

    def test_but_not_again_within_five_seconds(self):
        listed = []
        scene = Round(list_running=lambda name: listed.append(name) or {"d7": "RUNNING"}, health_check_interval=0)
        scene.checker.check_once()
        scene.checker.listen(OutcomeRecorded(US1, FaultKind.GONE, 0.1))
        scene.checker.check_once()

        assert len(listed) == 2

        scene.clock.now += 5
        scene.checker.check_once()

        assert listed[2:] == ["us"]

    def test_the_thread_asks_until_it_is_stopped(self):
        asked = threading.Event()

        def probe(endpoint: Endpoint) -> bool:
            asked.set()
            return True

        balancer = LoadBalancer({"m": [EU1, EU2]}, policy=QUICK)
        balancer.acquire("m").failed(DOWN)
        checker = HealthChecker(balancer, probe)
        checker.start()
        thread = checker._thread
        checker.start()

        assert thread is checker._thread
        assert thread.daemon
        assert asked.wait(10)

        checker.stop()

        assert not thread.is_alive()

    def test_it_can_be_started_again(self):
        asked = threading.Semaphore(0)

        def probe(endpoint: Endpoint) -> bool:
            asked.release()
            return False

        balancer = LoadBalancer({"m": [EU1, EU2]}, policy=QUICK)
        balancer.acquire("m").failed(DOWN)
        balancer.breaker(EU1).checked()
        checker = HealthChecker(balancer, probe)
        for _ in range(2):
            checker.start()
            balancer.breaker(EU1).checked()
            assert asked.acquire(timeout=10)
            checker.stop()
            assert checker._thread is None

    @pytest.mark.parametrize(
        ("listing", "settings", "period"),
        [
            (None, {}, 1.0),
            (None, {"health_check_interval": 0.3, "discovery_interval": 0.1}, 0.3),
            (lambda name: {}, {"discovery_interval": 0.1}, 0.1),
            (lambda name: {}, {"health_check_interval": 0, "discovery_interval": 0.2}, 0.2),
            (lambda name: {}, {"health_check_interval": 0.3, "discovery_interval": 0}, 0.3),
        ],
    )
    def test_it_wakes_every_second_or_as_often_as_the_more_frequent_of_the_two_needs(self, listing, settings, period):
        waits = []

        class Stopped(threading.Event):
            def wait(self, timeout=None):
                waits.append(timeout)
                return True

        checker = HealthChecker(
            LoadBalancer({}, policy=Policy(**settings)), lambda endpoint: True, list_running=listing, stop=Stopped()
        )
        checker.start()
        checker.stop()

        assert [period] == waits

    def test_a_round_that_fails_is_not_the_last(self, caplog):
        class Three(threading.Event):
            rounds = 0

            def wait(self, timeout=None):
                self.rounds += 1
                return self.rounds > 2

        class Broken:
            policy = Policy()

            def snapshot(self):
                raise RuntimeError("no")

        stop = Three()
        checker = HealthChecker(Broken(), lambda endpoint: True, stop=stop, clock=Clock())
        with caplog.at_level(logging.ERROR):
            checker.start()
            checker.stop()

        assert stop.rounds == 3
        assert [record.getMessage() for record in caplog.records] == ["a health check failed; the next one follows"]
