"""The breaker, whatever permits, outcomes and waits follow one another."""

from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from routing.events import Circuit, Transition
from routing.health import CircuitBreaker, PermitEnd
from routing.policy import BreakerPolicy
from tests.routing.scenes import CLOSED, HALF_OPEN, OPEN, Clock, at_most


class Model(RuleBasedStateMachine):
    """The breaker against a model that is too simple to be wrong, with permits settled late and often."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.told: list[Transition] = []
        policy = BreakerPolicy(failure_threshold=3, timeout=10, timeout_cap=40, minimum_outcomes=4, success_threshold=2)
        self.breaker = CircuitBreaker(policy, clock=self.clock, rng=lambda: 0.5, on_transition=self.told.append)
        self.circuit, self.epoch, self.until, self.k, self.overruled = CLOSED, 0, 0.0, 0, 0
        self.closed_at, self.gone = 0.0, False
        self.probes: list[dict] = []
        self.proving_since = 0.0
        self.proofs: list[dict] = []
        self.outcomes: dict[int, tuple[float, bool]] = {}
        self.ends: list[bool] = []

    def become(self, circuit: Circuit) -> None:
        if (self.circuit, circuit) != (OPEN, HALF_OPEN):
            self.epoch += 1
            self.probes = []
        self.circuit, self.overruled = circuit, 0
        if circuit is CLOSED:
            self.closed_at, self.outcomes, self.ends = self.clock.now, {}, []
            for permit in self.proofs:
                permit["epoch"] = self.epoch
        else:
            self.proofs = []
        if circuit is not OPEN:
            self.gone = False

    def open(self, k: int) -> None:
        self.k = min(k, 2)
        self.until = self.clock.now + 10 * 2**self.k
        self.become(OPEN)

    def now_k(self) -> int:
        return max(0, self.k - int((self.clock.now - self.closed_at) // 60)) if self.circuit is CLOSED else self.k

    def tick(self) -> None:
        if self.circuit is OPEN and self.clock.now >= self.until:
            self.become(HALF_OPEN)

    def free(self, permit) -> None:
        if permit in self.probes:
            self.probes.remove(permit)

    def room(self, panic: bool) -> bool:
        """Whether one probe more may be in flight."""
        if not self.probes:
            return panic or self.circuit is HALF_OPEN
        return panic and len(self.probes) < 2 ** int(self.clock.now - self.proving_since)

    def probe(self, real) -> dict:
        permit = {"real": real, "epoch": self.epoch, "stage": "out"}
        if self.circuit is not CLOSED:
            if not self.probes:
                self.proving_since = self.clock.now
            self.probes.append(permit)
        return permit

    @rule(seconds=st.sampled_from([0.5, 1, 3, 10, 30, 61]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(target=permits, panic=st.booleans())
    def enter(self, panic: bool):
        self.tick()
        may = self.circuit is CLOSED or self.room(panic)
        real = self.breaker.enter(panic=panic)
        assert may == (real is not None)
        return multiple() if real is None else self.probe(real)

    @rule(target=permits)
    def enter_always(self):
        self.tick()
        return self.probe(self.breaker.enter(always=True))

    @rule(permit=permits)
    def succeed(self, permit) -> None:
        self.tick()
        self.breaker.succeeded(permit["real"])
        if permit["epoch"] == self.epoch and permit["stage"] == "out":
            permit["stage"] = "answered"
            self.free(permit)
            if self.circuit is CLOSED:
                self.overruled = 0
                self.outcomes[id(permit)] = (self.clock.now, True)
            else:
                self.proofs.append(permit)
                if len(self.proofs) == 2:
                    self.become(CLOSED)

    @rule(permit=permits, how=st.sampled_from(["failed", "throttled", "released", "eject"]))
    def settle(self, permit, how: str) -> None:
        self.tick()
        report = {
            "eject": partial(self.breaker.eject, "gone", seconds=15, permit=permit["real"]),
            "failed": partial(self.breaker.failed, permit["real"]),
            "released": partial(self.breaker.released, permit["real"]),
            "throttled": partial(self.breaker.released, permit["real"], PermitEnd.THROTTLED),
        }
        report[how]()
        if permit["epoch"] != self.epoch or permit["stage"] == "settled":
            return
        answered, permit["stage"] = permit["stage"] == "answered", "settled"
        self.free(permit)
        match how, self.circuit:
            case "failed", Circuit.CLOSED if permit in self.proofs:
                self.open(self.now_k() + 1)
            case "failed", Circuit.CLOSED:
                self.fail(permit, cut=answered)
            case "failed", Circuit.HALF_OPEN:
                self.open(self.k + 1)
            case "failed", Circuit.OPEN:
                self.proofs, self.proving_since = [], self.clock.now
            case "released", Circuit.CLOSED if answered:
                self.ends.append(True)
                self.proofs = []
            case "throttled", Circuit.HALF_OPEN:
                self.open(self.k)
            case "eject", _:
                self.trip()

    @rule(permit=permits)
    def overrule(self, permit) -> None:
        """What was refused is given back first, and is overruled once."""
        if permit["stage"] == "settled":
            return
        self.settle(permit, "released")
        self.tick()
        self.breaker.failed(permit["real"], refusal=True)
        if permit["epoch"] == self.epoch:
            self.overruled += self.circuit is CLOSED
            if self.circuit is HALF_OPEN:
                self.open(self.k + 1)
            elif self.overruled == 3:
                self.open(self.now_k())

    def fail(self, permit, *, cut: bool) -> None:
        """A failure is the latest outcome, and an answer that was cut is none any more."""
        self.outcomes.pop(id(permit), None)
        self.outcomes[id(permit)] = (self.clock.now, False)
        if cut:
            self.ends.append(False)
        all_of_them = [good for _, good in self.outcomes.values()]
        recent = [good for at, good in self.outcomes.values() if int(at / 3) > int(self.clock.now / 3) - 10]
        row = all_of_them[-3:] == [False] * 3 or self.ends[-3:] == [False] * 3
        if row or (len(recent) >= 4 and recent.count(False) * 2 >= len(recent)):
            self.open(self.now_k())

    @rule()
    def trip_without_a_permit(self) -> None:
        self.tick()
        self.breaker.eject("gone", seconds=15)
        self.trip()

    def trip(self) -> None:
        until = self.clock.now + 15
        self.until = max(self.until, until) if self.gone else until
        if not self.gone:
            self.k = self.now_k()
            self.become(OPEN)
            self.gone = True

    @rule(what=st.sampled_from(["checked", "readmit"]))
    def revive(self, what: str) -> None:
        self.tick()
        getattr(self.breaker, what)()
        if self.circuit is OPEN and self.gone is (what == "readmit"):
            self.become(HALF_OPEN)

    @rule()
    def check_fails(self) -> None:
        self.tick()
        self.breaker.checked("no answer")
        if self.circuit is HALF_OPEN and not self.probes:
            self.open(self.k)

    @invariant()
    def they_agree(self) -> None:
        self.tick()
        view = self.breaker.snapshot()
        expected = (self.circuit, self.now_k(), len(self.probes), self.gone)

        assert (view.circuit, view.k, view.probes, view.ejected) == expected
        assert view.until == (self.until if self.circuit is OPEN else None)
        assert len(self.breaker._window._latest.slices()) <= 10

    @invariant()
    def every_move_was_published_once_and_in_order(self) -> None:
        assert all(a.now is b.was for a, b in zip(self.told, self.told[1:], strict=False))


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=at_most(120), stateful_step_count=40)
