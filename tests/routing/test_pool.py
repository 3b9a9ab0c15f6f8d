"""What strategies see of a pool, kept while it is true."""

import pytest

from routing.cooldown import Cooldowns
from routing.endpoint import Candidate
from routing.health import CircuitBreaker
from routing.member import Member
from routing.policy import BreakerPolicy, CooldownPolicy, Policy
from routing.pool import Pool
from tests.routing.scenes import EU1, EU2, US1, Clock, endpoint

SPARE = endpoint("ap", "d9", standby=True)
POLICY = Policy(breaker=BreakerPolicy(failure_threshold=1), cooldown=CooldownPolicy(jitter=0))


class Scene:
    """Members at a set time, three if they are not named."""

    def __init__(self, *endpoints) -> None:
        self.clock = Clock(100.0)
        self.members = [self.member(each) for each in endpoints or (EU1, EU2, US1)]
        self.cooldowns = Cooldowns(POLICY.cooldown, clock=self.clock)
        self.pool = Pool(self.members, self.cooldowns, refresh=0.1)
        for each in self.members:
            each.watch(self.pool.changed)

    def member(self, of) -> Member:
        member = Member(of, CircuitBreaker(POLICY.breaker, clock=self.clock), POLICY, self.clock.now)
        member.breaker._on_transition = lambda _: member.changed()
        return member

    def seen(self) -> list[Candidate | None]:
        rows = dict(self.pool.rows(self.clock.now))
        return [rows.get(member) for member in self.members]

    def selectable(self) -> bool:
        return self.pool.candidates(self.clock.now) is not None


def test_a_candidate_is_kept_for_a_while():
    scene = Scene()
    first = scene.seen()
    scene.clock.now += 0.09
    second = scene.seen()
    scene.clock.now += 0.02
    third = scene.seen()

    assert [Candidate(each) for each in (EU1, EU2, US1)] == first
    assert all(now is before for now, before in zip(second, first, strict=True))
    assert not any(now is before for now, before in zip(third, first, strict=True))


def test_only_the_member_that_changed_is_looked_at_again():
    scene = Scene()
    before = scene.seen()
    scene.members[1].enter()
    after = scene.seen()

    assert [row.in_flight for row in after] == [0, 1, 0]
    assert [now is was for now, was in zip(after, before, strict=True)] == [True, False, True]


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda member, _: member.finish(100.0, unanswered=False), -1),
        (lambda member, _: member.answered(100.0, 9.0), 9.0),
        (lambda member, _: member.finish(100.0, unanswered=False, penalty=8.0), 8.0),
        (lambda member, _: member.adjust(endpoint("eu", "d1", weight=3.0)), 3.0),
        (lambda member, _: member.adjust(EU1, slow_since=100.0), 0.1),
    ],
)
def test_every_change_is_seen_at_once(change, seen):
    scene = Scene()
    scene.seen()
    change(scene.members[0], scene)

    assert seen in tuple(scene.seen()[0])[1:]


def test_a_member_that_starts_slowly_is_looked_at_each_time():
    scene = Scene()
    scene.members[0].adjust(EU1, slow_since=100.0)
    scene.seen()
    weights = []
    for _ in range(3):
        scene.clock.now += 0.03
        weights.append(scene.seen()[0].weight)
    scene.clock.now = 115.0
    weights.append(scene.seen()[0].weight)

    assert weights == [0.1, 0.1, 0.1, 0.5]


def test_failures_are_forgotten_in_time():
    scene = Scene()
    scene.members[0].finish(100.0, unanswered=False, penalty=1.0)
    scene.clock.now = 104.95
    assert scene.seen()[0].failed_lately == 1

    scene.clock.now = 105.0
    assert scene.seen()[0].failed_lately == 0


def test_an_open_circuit_takes_a_member_out_and_its_end_brings_it_back():
    scene = Scene()
    assert scene.selectable()
    breaker = scene.members[0].breaker
    breaker.failed(breaker.enter())
    assert scene.seen()[0] is None
    assert not scene.selectable()

    scene.clock.now += 30
    assert scene.seen()[0] is None

    breaker.succeeded(breaker.enter())
    assert scene.seen()[0] is not None
    assert scene.selectable()


@pytest.mark.parametrize("key", [EU1, EU1.domain, "eu"])
def test_a_cooldown_takes_members_out_and_its_end_brings_them_back_slowly(key):
    scene = Scene()
    scene.seen()
    scene.cooldowns.start(key, 10.0)
    assert scene.seen()[0] is None
    assert not scene.selectable()
    assert scene.members[0] not in dict(scene.pool.rows(100.0))
    assert scene.seen()[2] is not None

    scene.clock.now = 109.99
    assert scene.seen()[0] is None

    scene.clock.now = 110.0
    assert scene.seen()[0].weight == 0.1
    assert scene.selectable()


def test_a_cooldown_that_ends_early_is_seen_at_once():
    scene = Scene()
    scene.cooldowns.start("eu", 10.0)
    assert scene.seen()[0] is None

    scene.cooldowns.end("eu")
    assert scene.seen()[0] is not None


def test_a_member_of_two_pools_is_seen_by_both():
    scene = Scene()
    other = Pool(scene.members[:1], scene.cooldowns, refresh=0.1)
    scene.members[0].watch(scene.pool.changed, other.changed)
    other.rows(100.0)
    scene.seen()
    scene.members[0].enter()

    assert other.rows(100.0)[0][1].in_flight == 1
    assert scene.seen()[0].in_flight == 1


def test_a_drained_member_is_seen_but_not_selectable_by_all():
    scene = Scene()
    scene.members[0].adjust(endpoint("eu", "d1", weight=0.0))

    assert scene.seen()[0].weight == 1.0
    assert not scene.selectable()


@pytest.mark.parametrize("endpoints", [(EU1, SPARE), (SPARE, EU1), (SPARE,)])
def test_what_is_on_standby_is_a_candidate_only_where_nothing_is_ahead_of_it(endpoints):
    assert Scene(*endpoints).pool.candidates(100.0) == [Candidate(EU1 if EU1 in endpoints else SPARE)]


def test_what_is_on_standby_and_unavailable_is_in_nobodys_way():
    scene = Scene(SPARE, EU1)
    scene.members[0].breaker.failed(scene.members[0].breaker.enter(), "boom")

    assert scene.selectable()
