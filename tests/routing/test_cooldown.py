"""Cooldowns: how long they last, and how they end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.faults import FaultKind
from routing.cooldown import Cooldowns
from routing.policy import CooldownPolicy
from tests.routing.scenes import Clock


class Scene:
    def __init__(self, chance: float = 0.0, limit: int = 10_000, **settings) -> None:
        self.clock = Clock(1_000.0)
        self.chance = chance
        self.cooldowns = Cooldowns(CooldownPolicy(**settings), clock=self.clock, rng=lambda: self.chance, limit=limit)


@pytest.mark.parametrize(
    ("asked", "lasts"), [(0.0, 0.5), (0.4, 0.5), (0.5, 0.5), (7.0, 7.0), (300.0, 300.0), (301.0, 300.0)]
)
def test_a_hint_is_kept_between_floor_and_cap(asked, lasts):
    scene = Scene()

    assert lasts == scene.cooldowns.start("k", asked)
    assert lasts == scene.cooldowns.remaining("k")


@pytest.mark.parametrize(("chance", "lasts"), [(0.0, 10.0), (0.5, 10.5), (1.0, 11.0)])
def test_jitter_only_lengthens(chance, lasts):
    assert lasts == Scene(chance).cooldowns.start("k", 10.0)


def lengths(scene: Scene, kind: FaultKind, times: int, asked: float | None = None) -> list[float]:
    found = []
    for _ in range(times):
        found.append(scene.cooldowns.start("k", asked, kind))
        scene.clock.now += found[-1]
    return found


def test_without_a_hint_it_doubles_up_to_its_cap():
    assert lengths(Scene(), FaultKind.RATE_LIMITED, 6) == [5, 10, 20, 40, 60, 60]


def test_a_refused_token_rests_a_subaccount_for_longer_whatever_the_hint():
    assert lengths(Scene(), FaultKind.REFUSED_CREDENTIALS, 6, 1.0) == [60, 120, 240, 480, 600, 600]


def test_no_number_of_cooldowns_is_too_many():
    assert lengths(Scene(), FaultKind.RATE_LIMITED, 2_000)[-1] == 60


def test_a_success_starts_over():
    scene = Scene()
    lengths(scene, FaultKind.RATE_LIMITED, 3)

    assert scene.cooldowns.end("k", scene.clock.now)
    assert not scene.cooldowns.end("k", scene.clock.now)
    assert scene.cooldowns.start("k") == 5


@pytest.mark.parametrize(("sent", "ends"), [(999.0, False), (1_000.0, False), (1_001.0, True)])
def test_a_request_from_before_says_nothing(sent, ends):
    scene = Scene()
    scene.cooldowns.start("k")
    scene.clock.now += 1

    assert ends == scene.cooldowns.end("k", sent)
    assert (0.0 if ends else 4.0) == scene.cooldowns.remaining("k")


def test_requests_that_were_under_way_do_not_double_it():
    scene = Scene()
    scene.cooldowns.start("k")
    scene.clock.now += 4

    assert scene.cooldowns.start("k") == 5
    assert scene.cooldowns.remaining("k") == 5

    scene.clock.now += 5

    assert scene.cooldowns.start("k") == 10


@given(st.lists(st.tuples(st.floats(0, 400), st.one_of(st.none(), st.floats(0, 400)))))
def test_a_new_cooldown_may_lengthen_never_shorten(steps):
    scene = Scene()
    until = 0.0
    for wait, asked in steps:
        scene.clock.now += wait
        left = scene.cooldowns.start("k", asked)
        now_until = scene.clock.now + left

        assert now_until >= until - 1e-6
        assert left == pytest.approx(scene.cooldowns.remaining("k"))
        assert 0.4999 <= left <= 300.001
        until = now_until


def test_the_longer_of_two_reasons_is_shown():
    scene = Scene()
    scene.cooldowns.start("k", 30.0, FaultKind.OVERLOADED)
    scene.cooldowns.start("k", 2.0, FaultKind.RATE_LIMITED)

    assert FaultKind.OVERLOADED is scene.cooldowns.why("k")

    scene.cooldowns.start("k", 31.0, FaultKind.RATE_LIMITED)

    assert FaultKind.RATE_LIMITED is scene.cooldowns.why("k")
    assert scene.cooldowns.why("other") is None


def test_keys_do_not_know_each_other():
    scene = Scene()
    scene.cooldowns.start("k", 3.0)

    assert scene.cooldowns.remaining("other") == 0
    assert not scene.cooldowns.end("other")


def test_it_counts_what_began_grew_or_ended():
    scene = Scene()
    counts = [scene.cooldowns.changes]
    for change in (
        lambda: scene.cooldowns.start("k", 3.0),
        lambda: scene.cooldowns.apply("k", 9.0, FaultKind.RATE_LIMITED),
        lambda: scene.cooldowns.end("k"),
        lambda: scene.cooldowns.retain(()),
    ):
        change()
        counts.append(scene.cooldowns.changes)
    scene.cooldowns.end("nothing")

    assert counts == [0, 1, 2, 3, 4]
    assert scene.cooldowns.changes == 4


def test_it_forgets_what_ends_first_when_it_is_full():
    scene = Scene(limit=2)
    for key, seconds in [("a", 5.0), ("b", 3.0), ("a", 6.0), ("c", 1.0), ("d", 9.0)]:
        scene.cooldowns.start(key, seconds)

    assert len(scene.cooldowns._known) == 2
    assert [scene.cooldowns.remaining(key) for key in "abcd"] == [6, 0, 0, 9]


def test_it_retains_what_it_is_told_to():
    scene = Scene()
    scene.cooldowns.start("a", 5.0)
    scene.cooldowns.start("b", 5.0)
    scene.cooldowns.retain({"b", "c"})

    assert [scene.cooldowns.remaining(key) for key in "ab"] == [0, 5]


def test_it_works_without_being_told_anything():
    assert 5.0 <= Cooldowns().start("k") <= 5.5
